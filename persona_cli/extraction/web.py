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
_BESIDE = frozenset(
    (
        *("comment", "comments", "reply", "replies", "menu", "gnb", "lnb", "nav", "navbar", "sidebar", "footer"),
        *("breadcrumb", "댓글"),
    )
)
"""Words in the names of what sites put beside their text."""
_NAME_WORD = re.compile(r"[^\W\d_]+")
_DATES = frozenset({"article:published_time", "datepublished"})
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_CELL_CHARS = 2_000
"""A cell with more than this is no cell of a table, but a part of the page."""


class _Element(NamedTuple):
    tag: str
    around: bool
    main: bool
    was_beside: bool


class _Page(HTMLParser):
    """Collects blocks, each with whether it stands in the main part of the page.

    Args:
        whole: whether what is named like comments or a menu is kept.
    """

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self._whole = whole
        self.blocks: list[tuple[Block, bool]] = []
        self.title = self.date = ""
        self._open: list[_Element] = []
        self._tags: Counter[str] = Counter()
        self._around = self._main = 0
        self._beside = False
        self._text: list[str] = []
        self._tables: list[list[list[list[Block]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._flush()
        if tag == "br" and not (self._around or self._beside):
            self._text.append("\n")
        elif tag == "meta" and (attributes.get("property") or attributes.get("itemprop", "")).lower() in _DATES:
            self.date = self.date or attributes.get("content", "")
        if tag in _VOID:
            return
        around = _is_around(tag, attributes) or (tag == "header" and not self._main)
        main = tag in ("main", "article") or attributes.get("role") == "main"
        self._open.append(_Element(tag, around, main, self._beside))
        if main:
            self._beside = self._beside and tag == "article"  # a comment may be an article too
        elif not self._whole:
            self._beside = self._beside or _is_beside(tag, attributes)
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
            self._beside = closed.was_beside
            if closed.tag == "table" and self._tables:
                self._end_table(self._tables.pop())
            if closed.tag == tag:
                break

    def handle_data(self, data: str) -> None:
        if not (self._around or self._beside):
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
    """The main part of a page of a site, in UTF-8, without visitors' comments and menus; all, if there is only that."""
    html = data.decode("utf-8", "replace")
    page = read_page(html, whole=False)
    return page if _has_words(page.blocks) else read_page(html)


def read_page(html: str, whole: bool = True) -> Extract:
    """The main part of a page; all of it, where none is marked as such.

    Args:
        whole: whether what is named like comments or a menu is kept, as in a book or a letter.
    """
    page = _Page(whole)
    page.feed(html)
    page.close()
    main: Sequence[Block] = [block for block, is_main in page.blocks if is_main]
    return Extract(main if _has_words(main) else [block for block, _ in page.blocks], page.title, date=page.date)


def _has_words(blocks: Sequence[Block]) -> bool:
    return any(block.kind != "heading" for block in blocks)


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


def _is_beside(tag: str, attributes: dict[str, str]) -> bool:
    """Whether an element is named like comments or a menu; the page itself tells by such names what else is on it."""
    if tag in ("html", "body"):
        return False
    names = f"{attributes.get('id', '')} {attributes.get('class', '')}".lower()
    return any(_names_what_is_beside(name) for name in names.split())


def _names_what_is_beside(name: str) -> bool:
    """Whether a name has such a word, but does not tell that something has it: "has-sidebar"."""
    words = _NAME_WORD.findall(name)
    return not _BESIDE.isdisjoint(words) and words[0] not in ("has", "no", "with", "without")
