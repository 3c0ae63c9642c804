"""HTML → the words of the page itself, without what is around them."""

import re
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import NamedTuple

from persona_cli.extraction.blocks import Block, Extract, is_table

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5"),
        *("h6", "header", "hgroup", "hr", "html", "legend", "li", "main", "nav", "ol", "optgroup", "p", "pre"),
        *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "ul"),
    )
)
_VOID = frozenset(
    (
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track"),
        *("wbr",),
    )
)
_AROUND = frozenset(
    (
        *("aside", "audio", "button", "canvas", "dialog", "footer", "iframe", "math", "menu", "nav", "noscript"),
        *("object", "script", "select", "style", "svg", "template", "textarea", "video"),
    )
)
_AROUND_ROLES = frozenset({"banner", "complementary", "contentinfo", "dialog", "menu", "navigation", "search"})
_DATES = frozenset({"article:published_time", "datepublished"})
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_CELL_CHARS = 2_000
"""A cell with more than this is no cell of a table, but a part of the page."""


class _Element(NamedTuple):
    tag: str
    around: bool
    main: bool


class _Page(HTMLParser):
    """Collects blocks, each with whether it stands in the main part of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[Block, bool]] = []
        self.title = self.date = ""
        self._open: list[_Element] = []
        self._tags: Counter[str] = Counter()
        self._around = self._main = 0
        self._text: list[str] = []
        self._tables: list[list[list[list[Block]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._flush()
        if tag == "br" and not self._around:
            self._text.append("\n")
        elif tag == "meta" and (attributes.get("property") or attributes.get("itemprop", "")).lower() in _DATES:
            self.date = self.date or attributes.get("content", "")
        if tag in _VOID:
            return
        around = _is_around(tag, attributes) or (tag == "header" and not self._main)
        main = tag in ("main", "article") or attributes.get("role") == "main"
        self._open.append(_Element(tag, around, main))
        self._tags[tag] += 1
        self._around += around
        self._main += main
        self._open_table(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
        while self._tags[tag]:  # what was left open inside ends with it
            closed = self._open.pop()
            self._tags[closed.tag] -= 1
            self._around -= closed.around
            self._main -= closed.main
            if closed.tag == "table" and self._tables:
                self._end_table(self._tables.pop())
            if closed.tag == tag:
                break

    def handle_data(self, data: str) -> None:
        if not self._around:
            self._text.append(data if self._tags["pre"] else _SPACE.sub(" ", data))

    def close(self) -> None:
        super().close()
        self._flush()
        while self._tables:
            self._end_table(self._tables.pop())

    def _open_table(self, tag: str) -> None:
        if tag == "table":
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._tables[-1].append([])
        elif tag in ("td", "th") and self._tables:
            if not self._tables[-1]:
                self._tables[-1].append([])
            self._tables[-1][-1].append([])

    def _end_table(self, table: list[list[list[Block]]]) -> None:
        cells = [cell for row in table for cell in row]
        is_plain = all(
            block.kind == "text" and len(block.text) <= _CELL_CHARS and len(cell) < 10
            for cell in cells
            for block in cell
        )
        if is_plain and is_table(table):
            rows = [["\n".join(block.text for block in cell) for cell in row] for row in table]
            self._add(Block("table", "", rows=rows))
        else:
            for block in (block for cell in cells for block in cell):
                self._add(block)

    def _flush(self) -> None:
        """End the paragraph or heading that the text so far is."""
        lines = "".join(self._text).replace("\xa0", " ").split("\n")
        self._text = []
        text = "\n".join(lines if self._tags["pre"] else map(str.strip, lines)).strip()
        if text and self._tags["title"]:
            self.title = self.title or text
        elif text:
            level = next((level for tag, level in _HEADINGS.items() if self._tags[tag]), 0)
            self._add(Block("heading" if level else "text", text, level))

    def _add(self, block: Block) -> None:
        if self._tables and self._tables[-1] and self._tables[-1][-1]:
            self._tables[-1][-1][-1].append(block)
        else:
            self.blocks.append((block, self._main > 0))


def read_html(data: bytes) -> Extract:
    """The main part of a page in UTF-8; all of it, where none is marked as such."""
    return read_page(data.decode("utf-8", "replace"))


def read_page(html: str) -> Extract:
    """The main part of a page; all of it, where none is marked as such."""
    page = _Page()
    page.feed(html)
    page.close()
    main: Sequence[Block] = [block for block, is_main in page.blocks if is_main]
    has_words = any(block.kind != "heading" for block in main)
    return Extract(main if has_words else [block for block, _ in page.blocks], page.title, date=page.date)


def _is_around(tag: str, attributes: dict[str, str]) -> bool:
    """Whether an element is not part of what the page says: navigation, what is hidden, the letter that is answered."""
    classes = attributes.get("class", "").split()
    return (
        tag in _AROUND
        or attributes.get("role", "").lower() in _AROUND_ROLES
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN.search(attributes.get("style", "")) is not None
        or (tag == "blockquote" and attributes.get("type") == "cite")
        or "gmail_quote" in classes
    )
