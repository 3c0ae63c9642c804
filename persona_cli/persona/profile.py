"""The persona's profile: what `persona.toml` says."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persona_cli.errors import ProfileError

FILE_NAME = "persona.toml"


@dataclass(frozen=True, slots=True)
class Profile:
    """What `persona.toml` says; keys it may have beside these are kept for others to read.

    Attributes:
        name: what the person is called.
        speaker: what they are called in chats and transcripts, where that is another name.
        aliases: other names they go by there.
    """

    name: str = ""
    speaker: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the person may speak, the best known one first; empty when no name is told."""
        return tuple(dict.fromkeys(name for name in (self.speaker or self.name, self.name, *self.aliases) if name))


def find_profile(paths: Sequence[Path]) -> Path | None:
    """The `persona.toml` in the first of the folders that has one."""
    return next((file for path in paths if (file := path / FILE_NAME).is_file()), None)


def load_profile(file: Path) -> Profile:
    """The profile in a file.

    Raises:
        ProfileError: it cannot be read, or a value in it cannot be used; the message names the line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        fields = tomllib.loads(text)
    except OSError as error:
        raise ProfileError("{file} cannot be read: {why}", file=str(file), why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ProfileError("{file} cannot be read: {why}", file=str(file), why="it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ProfileError("{file} is not valid TOML: {why}", file=str(file), why=str(error)) from error
    for key in ("name", "speaker"):
        if not isinstance(fields.get(key, ""), str):
            raise ProfileError(
                "{file}, line {line}: {key} must be a text in quotes", file=str(file), line=_line_of(key, text), key=key
            )
    aliases = fields.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise ProfileError(
            "{file}, line {line}: {key} must be a list of texts in quotes",
            file=str(file),
            line=_line_of("aliases", text),
            key="aliases",
        )
    return Profile(fields.get("name", "").strip(), fields.get("speaker", "").strip(), tuple(a.strip() for a in aliases))


def _line_of(key: str, text: str) -> int:
    found = re.search(rf"^\s*[\"']?{key}[\"']?\s*=", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 1
