"""The log on standard error: a line a request and a line a failure, for people or as JSON, without what was said."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from persona_cli.errors import ModelError, PersonaError
from persona_cli.language import say
from persona_cli.server.tokens import Tokens, load_tokens
from persona_cli.settings import Settings

log = logging.getLogger("persona")

KEY = re.compile(r"(?<![A-Za-z0-9])(sk-|Bearer )[\w.-]{8,}")
"""What keys look like, wherever they come from."""
LEAST_SECRET_CHARS = 6
"""Shorter tokens would blot out ordinary words."""
WORD = re.compile(r"[^\s/?&=:,;'\"()\[\]{}<>]+")
MAX_PATH_CHARS = 200
SECRET_PLACE = "***"
STEERING = dict.fromkeys((*range(32), *range(127, 160), 1564, 8232, 8233, *range(8234, 8239), *range(8294, 8298)), "�")
"""Control characters, line ends and bidirectional overrides: a path could steer the reader's terminal."""


@dataclass(slots=True)
class Noted:
    """What is known of the request that is being served.

    Attributes:
        request_id: as the caller sent it, or our own.
        secrets: keys and tokens that came with it.
        spoke_ms: milliseconds from the question to the first piece of its answer.
    """

    request_id: str
    secrets: set[str] = field(default_factory=set, repr=False)
    mode: str | None = None
    spoke_ms: float | None = None
    prompt: str | None = field(default=None, repr=False)
    output: str | None = field(default=None, repr=False)


noted: ContextVar[Noted | None] = ContextVar("noted", default=None)
"""Of the request that the running code serves; so it reaches threads and libraries that know nothing of requests."""


def install(settings: Settings) -> None:
    """Write the log, unless whoever runs the application has set up one of their own."""
    if log.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(settings))
    root = logging.getLogger()
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # it writes query strings
    logging.captureWarnings(True)


def described(error: PersonaError) -> str:
    """A failure for the log. What an endpoint says of a request is left out, for it may repeat the request."""
    values = error.values | ({"why": SECRET_PLACE} if isinstance(error, ModelError) else {})
    return say(error.template, **values)


def hide(text: str, secrets: frozenset[str] | set[str]) -> str:
    """The text without these secrets and without whatever looks like a key."""
    for secret in secrets:
        if len(secret) >= LEAST_SECRET_CHARS:
            text = text.replace(secret, SECRET_PLACE)
    return KEY.sub(rf"\1{SECRET_PLACE}", text)


def secrets_of(settings: Settings) -> frozenset[str]:
    """The keys and tokens that the settings hold."""
    held = [secret.get_secret_value() for secret in (settings.openai_api_key, settings.server_token) if secret]
    return frozenset(part.strip() for value in held for part in (value, *value.split(",")))


def _without_tokens(text: str, tokens: Tokens) -> str:
    """The text without words that are tokens, of which only digests are known."""

    def shown(word: re.Match[str]) -> str:
        is_token = len(word[0]) >= LEAST_SECRET_CHARS and tokens.find(word[0].encode("utf-8", "replace"))
        return SECRET_PLACE if is_token else word[0]

    return WORD.sub(shown, text) if tokens else text


def request_line(method: str, path: str, status: int, ms: float, sent_bytes: int) -> None:
    """Log a request that was served."""
    seen = noted.get()
    fields = {
        "method": method,
        "path": path[:MAX_PATH_CHARS],
        "status": status,
        "ms": round(ms, 1),
        "mode": seen.mode if seen else None,
        "first_token_ms": round(seen.spoke_ms, 1) if seen and seen.spoke_ms is not None else None,
        "bytes": sent_bytes,
    }
    said = {"prompt": seen.prompt, "answer": seen.output} if seen else {}
    log.info("request", extra={"fields": fields, "said": said})


class Lines(logging.Formatter):
    """A line for each record: JSON where the settings say so, else for people."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._as_json = settings.log_format == "json"
        self._with_prompts = settings.log_prompts
        self._secrets = secrets_of(settings)
        self._tokens = load_tokens(settings)

    def format(self, record: logging.LogRecord) -> str:
        """The line, or the lines of a traceback for people."""
        seen = noted.get()
        secrets = self._secrets | (seen.secrets if seen else set())
        parts = self._parts(record, seen)
        for name, part in parts.items():
            if isinstance(part, str):
                parts[name] = _without_tokens(hide(part, secrets), self._tokens)
        if self._as_json:
            at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            return json.dumps({"time": at, "level": record.levelname.lower(), **parts})
        return _for_people(record, parts)

    def _parts(self, record: logging.LogRecord, seen: Noted | None) -> dict[str, Any]:
        fields = getattr(record, "fields", {})
        # others' first line alone: asyncio writes behind it what an exception says
        parts = {"event": "request"} if fields else {"message": record.getMessage().partition("\n")[0]}
        if seen:
            parts["request_id"] = seen.request_id
        parts |= fields
        if self._with_prompts:
            parts |= {name: text for name, text in getattr(record, "said", {}).items() if text is not None}
        if record.exc_info and record.exc_info[1]:
            parts["exception"] = "".join(_trace(record.exc_info[1], self._with_prompts, set()))
        return parts


def _for_people(record: logging.LogRecord, parts: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    trace = parts.pop("exception", "").rstrip()
    request_id = parts.pop("request_id", None)
    if parts.pop("event", None):
        head = f"{parts.pop('method')} {parts.pop('path')} {parts.pop('status')} {parts.pop('ms')} ms"
    else:
        head = f"{record.levelname.lower()}: {parts.pop('message')}"
    rest = [f"{name}={part}" for name, part in parts.items() if part is not None]
    line = " ".join([at, head, *rest, *([f"id={request_id}"] if request_id else [])]).translate(STEERING)
    return f"{line}\n{trace}" if trace else line


def _trace(error: BaseException, with_texts: bool, told: set[int]) -> Iterator[str]:
    """Where an exception and those behind it were raised; their texts may hold what was asked, and keys.

    Args:
        told: ids of those that were told of, since some lead in a circle.
    """
    told.add(id(error))
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for cause in (*grouped, before):
        if cause and id(cause) not in told:
            yield from _trace(cause, with_texts, told)
            yield "which led to\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    yield f"{kind}: {error}\n" if with_texts else f"{kind}\n"
