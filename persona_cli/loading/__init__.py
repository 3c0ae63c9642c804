"""Files → what was said in them, and where.

A format is a row of the table below and a function from bytes to segments or to a dialogue. Its version is raised
whenever that function comes to read a file differently, so that files read by an older one are read again.
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import NamedTuple

from persona_cli.errors import LoadError
from persona_cli.loading.subtitles import read_srt, read_webvtt
from persona_cli.loading.tabular import read_csv, read_json, read_json_lines, read_tsv
from persona_cli.loading.text import read_markdown, read_plain
from persona_cli.models import Dialogue, Reading

__all__ = ["load", "loader_name"]


class _Loader(NamedTuple):
    name: str
    read: Callable[[bytes], Reading]


_TEXT = _Loader("text/2", read_plain)
_MARKDOWN = _Loader("markdown/2", read_markdown)
_JSON_LINES = _Loader("jsonl/2", read_json_lines)
_LOADERS = {
    "": _TEXT,
    ".txt": _TEXT,
    ".text": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".csv": _Loader("csv/2", read_csv),
    ".tsv": _Loader("tsv/2", read_tsv),
    ".json": _Loader("json/2", read_json),
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".srt": _Loader("srt/1", read_srt),
    ".vtt": _Loader("webvtt/1", read_webvtt),
}
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"
"""Bytes of white space in any encoding, and of the marks before it."""


def load(name: str, data: bytes) -> Reading:
    """What a file says: at least one segment, or a dialogue of at least one turn.

    Args:
        name: the file's name; its suffix, in upper or lower case, tells the format.
        data: what is in the file.

    Raises:
        LoadError: there is no reader for such files, or this one cannot be read, or there is nothing in it.
    """
    loader = _loader(name)
    reading = loader.read(data) if data.strip(_BLANK) else []
    if not (reading.turns if isinstance(reading, Dialogue) else reading):
        raise LoadError("empty")
    return reading


def loader_name(name: str) -> str:
    """Name and version of what reads a file of this name, such as "text/2".

    Raises:
        LoadError: there is no reader for such files.
    """
    return _loader(name).name


def _loader(name: str) -> _Loader:
    suffix = PurePath(name).suffix.lower()
    if suffix not in _LOADERS:
        raise LoadError("no reader for {suffix} files", suffix=suffix)
    return _LOADERS[suffix]
