"""PDF: lines on pages, which are put together to paragraphs again."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from persona_cli.extraction.blocks import Extract, Unreadable, texts

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_TAIL = 4096
"""A PDF says within this many bytes of its end where its contents begin; one that does not has been cut off."""
_EDGE_LINES = 2
_MAX_NUMBERED = 12
"""Characters of a line at the edge of a page that may differ by a number and still be the same: "- 3 -", "Page 3"."""
_NUMBER = re.compile(r"\d+")
_OPENS = re.compile(r"[•▪◦●■○◆※–-]\s|\d{1,3}[.)]\s|(?:Q|A|질문|답변|문|답)\s*\d{0,3}\s*[:：.)]")
"""How a line begins that also begins a paragraph: a bullet, a number, a label."""
_HYPHENS = ("\x02", "\ufffe")
"""What a hyphen at the end of a line comes as; there is no newline after it."""
_LINE = re.compile("[^\r\n\x02\ufffe]+[\x02\ufffe]?")
_SYMBOL = re.compile("[\uf000-\uf0ff]")
"""Bullets from fonts of symbols."""
_LOOSE = re.compile("(?<=[가-힣]) (?=[.,?!])")
"""A gap where Korean changes to the font of a Latin mark."""
_INDENT = 20
"""Lines that begin within about this many points of each other have a right margin in common."""
_COLUMN = 100
"""A column of text is at least this wide, in points, and"""
_COLUMN_SHARE = 0.2
"""holds at least this part of the lines."""
_SURE = 1.2
"""How many times the room of a word must be left on a line to tell that it was ended on purpose."""
_SHORT = 0.75
"""Where no line reaches farther than this part of a page, none has been parted."""
_GAP = 1.3
"""How many times farther than usual a line must be below the one before to tell the same."""


class _Line(NamedTuple):
    """A line of text and where it begins, stands and ends, in points from the lower left of the page."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


def read_pdf(data: bytes) -> Extract:
    """The paragraphs of each page, without what is repeated at the top or the bottom of most pages."""
    import pypdfium2

    if b"startxref" not in data[-_TAIL:]:
        raise Unreadable("damaged")
    try:
        file = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Unreadable("protected" if "password" in str(error).lower() else "damaged") from error
    pages: list[list[_Line]] = []
    has_pictures = False
    for page in file:
        pages.append(_whole_lines(_lines(page)))
        has_pictures = has_pictures or next(page.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]), None) is not None
        page.close()
    if has_pictures and not any(pages):
        raise Unreadable("only pictures")
    layout = _Layout(pages, file[0].get_width() if pages else 0)
    numbered = enumerate(_without_edges(pages), 1)
    return Extract([block for number, page in numbered for block in texts(layout.paragraphs(page), str(number))])


def _lines(page: "PdfPage") -> Iterator[_Line]:
    from pypdfium2.raw import FPDFText_GetUnicode

    found = page.get_textpage()
    chars = "".join(chr(FPDFText_GetUnicode(found, at)) for at in range(found.count_chars()))
    for line in _LINE.finditer(_SYMBOL.sub("•", chars)):
        text = line[0].strip()
        if text:
            start = line.start() + line[0].index(text[0])
            left, bottom, _, top = found.get_charbox(start, loose=True)
            _, _, right, _ = found.get_charbox(start + len(text) - 1)
            yield _Line(text, left, bottom, right, top)


def _whole_lines(pieces: Iterable[_Line]) -> list[_Line]:
    """Lines that a change of font has broken, put together."""
    lines: list[_Line] = []
    for piece in pieces:
        before, height = lines[-1] if lines else piece, piece.top - piece.bottom
        gap = piece.left - before.right
        if lines and abs(piece.bottom - before.bottom) < height / 2 and -1 < gap < 2 * height:
            space = " " if gap > height / 5 else ""
            piece = before._replace(text=before.text + space + piece.text, right=piece.right)
            lines.pop()
        lines.append(piece._replace(text=_LOOSE.sub("", piece.text)))
    return lines


def _without_edges(pages: Sequence[list[_Line]]) -> Iterator[list[_Line]]:
    """Pages without running heads and page numbers: first and last lines that three pages or more, and most, share."""
    edges = [_edges(page) for page in pages]
    shared = Counter(form for page in edges for form in set(page.values()))
    for page, forms in zip(pages, edges, strict=True):
        repeated = {at for at, form in forms.items() if shared[form] > max(2, len(pages) / 2)}
        yield [line for at, line in enumerate(page) if at not in repeated]


def _edges(page: Sequence[_Line]) -> dict[int, str]:
    """Indexes of the lines at either end of a page, and what they have in common with those of other pages."""
    texts = [(at, line.text) for at, line in enumerate(page)]
    ends = dict(texts[:_EDGE_LINES] + texts[-_EDGE_LINES:])
    return {at: _NUMBER.sub("0", text) if len(text) <= _MAX_NUMBERED else text for at, text in ends.items()}


class _Layout:
    """How a document is set: how far its lines reach, and how far apart they are.

    Args:
        width: of a page, in points.
    """

    def __init__(self, pages: Sequence[Sequence[_Line]], width: float) -> None:
        lines = [line for page in pages for line in page]
        indents = Counter(map(_indent, lines))
        self._columns = [indent * _INDENT for indent, count in indents.items() if count >= _COLUMN_SHARE * len(lines)]
        self._margins: dict[tuple[int, float], float] = {}
        for line in lines:
            key = self._place(line)
            self._margins[key] = max(line.right, self._margins.get(key, 0))
        if max(self._margins.values(), default=0) < _SHORT * width:
            self._margins = dict.fromkeys(self._margins, width)
        steps = [above.bottom - below.bottom for page in pages for above, below in pairwise(page)]
        self._step = median([step for step in steps if step > 0] or [0])

    def paragraphs(self, page: Sequence[_Line]) -> Iterator[str]:
        """The lines of a page, those put together that only its width has parted."""
        paragraph = ""
        for above, line in pairwise([page[0], *page] if page else []):
            if paragraph.endswith(_HYPHENS):
                paragraph = paragraph[:-1] + "-" + line.text
            elif paragraph and (_OPENS.match(line.text) or self._is_end(above, line)):
                yield paragraph
                paragraph = line.text
            else:
                paragraph = f"{paragraph} {line.text}"
        yield paragraph

    def _is_end(self, line: _Line, below: _Line) -> bool:
        """Whether a paragraph ends with a line, because the next word had room on it or there is a gap after it."""
        word = (below.right - below.left) * len(below.text.partition(" ")[0]) / len(below.text)
        room = self._margins[self._place(line)] - line.right
        return room > _SURE * word or line.bottom - below.bottom > _GAP * self._step

    def _place(self, line: _Line) -> tuple[int, float]:
        """What lines with a common right margin have in common: the indent, and the column that begins after them."""
        after = (column for column in self._columns if column > max(line.left + _COLUMN, line.right))
        return _indent(line), min(after, default=0)


def _indent(line: _Line) -> int:
    return round(line.left / _INDENT)
