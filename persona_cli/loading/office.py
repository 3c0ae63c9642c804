"""Office and web files → segments or dialogues.

What is found in a file is laid out as Markdown, so that transcripts, sections and pairs are known as in any text. Then
its lines get the places they stand for: pages, slides, or paragraphs below a heading, where empty ones are not counted
and a table is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from persona_cli.extraction.blocks import Block
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import clean, decode
from persona_cli.loading.isolation import shared_extractor
from persona_cli.loading.tabular import by_speaker, read_rows
from persona_cli.loading.text import read_markdown
from persona_cli.models import Dialogue, Reading, Segment, Turn

TIMEOUT_S = 60.0
_UNITS = {".pdf": "page", ".pptx": "slide", ".odp": "slide"}
_MAX_HEADING_CHARS = 120
"""A longer paragraph is no heading, whatever style it is in."""


def read_document(suffix: str, data: bytes, timeout_s: float = TIMEOUT_S) -> Reading:
    """The transcript, or the sections with their pairs and tables, of a document.

    Args:
        suffix: of such files, ".docx".
        timeout_s: longest time it may take, in seconds.

    Raises:
        LoadError: it cannot be read.
    """
    document = shared_extractor().extract(suffix, data, timeout_s)
    return _read_blocks(document.blocks, _UNITS.get(suffix, "paragraph"), clean(document.title), document.date)


def read_html(data: bytes, timeout_s: float = TIMEOUT_S) -> Reading:
    """The same of a web page, in whatever encoding it is."""
    return read_document(".html", decode(data).encode(), timeout_s)


def read_sheets(suffix: str, data: bytes, timeout_s: float = TIMEOUT_S) -> Reading:
    """The rows of all sheets of a workbook, counted as it counts them."""
    sheets = shared_extractor().extract(suffix, data, timeout_s).blocks
    return by_speaker([segment for sheet in sheets for segment in _read_sheet(_cleaned(sheet))])


def read_letter(data: bytes, timeout_s: float = TIMEOUT_S) -> Reading:
    """A letter, as a dialogue in which only its author speaks; as a document when it names none."""
    letter = shared_extractor().extract(".eml", data, timeout_s)
    title, author = clean(letter.title).strip(), clean(letter.author).strip()
    if not author:
        return _read_blocks(letter.blocks, "paragraph", title, letter.date)
    date = parse_date(letter.date)
    texts = filter(None, ("\n".join(_lines(_cleaned(block))) for block in letter.blocks))
    turns = [Turn(author, text, str(number), str(number), date) for number, text in enumerate(texts, 1)]
    return Dialogue(turns, "paragraph", title or None)


def _read_blocks(blocks: Sequence[Block], unit: str, title: str, date: str) -> Reading:
    """A dialogue, or segments, placed and dated.

    Args:
        unit: what places are counted in where a block does not say its page or slide.
        title: of what is under no heading.
    """
    blocks = [block for block in map(_cleaned, blocks) if block.kind == "heading" or any(_lines(block))]
    tables = list(_asked_tables(blocks))
    asked = {id(table) for table, _ in tables}
    lines, below, overall = _lay_out([block for block in blocks if id(block) not in asked])
    reading = read_markdown("\n".join(lines).encode())
    iso = parse_date(date)
    if isinstance(reading, Dialogue):
        turns = [
            replace(turn, first=overall[int(turn.first) - 1], last=overall[int(turn.last) - 1], date=turn.date or iso)
            for turn in reading.turns
        ]
        return Dialogue(turns, unit, reading.title or title or None)
    segments = [_placed(segment, lines, unit, below) for segment in reading]
    segments += [segment for _, rows in tables for segment in rows]
    return [
        replace(segment, heading=segment.heading or title or None, date=segment.date or iso) for segment in segments
    ]


def _lay_out(blocks: Sequence[Block]) -> tuple[list[str], list[str], list[str]]:
    """Lines of Markdown, and the place of each: below its heading, and in the whole document."""
    lines, below, overall = [""], [""], [""]  # on the first line front matter would begin
    number = 0
    for total, block in enumerate(blocks, 1):
        is_heading = _is_heading(block)
        number = 0 if is_heading else number + 1
        added = [f"{'#' * min(max(block.level, 1), 6)} {block.text}"] if is_heading else _lines(block)
        lines += [*added, ""]
        below += [block.part or str(max(number, 1))] * (len(added) + 1)
        overall += [block.part or str(total)] * (len(added) + 1)
    return lines, below, overall


def _is_heading(block: Block) -> bool:
    return block.kind == "heading" and len(block.text) <= _MAX_HEADING_CHARS


def _lines(block: Block) -> list[str]:
    """A block as text; a row of a table is a line, "name: value" where there are two columns."""
    if block.kind != "table":
        return block.text.split("\n")
    rows = [[" ".join(cell.split()) for cell in row if cell.strip()] for row in block.rows]
    mark = ": " if max(map(len, rows), default=0) == 2 else " | "
    return [mark.join(row) for row in rows if row]


def _placed(segment: Segment, lines: Sequence[str], unit: str, places: Sequence[str]) -> Segment:
    """A segment of the laid out text with the places of its lines.

    An answer to a heading stands below that heading, which is then part of where it is.
    """
    assert segment.line
    first = segment.line - 1
    answer = segment.end_line - 1 - segment.text.count("\n") if segment.end_line else first
    heading, marks = segment.heading, []
    if segment.question:
        marks = [(0, places[first])]
        if lines[first].startswith("#"):
            heading = " > ".join(filter(None, (heading, lines[first].lstrip("# "))))
    offset = 0
    for at, line in enumerate(segment.text.split("\n"), answer):
        if not marks or places[at] != marks[-1][1]:
            marks.append((offset, places[at]))
        offset += len(line) + 1
    return replace(segment, line=None, end_line=None, unit=unit, marks=marks, heading=heading)


def _asked_tables(blocks: Sequence[Block]) -> Iterator[tuple[Block, list[Segment]]]:
    """The tables that hold questions and answers, and the pairs in them."""
    path: list[Block] = []
    number = 0
    for block in blocks:
        if _is_heading(block):
            path = [*(above for above in path if above.level < block.level), block]
        elif block.kind == "table":
            number += 1
            rows = _numbered(block.rows)
            heading = " > ".join(above.text for above in path if above.text) or None
            where = f"slide {block.part}" if block.part else f"table {number}"
            found = [replace(row, heading=heading, place=f"{where}, {row.place}") for row in read_rows(rows)]
            if any(row.question for row in found):
                yield block, found


def _read_sheet(sheet: Block) -> list[Segment]:
    """The rows of a sheet; cells alone at its top are titles."""
    rows = _numbered(sheet.rows)
    used = sorted({at for _, row in rows for at, cell in enumerate(row) if cell.strip()})
    rows = [(number, [row[at] for at in used if at < len(row)]) for number, row in rows]
    titles: list[str] = []
    while len(used) > 1 and rows and sum(map(bool, rows[0][1])) == 1:
        titles += filter(None, rows.pop(0)[1])
    heading = " ".join(" ".join(titles).split()) or None
    return [replace(row, place=f"{sheet.text}, {row.place}", heading=heading) for row in read_rows(rows)]


def _numbered(rows: Sequence[Sequence[str]]) -> list[tuple[int, Sequence[str]]]:
    return [(number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]


def _cleaned(block: Block) -> Block:
    text = clean(block.text).strip()
    text = " ".join(text.split()) if block.kind == "heading" else text
    return block._replace(text=text, rows=[[clean(cell).strip() for cell in row] for row in block.rows])
