"""Subtitle files → cues: a time, and lines of text without their markup."""

import html
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from persona_cli.loading.decoding import clean

_WORD_S = 0.5
"""How long the last word of a line lasts, where only its beginning is known."""

_LAST_S = 5.0
"""How long the last words of a file are shown, where nothing tells when they vanish."""

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-{{1,3}}>\s*{_CLOCK}")
_STAMP = re.compile(rf"<{_CLOCK}>")
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")

_SYNC = re.compile(r"<sync\b[^<>]*?\bstart\s*=\s*[\"']?(\d{1,9})[^<>]*>", re.IGNORECASE)
_PARAGRAPH = re.compile(r"<p\b([^<>]*)>", re.IGNORECASE)
_CLASS = re.compile(r"class\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)

_BREAK = re.compile(r"<br\s*/?>|\\N", re.IGNORECASE)
_VOICE = re.compile(r"</v>|<v(?:\.[^\s<>]*)?\s+([^<>]*)>")
_RUBY = re.compile(r"<rt\b[^<>]*>.*?(?:</rt>|\Z)", re.DOTALL)
_MARKUP = re.compile(r"<[/!]?[A-Za-z-][^<>]*>|<\d[\d:.,]*>|\{(?:\\|[A-Za-z]:)[^{}]*\}")
_BAD_REFERENCE = re.compile(r"&#[xX]?[\da-fA-F]{8,};?")  # `html.unescape` fails on thousands of digits
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069]")
_CHANGE = re.compile(r"(?:[-‐–•](?![-\d])|>{2,3}) ?")
_SOUND = re.compile(
    r"\[ ?(?:music|applause|laugh|cheer|chuckle|sigh|cough|음악|박수|웃음|환호|한숨|탄식|기침|침묵|정적|효과음)"
    r"[^\[\]]{0,20}\]",
    re.IGNORECASE,
)


class Line(NamedTuple):
    """Words that are shown on one line.

    Attributes:
        start: when they appear, in seconds.
        end: when they have been said, as far as the file tells.
        speaker: of the voice in which they are, if there are voices.
        is_change: whether a dash before them tells that somebody else speaks now.
    """

    start: float
    end: float
    text: str
    speaker: str | None = None
    is_change: bool = False


class Cue(NamedTuple):
    """What is shown from one time to another, in seconds; `raw` are lines as the file has them."""

    start: float
    end: float
    raw: list[str]

    def lines(self) -> list[Line]:
        """The lines that have words, without markup and well-known sounds in square brackets."""
        lines: list[Line] = []
        voice = None
        for raw in (part for line in self.raw for part in _BREAK.split(line)):
            for at, piece in enumerate(_VOICE.split(raw)):
                if at % 2:
                    voice = _plain(piece or "") or None
                elif text := _SOUND.sub("", _plain(piece)).strip():
                    stamps = _STAMP.findall(piece)[-1:]
                    end = min([self.end, *(_seconds(stamp) + _WORD_S for stamp in stamps)])
                    change = _CHANGE.match(text)
                    lines.append(Line(self.start, end, text[change.end() if change else 0 :], voice, bool(change)))
        return lines


def timed_cues(text: str) -> tuple[list[str], list[Cue]]:
    """The lines before the first cue, and the cues, of a SubRip or WebVTT file."""
    head: list[str] = []
    cues: list[Cue] = []
    lines, is_comment = head, False
    is_webvtt, is_numbered = text.lstrip().startswith("WEBVTT"), False
    for line in text.split("\n"):
        if times := _TIMES.match(line) if "->" in line else None:
            if not cues:
                is_numbered = bool(head) and head[-1].strip().isdecimal()
            elif _ends_in_id(lines, is_webvtt, is_numbered):
                lines.pop()
            lines, is_comment = [], False
            cues.append(Cue(_seconds(times.groups()[:4]), _seconds(times.groups()[4:]), lines))
            continue
        if not line:
            is_comment = False
        elif is_webvtt and cues and lines and not lines[-1] and _COMMENT.match(line):
            is_comment = True
        if not is_comment:
            lines.append(line)
    return head, cues


def sami_cues(text: str) -> list[Cue]:
    """The cues of a SAMI file, of the first language that has at least half as many as any other."""
    tracks: dict[str, list[tuple[float, str]]] = {}
    _, *synced = _SYNC.split(text)
    for start, body in zip(synced[::2], synced[1::2], strict=True):
        for language, words in _paragraphs(body):
            tracks.setdefault(language, []).append((int(start) / 1000, words))
    most = max(map(len, tracks.values()), default=0)
    track = next((track for track in tracks.values() if 2 * len(track) >= most), [])
    starts = [start for start, _ in track]
    ends = [*starts[1:], *(start + _LAST_S for start in starts[-1:])]
    return [Cue(start, end, [words]) for (start, words), end in zip(track, ends, strict=True)]


def _paragraphs(body: str) -> Iterator[tuple[str, str]]:
    """Classes, which tell languages apart, and texts."""
    before, *paragraphs = _PARAGRAPH.split(body)
    if before.strip():
        yield "", before
    for attributes, words in zip(paragraphs[::2], paragraphs[1::2], strict=True):
        name = _CLASS.search(attributes)
        yield name[1].upper() if name else "", words


def _ends_in_id(lines: Sequence[str], is_webvtt: bool, is_numbered: bool) -> bool:
    """Whether the last of the lines above a time is the number or the name of the cue that begins there."""
    before, last = lines[-2] if len(lines) > 1 else None, lines[-1] if lines else ""
    if last.strip().isdecimal():
        return is_numbered or (before is not None and not before.strip())
    return is_webvtt and last != "" and before == ""


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in clock)
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction}")


def _plain(raw: str) -> str:
    """Text without markup, in NFC, with single spaces."""
    text = _MARKUP.sub("", _RUBY.sub("", raw) if "<rt" in raw else raw)
    if "&" in text:
        text = clean(html.unescape(_BAD_REFERENCE.sub("\ufffd", text)))
    return " ".join(_INVISIBLE.sub("", text).split())
