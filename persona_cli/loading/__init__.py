"""Files → what was said in them, and where.

A format is a row of the table below and a function from bytes to segments or to a dialogue. Its version is raised
whenever that function comes to read a file differently, so that files read by an older one are read again.
"""

from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

from persona_cli.errors import LoadError, NoWords
from persona_cli.loading.office import TIMEOUT_S, read_document, read_html, read_letter, read_sheets
from persona_cli.loading.subtitles import read_sami, read_subtitles
from persona_cli.loading.tabular import read_csv, read_json, read_json_lines, read_tsv
from persona_cli.loading.text import read_markdown, read_plain
from persona_cli.models import Dialogue, Reading

__all__ = ["load", "loader_name"]


class _Loader(NamedTuple):
    name: str
    read: Callable[[bytes], Reading]


class _OfficeLoader(NamedTuple):
    """A loader that may take only so many seconds."""

    name: str
    read: Callable[[bytes, float], Reading]


_DOCUMENTS = ("pdf", "docx", "pptx", "odt", "odp", "rtf", "epub", "hwp", "hwpx")
_SHEETS = ("xlsx", "xls", "ods")
_TEXT = _Loader("text/2", read_plain)
_MARKDOWN = _Loader("markdown/2", read_markdown)
_JSON_LINES = _Loader("jsonl/2", read_json_lines)
_HTML = _OfficeLoader("html/1", read_html)
_LOADERS: dict[str, _Loader | _OfficeLoader] = {
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
    ".srt": _Loader("srt/1", read_subtitles),
    ".vtt": _Loader("webvtt/1", read_subtitles),
    ".smi": _Loader("sami/1", read_sami),
    ".html": _HTML,
    ".htm": _HTML,
    ".eml": _OfficeLoader("eml/1", read_letter),
    **{f".{name}": _OfficeLoader(f"{name}/1", partial(read_document, f".{name}")) for name in _DOCUMENTS},
    **{f".{name}": _OfficeLoader(f"{name}/1", partial(read_sheets, f".{name}")) for name in _SHEETS},
}
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"
"""Bytes of white space in any encoding, and of the marks before it."""


def load(name: str, data: bytes, timeout_s: float = TIMEOUT_S) -> Reading:
    """What a file says: at least one segment, or a dialogue of at least one turn.

    Args:
        name: the file's name; its suffix, in upper or lower case, tells the format.
        data: what is in the file.
        timeout_s: longest time an office or web file may take, in seconds.

    Raises:
        NoWords: there is nothing in it.
        LoadError: there is no reader for such files, or this one cannot be read.
    """
    loader = _loader(name)
    reading: Reading = []
    if data.strip(_BLANK):
        reading = loader.read(data, timeout_s) if isinstance(loader, _OfficeLoader) else loader.read(data)
    if not (reading.turns if isinstance(reading, Dialogue) else reading):
        raise NoWords("empty")
    return reading


def loader_name(name: str) -> str:
    """Name and version of what reads a file of this name, such as "text/2".

    Raises:
        LoadError: there is no reader for such files.
    """
    return _loader(name).name


def _loader(name: str) -> _Loader | _OfficeLoader:
    suffix = PurePath(name).suffix.lower()
    if suffix not in _LOADERS:
        raise LoadError("no reader for {suffix} files", suffix=suffix)
    return _LOADERS[suffix]
