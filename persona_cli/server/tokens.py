"""Tokens: who may ask, who may also change a store, and how one that is sent is recognised."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from persona_cli.errors import SettingsError
from persona_cli.settings import Settings

ASK = frozenset({"ask"})
ADMIN = ASK | {"admin"}
"""What an admin's token is for; each may ask."""
LINE = re.compile(
    r"(?P<name>[^:]*[^:\s])\s*:\s*(?P<token>[^\s,]+)(?:\s+(?P<scopes>(?:ask|admin)(?:[,\s]+(?:ask|admin))*))?"
)
"""`name: token [scopes]`."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is taken, without the token itself.

    Attributes:
        name: whose it is, for people; never sent.
        digest: SHA-256 of the token's UTF-8 bytes.
        scopes: what it is for.
    """

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str]

    @property
    def owner(self) -> str:
        """Whose sessions it opens."""
        return self.digest.hex()[:32]


class Tokens:
    """The tokens a server takes; false when it asks for none."""

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def find(self, sent: bytes) -> Token | None:
        """The token that was sent, found in a time that tells nothing of any of them."""
        digest = sha256(sent).digest()
        found = None
        for token in self._tokens:
            if compare_digest(token.digest, digest):
                found = token
        return found


def load_tokens(settings: Settings) -> Tokens:
    """The tokens of PERSONA_SERVER_TOKEN, which may ask, and those of PERSONA_SERVER_TOKENS_FILE.

    Raises:
        SettingsError: the file cannot be read, a token is in it twice, or none is where some are announced.
    """
    tokens: list[Token] = []
    if settings.server_token:
        listed = [part.strip() for part in settings.server_token.get_secret_value().split(",")]
        tokens += [_token("PERSONA_SERVER_TOKEN", secret, ASK) for secret in listed if secret]
        if not tokens:
            raise _unusable("PERSONA_SERVER_TOKEN", "***", "it holds no token")
    if file := settings.server_tokens_file:
        read = list(_read(file))
        if not read:
            raise _unusable("PERSONA_SERVER_TOKENS_FILE", str(file), "it holds no token")
        tokens += read
    if len({token.digest for token in tokens}) < len(tokens):
        raise SettingsError("the server's tokens hold one of them twice: give each caller another")
    return Tokens(tokens)


def _read(file: Path) -> Iterator[Token]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
        raise _unusable("PERSONA_SERVER_TOKENS_FILE", str(file), why) from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if not match:  # which is not shown: any part of it may be the token's
            raise SettingsError(
                "{file}, line {line}: write `name: token`, with `admin` behind it for one that may change a store",
                file=str(file),
                line=number,
            )
        yield _token(match["name"], match["token"], ADMIN if "admin" in (match["scopes"] or "") else ASK)


def _token(name: str, secret: str, scopes: frozenset[str]) -> Token:
    return Token(name, sha256(secret.encode()).digest(), scopes)


def _unusable(name: str, value: str, why: str) -> SettingsError:
    return SettingsError("{name} cannot be {value!r}: {why}", name=name, value=value, why=why)
