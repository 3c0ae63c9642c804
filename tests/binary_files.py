"""Documents that are no archives, made by hand: compound files with HWP in them, and PDF."""

import struct
import zlib
from collections.abc import Mapping, Sequence

KOREAN_FONT = (
    b"<</Type/Font/Subtype/Type0/BaseFont/HYSMyeongJo-Medium/Encoding/UniKS-UCS2-H/DescendantFonts[<</Type/Font"
    b"/Subtype/CIDFontType0/BaseFont/HYSMyeongJo-Medium/DW 1000/W[1 95 500]"
    b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Korea1)/Supplement 1>>"
    b"/FontDescriptor<</Type/FontDescriptor/FontName/HYSMyeongJo-Medium/Flags 6/FontBBox[0 -148 1001 880]"
    b"/ItalicAngle 0/Ascent 752/Descent -271/CapHeight 737/StemV 58>>>>]>>"
)
"""One that every reader knows, so that it need not be in the file."""
SECTOR = 512
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with streams by their names; one folder ("BodyText/Section0") may hold some."""
    folders = sorted({name.split("/")[0] for name in streams if "/" in name})
    names = ["Root Entry", *folders, *streams]
    top = [at for at, name in enumerate(names) if at and "/" not in name]
    sectors: list[bytes] = []
    table: list[int] = []
    entries = []
    for at, name in enumerate(names):
        data = streams.get(name, b"").ljust(4096 if name in streams else 0, b"\0")  # shorter ones would go elsewhere
        start = len(sectors) if data else END
        count = -(-len(data) // SECTOR)
        sectors += [data[SECTOR * k : SECTOR * (k + 1)].ljust(SECTOR, b"\0") for k in range(count)]
        table += [*range(start + 1, start + count), END] if count else []
        inside = [k for k, other in enumerate(names) if other.startswith(f"{name}/")] if at else top
        siblings = (
            top
            if "/" not in name
            else [k for k, other in enumerate(names) if other.split("/")[0] == name.split("/")[0] and "/" in other]
        )
        following = siblings[siblings.index(at) + 1 : siblings.index(at) + 2] if at else []
        spelled = (name.rpartition("/")[2] + "\0").encode("utf-16-le")
        kind = 5 if at == 0 else 2 if name in streams else 1
        links = struct.pack("<III", FREE, *(following or [FREE]), *(inside[:1] or [FREE]))
        entries.append(
            spelled.ljust(64, b"\0")
            + struct.pack("<HBB", len(spelled), kind, 1)
            + links
            + bytes(36)
            + struct.pack("<IQ", start, len(data))
        )
    directory = b"".join(entries).ljust(-(-len(entries) // 4) * SECTOR, b"\0")
    first = len(sectors)
    sectors += [directory[at : at + SECTOR] for at in range(0, len(directory), SECTOR)]
    table += [*range(first + 1, len(sectors)), END]
    tables = 1 + len(table) // (SECTOR // 4 - 1)
    places = [len(sectors) + at for at in range(tables)]
    table = [*table, *[FAT] * tables]
    packed = struct.pack(f"<{len(table)}I", *table).ljust(tables * SECTOR, b"\xff")
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, tables, first, 0, 4096, END, 0, END, 0)
    header += struct.pack(f"<{len(places)}I", *places)
    return header.ljust(SECTOR, b"\xff") + b"".join(sectors) + packed


def record(kind: int, depth: int, body: bytes) -> bytes:
    """A record of HWP."""
    size = min(len(body), 0xFFF)
    long = struct.pack("<I", len(body)) if size == 0xFFF else b""
    return struct.pack("<I", kind | depth << 10 | size << 20) + long + body


HwpPart = str | tuple[str, str] | list[list[str]]
"""A paragraph, one with its style, or a table."""


def hwp(*parts: HwpPart, flags: int = 1) -> bytes:
    """A Hancom document; `flags` say whether it is compressed (1), has a password (2), is for distribution only (4)."""
    styles = ["바탕글", *(part[0] for part in parts if isinstance(part, tuple))]

    def paragraph(units: bytes, style: str = "바탕글", depth: int = 0) -> bytes:
        head = struct.pack("<IIHBB", len(units) // 2, 0, 0, styles.index(style), 0) + bytes(10)
        return record(66, depth, head) + record(67, depth + 1, units)

    def text(words: str) -> bytes:
        tab = struct.pack("<8H", 9, 0, 0, 0, 0, 0, 0, 9)
        return words.encode("utf-16-le").replace("\t".encode("utf-16-le"), tab) + b"\r\0"

    def control(kind: bytes) -> bytes:
        """The place of a control in the text: eight characters."""
        return struct.pack("<H", 11) + kind[::-1] + bytes(8) + struct.pack("<H", 11)

    def table(rows: Sequence[Sequence[str]]) -> bytes:
        whole = paragraph(control(b"tbl ") + b"\r\0") + record(71, 1, b"tbl "[::-1] + bytes(40))
        whole += record(77, 2, struct.pack("<IHH", 0, len(rows), len(rows[0])) + bytes(20))
        for at, row in enumerate(rows):
            for column, words in enumerate(row):
                whole += record(72, 2, bytes(8) + struct.pack("<HHHH", column, at, 1, 1) + bytes(18))
                whole += paragraph(text(words), depth=2)
        return whole

    def part(part: HwpPart) -> bytes:
        if isinstance(part, str):
            return paragraph(text(part))
        return paragraph(text(part[1]), part[0]) if isinstance(part, tuple) else table(part)

    def pack(stream: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(stream) + packer.flush() if flags & 1 else stream

    def style(name: str) -> bytes:
        return record(26, 1, struct.pack("<H", len(name)) + name.encode("utf-16-le") + bytes(12))

    note = (
        record(71, 1, b"fn  "[::-1] + bytes(8))
        + record(72, 2, bytes(16))
        + paragraph(text("각주에만 있는 글"), depth=2)
    )
    return compound(
        {
            "FileHeader": b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000300, flags),
            "DocInfo": pack(b"".join(map(style, styles))),
            "BodyText/Section0": pack(b"".join(map(part, parts)) + note),
        }
    )


def pdf(*pages: Sequence[str], picture: bool = False, encrypted: bool = False) -> bytes:
    """A PDF with lines of Korean text on pages of 595 by 842 points."""
    drawn = b"q 100 0 0 100 72 72 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q " if picture else b""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", KOREAN_FONT]
    kids = []
    for lines in pages:
        shown = b"".join(
            f"BT /F 11 Tf 72 {770 - 16 * at} Td <{line.encode('utf-16-be').hex()}> Tj ET\n".encode()
            for at, line in enumerate(lines)
            if line
        )
        stream = drawn + shown
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        uses = f"/Contents {len(objects)} 0 R/Resources<</Font<</F 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]{uses}>>".encode())
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>".encode()
    file, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    crypt = f"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>/ID[<00><00>]" if encrypted else ""
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    tail = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<</Size {count}/Root 1 0 R{crypt}>>\n"
    return file + f"{tail}startxref\n{len(file)}\n%%EOF\n".encode()
