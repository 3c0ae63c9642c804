"""DOCX, PPTX, ODT, ODP and HWPX: archives of XML in which paragraphs hold text, and tables hold paragraphs."""

import re
from collections.abc import Mapping
from xml.parsers import expat
from zipfile import ZipFile

from persona_cli.extraction.archives import elements, open_archive, parse, related, relations
from persona_cli.extraction.blocks import Block, Extract, Unreadable, is_table

_HEADING_STYLE = re.compile(r"(?:heading|outline|제목|개요)\s*([1-9])", re.IGNORECASE)
_SECTION = re.compile(r"Contents/section(\d{1,5})\.xml")
_SPACE = re.compile(r"[ \t\r\n]+")
_Attributes = Mapping[str, str]


class _Body:
    """Collects blocks while a parser runs. Elements go by their local names; each format says what its own mean.

    Headers, footers, notes, comments and what was deleted are left out.
    """

    paragraphs = frozenset({"p"})
    words = frozenset({"t"})
    breaks = frozenset({"br", "cr", "lineBreak", "line-break"})
    tabs = frozenset({"tab"})
    table, row, cell = "tbl", "tr", "tc"
    skipped = frozenset({"del", "moveFrom", "pPrChange", "Fallback", "rt"})

    def __init__(self, part: str = "") -> None:
        self.blocks: list[Block] = []
        self.part = part
        self._skipping = 0
        self._saying = 0
        self._open: list[list[str]] = []
        self._levels: list[int] = []
        self._tables: list[list[list[list[str]]]] = []

    def read(self, archive: ZipFile, name: str) -> list[Block]:
        """The blocks of one entry of an archive."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        parse(archive, name, parser)
        return self.blocks

    def opened(self, name: str, attributes: _Attributes) -> None:
        """What else the start of an element means in a format."""

    def closed(self, name: str) -> None:
        """What else the end of an element means in a format."""

    def put(self, text: str) -> None:
        """Add to the paragraph that is open."""
        if self._open:
            self._open[-1].append(text)

    def set_level(self, level: int) -> None:
        """Make a heading of the paragraph that is open; of level 0, none."""
        if self._levels:
            self._levels[-1] = level

    def finish(self, text: str, level: int) -> None:
        """Take in a paragraph that has ended."""
        self.blocks.append(Block("heading" if level else "text", text, level, part=self.part))

    def _start(self, full_name: str, full_attributes: _Attributes) -> None:
        name = _local(full_name)
        if self._skipping or name in self.skipped:
            self._skipping += 1
            return
        if name in self.paragraphs:
            self._open.append([])
            self._levels.append(0)
        elif name == self.table:
            self._tables.append([])
        elif name == self.row:
            self._tables[-1].append([])
        elif name == self.cell:
            self._tables[-1][-1].append([])
        elif name in self.words:
            self._saying += 1
        elif name in self.breaks:
            self.put("\n")
        elif name in self.tabs:
            self.put("\t")
        self.opened(name, {_local(key): value for key, value in full_attributes.items()})

    def _end(self, full_name: str) -> None:
        name = _local(full_name)
        if self._skipping:
            self._skipping -= 1
            return
        self.closed(name)
        if name in self.paragraphs:
            text, level = "".join(self._open.pop()).strip(), self._levels.pop()
            if text and self._tables:
                self._tables[-1][-1][-1].append(text)
            elif text:
                self.finish(text, level)
        elif name == self.table:
            self._end_table(self._tables.pop())
        elif name in self.words:
            self._saying -= 1

    def _end_table(self, table: list[list[list[str]]]) -> None:
        if self._tables:  # a table in a cell
            self._tables[-1][-1][-1] += [" | ".join(filter(None, map(" ".join, row))) for row in table]
        elif is_table(table):
            rows = [["\n".join(cell) for cell in row] for row in table]
            self.blocks.append(Block("table", "", rows=rows, part=self.part))
        else:
            for text in (text for row in table for cell in row for text in cell):
                self.finish(text, 0)

    def _say(self, text: str) -> None:
        if self._saying and not self._skipping:
            self.put(text)


class _Word(_Body):
    def __init__(self, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._level_of = levels
        self._in_properties = False
        self.tabs = frozenset()

    def opened(self, name: str, attributes: _Attributes) -> None:
        if name == "pPr":
            self._in_properties = True
        elif self._in_properties and name == "pStyle":
            self.set_level(self._level_of.get(attributes.get("val", ""), 0))
        elif self._in_properties and name == "outlineLvl":
            self.set_level(_outline(attributes))
        elif name == "tab" and not self._in_properties:  # there it is a tab stop
            self.put("\t")
        elif name == "noBreakHyphen":
            self.put("-")

    def closed(self, name: str) -> None:
        if name == "pPr":
            self._in_properties = False


class _Slide(_Body):
    """A slide or its notes; the title comes first, wherever it stands among the shapes."""

    skipped = _Body.skipped | {"fld"}

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self._role = ""
        self._title: list[str] = []

    def opened(self, name: str, attributes: _Attributes) -> None:
        if name == "ph":
            self._role = attributes.get("type", "body")

    def closed(self, name: str) -> None:
        if name != "sp":
            return
        if self._title:
            self.blocks.insert(0, Block("heading", " ".join(self._title), 1, part=self.part))
        self._role, self._title = "", []

    def finish(self, text: str, level: int) -> None:
        if self._role in ("title", "ctrTitle"):
            self._title.append(text)
        elif self._role not in ("sldNum", "ftr", "dt", "hdr"):
            super().finish(text, level)


class _OpenDocument(_Body):
    """A text, or a presentation with a page for each slide."""

    paragraphs = frozenset({"p", "h"})
    words = frozenset()
    table, row, cell = "table", "table-row", "table-cell"
    skipped = frozenset({"note", "annotation", "tracked-changes", "table-of-content", "page-number", "ruby-text"})

    def __init__(self) -> None:
        super().__init__()
        self._titled = False

    def opened(self, name: str, attributes: _Attributes) -> None:
        if name in self.paragraphs:  # which are their own words
            self._saying += 1
        if name == "h":
            self.set_level(max(int(attributes.get("outline-level", "1")), 1))
        elif name == "p" and self._titled:
            self.set_level(1)
        elif name == "s":
            self.put(" " * min(int(attributes.get("c", "1")), 80))
        elif name == "page":
            self.part = str(int(self.part or 0) + 1)
            self.blocks.append(Block("heading", "", 1, part=self.part))
        elif name == "frame":
            self._titled = attributes.get("class") == "title"

    def closed(self, name: str) -> None:
        if name in self.paragraphs:
            self._saying -= 1

    def _say(self, text: str) -> None:
        super()._say(_SPACE.sub(" ", text))


class _Hangul(_Body):
    skipped = _Body.skipped | {"footNote", "endNote", "header", "footer", "hiddenComment"}

    def __init__(self, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._level_of = levels

    def opened(self, name: str, attributes: _Attributes) -> None:
        if name == "p":
            self.set_level(self._level_of.get(attributes.get("styleIDRef", ""), 0))
        elif name in ("nbSpace", "fwSpace"):
            self.put(" ")
        elif name == "hyphen":
            self.put("-")


def read_docx(data: bytes) -> Extract:
    """The text of a Word document."""
    archive = open_archive(data)
    (document,) = related(archive, "", "officeDocument")
    return Extract(_Word(_word_levels(archive, document)).read(archive, document))


def read_pptx(data: bytes) -> Extract:
    """The slides of a presentation in the order they are shown, each with its notes after it.

    A heading without words is where a slide begins, for one without a title must not come under that of another.
    """
    archive = open_archive(data)
    (presentation,) = related(archive, "", "officeDocument")
    slides = {key: target for key, _, target in relations(archive, presentation)}
    order = [attributes["id"] for name, attributes, _ in elements(archive, presentation) if name == "sldId"]
    blocks: list[Block] = []
    for number, key in enumerate(order, 1):
        blocks.append(Block("heading", "", 1, part=str(number)))
        for name in [slides[key], *related(archive, slides[key], "notesSlide")]:
            blocks += _Slide(str(number)).read(archive, name)
    return Extract(blocks)


def read_open_document(data: bytes) -> Extract:
    """The text of an OpenDocument text or presentation."""
    return Extract(_OpenDocument().read(open_archive(data), "content.xml"))


def read_hwpx(data: bytes) -> Extract:
    """The text of a Hancom document in its newer form."""
    archive = open_archive(data)
    styles = {a.get("id", ""): a for name, a, _ in elements(archive, "Contents/header.xml") if name == "style"}
    levels = {key: named_level(a.get("name", "")) or named_level(a.get("engName", "")) for key, a in styles.items()}
    sections = sorted(
        (int(found[1]), found[0]) for name in archive.namelist() if (found := _SECTION.fullmatch(name)) is not None
    )
    if not sections:
        raise Unreadable("damaged")
    return Extract([block for _, name in sections for block in _Hangul(levels).read(archive, name)])


def named_level(style: str) -> int:
    """The level of headings that have a style of this name; 0 when it is no style of headings."""
    found = _HEADING_STYLE.fullmatch(style.strip())
    return int(found[1]) if found else int(style.casefold() == "title")


def _word_levels(archive: ZipFile, document: str) -> dict[str, int]:
    """Levels of headings by the style's id."""
    levels: dict[str, int] = {}
    style = ""
    for part in related(archive, document, "styles"):
        for name, attributes, _ in elements(archive, part):
            value = attributes.get("val", "")
            if name == "style":
                style = attributes.get("styleId", "")
            elif name == "name" and (level := named_level(value)):
                levels[style] = level
            elif name == "basedOn" and value in levels:
                levels.setdefault(style, levels[value])
            elif name == "outlineLvl":
                levels[style] = _outline(attributes)
    return levels


def _outline(attributes: _Attributes) -> int:
    level = int(attributes.get("val", "9")) + 1
    return level if level <= 9 else 0


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
