"""HWP 5: a compound file whose streams are records, each with a kind, a depth and a size."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from persona_cli.extraction.archives import MAX_UNPACKED
from persona_cli.extraction.blocks import Block, Extract, Unreadable, is_table
from persona_cli.extraction.documents import named_level

_STYLE, _PARAGRAPH, _TEXT, _CONTROL, _LIST, _TABLE = 26, 66, 67, 71, 72, 77
_LEFT_OUT = frozenset({b"head", b"foot", b"fn  ", b"en  ", b"tcmt"})
"""Controls that hold headers, footers, notes and comments."""
_COMPRESSED, _PASSWORD, _DISTRIBUTED = 1, 2, 4
_SIGNS = {9: "\t", 10: "\n", 24: "-", 30: " ", 31: " "}
"""Characters below 32 that stand for themselves; the others take the place of eight."""
_ALONE = frozenset({0, 10, 13, *range(24, 32)})


@dataclass(slots=True)
class _Control:
    """Something in a paragraph that may hold paragraphs of its own; of a table, the rows so far."""

    depth: int
    kind: bytes
    rows: list[tuple[int, list[list[str]]]] = field(default_factory=list)
    in_cells: bool = False


def read_hwp(data: bytes) -> Extract:
    """The text of a Hancom document; headings are paragraphs in a style of that name."""
    import olefile

    if not data.startswith(olefile.MAGIC):
        raise Unreadable("damaged")
    with olefile.OleFileIO(BytesIO(data)) as file:
        header = file.openstream("FileHeader").read()
        (flags,) = struct.unpack_from("<I", header, 36)
        if flags & (_PASSWORD | _DISTRIBUTED):
            raise Unreadable("protected")
        sections = sorted((int(name[1][7:]), name) for name in file.listdir() if name[0] == "BodyText")
        streams = [file.openstream(name).read() for name in (["DocInfo"], *(name for _, name in sections))]
    info, *bodies = _unpack(streams) if flags & _COMPRESSED else streams
    levels = _levels(info)
    return Extract([block for body in bodies for block in _Section(levels).read(body)])


class _Section:
    def __init__(self, levels: Sequence[int]) -> None:
        self.blocks: list[Block] = []
        self._level_of = levels
        self._level = 0
        self._controls: list[_Control] = []

    def read(self, stream: bytes) -> list[Block]:
        """The blocks of one section of the body."""
        for tag, depth, body in _records(stream):
            while self._controls and depth <= self._controls[-1].depth:
                self._close(self._controls.pop())
            control = self._controls[-1] if self._controls else None
            if control and control.kind in _LEFT_OUT:
                continue
            if tag == _PARAGRAPH:
                style = body[10]
                self._level = self._level_of[style] if style < len(self._level_of) else 0
            elif tag == _TEXT:
                self._put(_text(body))
            elif tag == _CONTROL:
                self._controls.append(_Control(depth, body[3::-1]))
            elif control and control.kind == b"tbl ":
                self._open_cell(control, tag, body)
        while self._controls:
            self._close(self._controls.pop())
        return self.blocks

    def _open_cell(self, table: _Control, tag: int, body: bytes) -> None:
        if tag == _TABLE:
            table.in_cells = True
        elif tag == _LIST and table.in_cells:  # before that it is the caption
            (row,) = struct.unpack_from("<H", body, 10)
            if not table.rows or table.rows[-1][0] != row:
                table.rows.append((row, []))
            table.rows[-1][1].append([])

    def _put(self, text: str) -> None:
        cell = next((c.rows[-1][1][-1] for c in reversed(self._controls) if c.in_cells and c.rows), None)
        if not text:
            return
        if cell is None:
            self.blocks.append(Block("heading" if self._level else "text", text, self._level))
        else:
            cell.append(text)

    def _close(self, control: _Control) -> None:
        rows = [["\n".join(cell) for cell in cells] for _, cells in control.rows]
        is_nested = any(outer.in_cells for outer in self._controls)
        if rows and is_table(rows) and not is_nested:
            self.blocks.append(Block("table", "", rows=rows))
        else:
            self._level = 0
            for cell in (cell for row in rows for cell in row):
                self._put(cell)


def _unpack(streams: Sequence[bytes]) -> list[bytes]:
    unpacked = []
    room = MAX_UNPACKED
    for stream in streams:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        unpacked.append(unpacker.decompress(stream, room))
        room -= len(unpacked[-1])
        if unpacker.unconsumed_tail or room <= 0:
            raise Unreadable("too large")
        if not unpacker.eof:
            raise Unreadable("damaged")
    return unpacked


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, depth and body of each record."""
    at = 0
    while at + 4 <= len(stream):
        (header,) = struct.unpack_from("<I", stream, at)
        size, at = header >> 20, at + 4
        if size == 0xFFF:
            (size,) = struct.unpack_from("<I", stream, at)
            at += 4
        if at + size > len(stream):
            raise Unreadable("damaged")
        yield header & 0x3FF, header >> 10 & 0x3FF, stream[at : at + size]
        at += size


def _levels(info: bytes) -> list[int]:
    """The level of headings in each style; 0 where it is none of headings."""
    levels = []
    for tag, _, body in _records(info):
        if tag == _STYLE:
            (length,) = struct.unpack_from("<H", body)
            levels.append(named_level(body[2 : 2 + 2 * length].decode("utf-16-le", "replace")))
    return levels


def _text(body: bytes) -> str:
    """The text of a paragraph; tabs, fields and the places of pictures take the room of eight characters in it."""
    units = struct.unpack(f"<{len(body) // 2}H", body[: len(body) // 2 * 2])
    kept: list[int] = []
    at = 0
    while at < len(units):
        unit = units[at]
        if unit >= 32:
            kept.append(unit)
        elif sign := _SIGNS.get(unit):
            kept.append(ord(sign))
        at += 1 if unit >= 32 or unit in _ALONE else 8
    return struct.pack(f"<{len(kept)}H", *kept).decode("utf-16-le", "replace").strip()
