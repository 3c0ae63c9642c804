"""Plain text and Markdown → segments."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from persona_cli.loading.chats import chat_in_text
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import decode
from persona_cli.loading.pairs import Block, has_labels, is_question, read_pair, split_pairs
from persona_cli.loading.transcripts import read_turns
from persona_cli.models import Reading, Segment

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_ATX_END = re.compile(r"(?:^|[ \t])#+$")
_UNDERLINE = re.compile(r" {0,3}(=|-)\1*[ \t]*$")
_TITLE = re.compile(r" {0,3}(?![-*+>|#]\s|\d+[.)]\s|[|>]|`{3}|~{3}).*\w")
"""What an underline makes a heading: not a list, a quotation, a table or the end of a fence."""
_FRONT_MATTER_LINE = re.compile(r"(?P<key>[\w. -]+):(?:\s+(?P<value>.*))?$|\s*(?:[#-]|$)|\s")


def read_plain(data: bytes) -> Reading:
    """The chat, the transcript, or the pairs and the prose of a plain text."""
    text = decode(data)
    lines = text.split("\n")
    return chat_in_text(text) or read_turns(lines) or split_pairs([Block(1, lines)])[0]


def read_markdown(data: bytes) -> Reading:
    """The transcript, or the sections and the pairs in them, of a Markdown text.

    Front matter gives date, speaker and title.
    """
    lines = decode(data).split("\n")
    fields, start = _front_matter(lines)
    date = parse_date(fields.get("date", ""))
    return read_turns(lines, start, title=fields.get("title"), date=date) or _read_sections(lines, start, fields, date)


def _read_sections(lines: Sequence[str], start: int, fields: Mapping[str, str], date: str | None) -> list[Segment]:
    """The sections from index `start` on, each with the path of its headings or else the title, and the pairs in them.

    A heading that asks makes its section the answer. The heading's own line is not part of a section's text, and a
    section without text is left out.
    """
    sections = list(_sections(lines, start))
    asked = [section.as_pair() for section in sections]
    found = split_pairs([Block(1, ()) if pair else section.body for section, pair in zip(sections, asked, strict=True)])
    speaker = fields.get("speaker") or fields.get("author")
    segments: list[Segment] = []
    for section, pair, others in zip(sections, asked, found, strict=True):
        heading = " > ".join(section.path[:-1] if pair else section.path) or fields.get("title")
        given = partial(replace, heading=heading, speaker=speaker, date=date, markup="markdown")
        segments += map(given, [pair] if pair else others)
    return segments


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading and what follows it up to the next one; `path` is empty before the first heading of a text."""

    path: tuple[str, ...]
    line: int
    body: Block

    def as_pair(self) -> Segment | None:
        """The pair of a heading that asks and its answer."""
        if not self.path or not is_question(self.path[-1]) or has_labels(self.body.lines):
            return None
        gap = [""] * (self.body.line - self.line - 1)  # where a heading is underlined
        return read_pair(Block(self.line, [self.path[-1], *gap, *self.body.lines]))


def _sections(lines: Sequence[str], start: int) -> Iterator[_Section]:
    open_headings: list[tuple[int, str]] = []
    first, body = start, start
    for heading, text, level, title in [*_headings(lines, start), (len(lines), len(lines), 1, "")]:
        path = tuple(name for _, name in open_headings)
        yield _Section(path, first + 1, Block(body + 1, lines[body:heading]))
        open_headings = [*((depth, name) for depth, name in open_headings if depth < level), (level, title)]
        first, body = heading, text


def _headings(lines: Sequence[str], start: int) -> Iterator[tuple[int, int, int, str]]:
    """Of each heading: the index of its first line and of the first line after it, its level, its words."""
    fence, body = "", start
    for at, line in enumerate(lines[start:], start):
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif opening := _FENCE.match(line):
            fence = opening[1]
        elif atx := _ATX.match(line):
            body = at + 1
            yield at, body, len(atx[1]), _words(_ATX_END.sub("", atx[2].rstrip()))
        elif (underline := _UNDERLINE.match(line)) and _is_title(lines, at - 1, body):
            body = at + 1
            yield at - 1, body, 1 if underline[1] == "=" else 2, _words(lines[at - 1])


def _is_title(lines: Sequence[str], at: int, first: int) -> bool:
    """Whether a line stands alone, as what is underlined must: below a longer paragraph, `---` is a rule."""
    return at >= first and _TITLE.match(lines[at]) is not None and (at == first or not lines[at - 1].strip())


def _closes(line: str, fence: str) -> bool:
    line = line.strip()
    return line.startswith(fence) and not line.strip(fence[0])


def _words(heading: str) -> str:
    return heading.strip("*_` \t")


def _front_matter(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """The simple fields of front matter, keys in lower case, and how many lines it takes.

    What begins with a rule and is no front matter gives nothing, and takes no line.
    """
    fields: dict[str, str] = {}
    for at, line in enumerate(lines):
        if at == 0:
            if line.rstrip() != "---":
                break
        elif line.rstrip() in ("---", "..."):
            return fields, at + 1
        elif not (field := _FRONT_MATTER_LINE.match(line)):
            break
        elif field["key"] and field["value"]:
            fields[field["key"].strip().lower()] = field["value"].strip().strip("\"'")
    return {}, 0
