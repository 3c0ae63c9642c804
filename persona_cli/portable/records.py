"""Documents and chunks as lines of JSON, each checked when it is read, whoever wrote it."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from persona_cli.models import Chunk, Document

MAX_TEXT_BYTES = 1_000_000
MAX_NAME_CHARS = 5_000
"""Of a source, a locator and the like; a path has up to 4,096 bytes."""
MAX_WAYS = 100
MAX_COUNT = 2**53

_CONTROLS = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_HEX = re.compile("[0-9a-f]{1,64}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d(:\d\d)?)?)?")
_DOCUMENT = ("source", "sha256", "size", "loader")
_CHUNK = ("document", "text", "locator", "question", "speaker", "date", "ways", "asked_for")


class BadRecord(ValueError):
    """A record that cannot be used.

    Attributes:
        key: of the value that is wrong; empty when the whole is.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk as an archive holds it.

    Attributes:
        document: place of its document among the documents, from 0.
        ways: to ask for its text, where no chunk before has the same text.
        asked_for: how many of them a language model was asked for; None when none was asked.
    """

    document: int
    chunk: Chunk
    ways: tuple[str, ...] = ()
    asked_for: int | None = None


def document_line(document: Document) -> bytes:
    """One line, newline included. Raises: BadRecord: it could not be read again."""
    line = _line({key: getattr(document, key) for key in _DOCUMENT})
    read_document(line)
    return line


def read_document(line: bytes) -> Document:
    """The document that a line says, without its chunks. Raises: BadRecord."""
    value = _object(line, _DOCUMENT)
    if not isinstance(value["sha256"], str) or not _HEX.fullmatch(value["sha256"]):
        raise BadRecord("sha256")
    return Document(_name(value, "source", 1), value["sha256"], _count(value, "size"), _name(value, "loader", 1))


def chunk_line(entry: Entry) -> bytes:
    """One line, newline included. Raises: BadRecord: it could not be read again."""
    chunk = entry.chunk
    values = (entry.document, chunk.text, chunk.locator, chunk.question, chunk.speaker, chunk.date)
    named = zip(_CHUNK, (*values, list(entry.ways) or None, entry.asked_for), strict=True)
    line = _line({key: value for key, value in named if value is not None})
    read_chunk(line, entry.document + 1)
    return line


def read_chunk(line: bytes, documents: int) -> Entry:
    """The chunk that a line says, of one of so many documents. Raises: BadRecord."""
    value = _object(line, _CHUNK)
    place = _count(value, "document")
    if place >= documents:
        raise BadRecord("document")
    question = value["question"] if value["question"] is None else _text(value["question"], "question")
    speaker = value["speaker"] if value["speaker"] is None else _name(value, "speaker")
    asked_for = value["asked_for"] if value["asked_for"] is None else _count(value, "asked_for")
    chunk = Chunk(_text(value["text"], "text"), _name(value, "locator"), question, speaker, _date(value["date"]))
    return Entry(place, chunk, _ways(value["ways"]), asked_for)


def parse_json(data: bytes) -> Any:
    """What UTF-8 JSON says, without NaN and infinity; None when it is broken, or nested to exhaust."""
    try:
        return json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def is_name(value: object, least: int = 0) -> bool:
    """Whether it is a text of one line that steers nothing."""
    return isinstance(value, str) and least <= len(value) <= MAX_NAME_CHARS and not _CONTROLS.search(value)


def is_count(value: object) -> bool:
    """Whether it is a whole number that a database takes, from 0."""
    return type(value) is int and 0 <= value <= MAX_COUNT


def _no_number(name: str) -> float:
    raise ValueError(name)


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _object(line: bytes, keys: Collection[str]) -> dict[str, Any]:
    """The value of each key; None for those that are not there."""
    value = parse_json(line)
    if not isinstance(value, dict) or not value.keys() <= set(keys):
        raise BadRecord("")
    return dict.fromkeys(keys) | value


def _name(value: Mapping[str, Any], key: str, least: int = 0) -> str:
    if not is_name(value[key], least):
        raise BadRecord(key)
    name: str = value[key]
    return name


def _count(value: Mapping[str, Any], key: str) -> int:
    if not is_count(value[key]):
        raise BadRecord(key)
    count: int = value[key]
    return count


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value or _NO_TEXT.search(value) or len(value.encode()) > MAX_TEXT_BYTES:
        raise BadRecord(key)
    return value


def _date(value: object) -> str | None:
    try:
        if value is None or (isinstance(value, str) and _DATE.fullmatch(value) and datetime.fromisoformat(value)):
            return value
    except ValueError:  # the 31st of February
        pass
    raise BadRecord("date")


def _ways(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= MAX_WAYS or not all(is_name(way, 1) for way in value):
        raise BadRecord("ways")
    if len(set(value)) < len(value):
        raise BadRecord("ways")
    return tuple(value)
