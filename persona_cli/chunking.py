"""Segments → chunks: pieces small enough to be found and quoted, each knowing its place."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from persona_cli.models import Chunk, Markup, Segment

MAX_COLUMNS = 1_200
"""The longest text of a chunk: 1,200 Latin characters, or 600 Korean, Chinese or Japanese ones, two columns each. With
a vector for each sentence a longer chunk is found as well as a shorter one by what it says in one place, and better by
what it says in several. See docs/benchmarks.md."""

MAX_ANSWER_COLUMNS = 4_000
"""The longest recorded answer that stays whole. A quotation is the whole answer, and its question finds it."""

_WINDOW_CHARS = 20_000
"""The splitter's time grows with the square of a line: 400,000 characters without a space take 3.4 s."""
_BREAKS = ("\n\n", "\n", " ")
_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
    "\U0001f300-\U0001faff\U00020000-\U0003fffd]+"
)
_WORDS = re.compile("[^\\W_]|[\u2600-\u27bf\U0001f000-\U0001faff]")
"""Letters, digits and emoji: without any of them a text is a rule, a fence or stray punctuation."""


def chunk(segments: Sequence[Segment]) -> list[Chunk]:
    """The chunks of a document, in its order.

    A short segment is one chunk. A longer one is split where its meaning allows; when it is a pair, each chunk carries
    the question. What holds no words is left out.
    """
    return [piece for segment in segments for piece in _chunks(segment)]


def _columns(text: str) -> int:
    return len(text) + sum(map(len, _WIDE.findall(text)))


def _splitters(columns: int) -> dict[Markup, TextSplitter | MarkdownSplitter]:
    return {
        "plain": TextSplitter.from_callback(_columns, columns),
        "markdown": MarkdownSplitter.from_callback(_columns, columns),
    }


_PROSE, _ANSWERS = _splitters(MAX_COLUMNS), _splitters(MAX_ANSWER_COLUMNS)


def _chunks(segment: Segment) -> Iterator[Chunk]:
    pieces = [(offset, text) for offset, text in _pieces(segment) if _WORDS.search(text)]
    for (_, text), locator in zip(pieces, _locators(segment, pieces), strict=True):
        yield Chunk(text, locator, segment.question, segment.speaker, segment.date)


def _pieces(segment: Segment) -> Iterator[tuple[int, str]]:
    """Offsets, in characters, and texts without blank lines around them."""
    splitter = (_ANSWERS if segment.question else _PROSE)[segment.markup]
    for start, window in _windows(segment.text):
        for offset, text in splitter.chunk_indices(window):
            yield start + offset, text


def _windows(text: str) -> Iterator[tuple[int, str]]:
    """Offsets and texts of stretches that are split each for itself, cut between paragraphs, lines or words."""
    start = 0
    while len(text) - start > _WINDOW_CHARS:
        half, end = start + _WINDOW_CHARS // 2, start + _WINDOW_CHARS
        found = next((at for at in (text.rfind(mark, half, end) for mark in _BREAKS) if at > 0), end)
        yield start, text[start:found]
        start = found
    yield start, text[start:]


def _locators(segment: Segment, pieces: Sequence[tuple[int, str]]) -> Iterator[str]:
    first = _first_line(segment)
    line, counted = first or 0, 0
    for part, (offset, text) in enumerate(pieces, 1):
        if segment.marks:
            where = _marked(segment, offset, offset + len(text))
        elif first and segment.line:
            line += segment.text.count("\n", counted, offset)
            counted = offset
            is_opening = segment.question and part == 1
            where = _lines(segment.line if is_opening else line, line + text.count("\n"))
        else:
            where = segment.place or (_lines(segment.line, segment.end_line or segment.line) if segment.line else "")
            if len(pieces) > 1 or not (where or segment.heading):
                where = f"{where}, part {part}" if where else f"part {part}"
        yield ", ".join(filter(None, (segment.heading, where)))


def _marked(segment: Segment, start: int, end: int) -> str:
    """The place of a piece by the marks it reaches over; the first piece of a pair begins with its question.

    Of marks at one offset the first tells where a piece begins, and the last where it ends.
    """
    offset = itemgetter(0)
    first = min(bisect_left(segment.marks, start, key=offset), bisect_right(segment.marks, start, key=offset) - 1)
    last = bisect_right(segment.marks, end - 1, key=offset) - 1
    return spell_place(segment.unit, segment.marks[max(first, 0)][1], segment.marks[max(last, 0)][1])


def _first_line(segment: Segment) -> int | None:
    """The line on which the text starts; None when its lines are not lines of the file."""
    if segment.place or not segment.line:
        return None
    if not segment.end_line:
        return segment.line
    first = segment.end_line - segment.text.count("\n")
    return first if first >= segment.line else None


def _lines(first: int, last: int) -> str:
    return spell_place("line", str(first), str(last))


def spell_place(unit: str, first: str, last: str) -> str:
    """A place for people: "line 3", "pages 3-4", "00:12:03-00:12:31"."""
    place = first if first == last else f"{first}-{last}"
    return f"{unit}{'' if first == last else 's'} {place}" if unit else place
