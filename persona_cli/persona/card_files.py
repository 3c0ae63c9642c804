"""The files character cards travel in: JSON, PNG and APNG with text chunks, CHARX archives. Bytes in, bytes out.

Nothing is unpacked to disk, no picture is decoded, and all that is not the card itself stays byte for byte.
"""

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile

from persona_cli.errors import CardError

MAX_FILE_BYTES = 50_000_000
MAX_JSON_BYTES = 10_000_000
MAX_UNPACKED_BYTES = 100_000_000
"""What the files of an archive may have together."""
MAX_FILES = 5_000

CARD_NAME = "card.json"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CARD_KEYWORDS = (b"ccv3", b"chara")
"""The first one found wins."""
_PLAIN_SIZE = (400, 600)
_PLAIN_COLOUR = b"\x5b\x6b\x7f"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip can hold: the same card gives the same bytes."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a card's file holds.

    Attributes:
        card: the card itself, JSON.
        picture: the PNG that the card came in.
        files: the other files of an archive by their path in it.
    """

    card: bytes
    picture: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def unpack(data: bytes, name: str) -> Parts:
    """What a file holds; its content tells what it is, not its name.

    Args:
        name: what to call it in messages.

    Raises:
        CardError: it is damaged, too large, or there is no card in it.
    """
    if len(data) > MAX_FILE_BYTES:
        raise CardError(
            "{file} has more than {most} MB: make its pictures smaller", file=name, most=MAX_FILE_BYTES // 1_000_000
        )
    if data.startswith(PNG_SIGNATURE):
        return Parts(_card_in_png(data, name), picture=data)
    if data.startswith(b"PK") or (data.startswith(b"\xff\xd8") and is_zipfile(BytesIO(data))):
        files = _unzip(data, name)
        if CARD_NAME not in files:
            raise CardError(
                "{file} holds no {card}: choose a CHARX file, or a card as JSON or PNG", file=name, card=CARD_NAME
            )
        card = files.pop(CARD_NAME)
        return Parts(_bounded(card, name), files=files)
    return Parts(_bounded(data, name))


def pack_png(picture: bytes, chunks: Mapping[str, bytes]) -> bytes:
    """A picture with texts in it, each under its keyword in base64, in place of the card that was there.

    Args:
        picture: a PNG that `unpack` took, or `plain_picture()`.
    """
    kept = [chunk for chunk in _chunks(picture, "") if _keyword(chunk) not in _CARD_KEYWORDS]
    texts = [_chunk(b"tEXt", keyword.encode() + b"\0" + base64.b64encode(text)) for keyword, text in chunks.items()]
    body = b"".join([*(chunk.raw for chunk in kept[:-1]), *texts, kept[-1].raw])
    return PNG_SIGNATURE + body + picture[kept[-1].end :]


def pack_charx(card: bytes, files: Mapping[str, bytes]) -> bytes:
    """An archive with the card first, then its files."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for path, data in {CARD_NAME: card, **files}.items():
            entry = ZipInfo(path, _EPOCH)
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def plain_picture() -> bytes:
    """A PNG of one colour, for a card that came without a picture."""
    width, height = _PLAIN_SIZE
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    pixels = zlib.compress((b"\0" + _PLAIN_COLOUR * width) * height, 9)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    data: bytes
    raw: bytes
    end: int


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(data: bytes, name: str) -> Iterator[_Chunk]:
    """The chunks of a PNG up to its end; what stands behind that is no part of it."""
    at, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        first, at = at, at + 12 + length
        if at > len(data):
            raise CardError("{file} is cut off at byte {size}: get it again", file=name, size=len(data))
        raw = data[first:at]
        kind, content = raw[4:8], raw[8:-4]
        if zlib.crc32(raw[4:-4]) != int.from_bytes(raw[-4:], "big"):
            raise CardError("{file} is damaged at byte {place}: get it again", file=name, place=first)
        yield _Chunk(kind, content, raw, at)


def _keyword(chunk: _Chunk) -> bytes:
    """That of a text chunk in lower case; empty for other chunks."""
    return chunk.data.partition(b"\0")[0].lower() if chunk.kind == b"tEXt" else b""


def _card_in_png(data: bytes, name: str) -> bytes:
    texts: dict[bytes, bytes] = {}
    for chunk in _chunks(data, name):
        texts.setdefault(_keyword(chunk), chunk.data.partition(b"\0")[2])
    keyword = next((keyword for keyword in _CARD_KEYWORDS if keyword in texts), None)
    if not keyword:
        raise CardError("{file} is a picture without a character card: choose one that was saved as a card", file=name)
    text = re.sub(rb"\s+", b"", texts[keyword])
    try:
        card = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise CardError(
            "{file}: what stands under {keyword!r} is not base64: save the card again",
            file=name,
            keyword=keyword.decode(),
        ) from error
    return _bounded(card, name)


def _bounded(card: bytes, name: str) -> bytes:
    if len(card) > MAX_JSON_BYTES:
        raise CardError(
            "{file}: the card has more than {most} MB of text: shorten it", file=name, most=MAX_JSON_BYTES // 1_000_000
        )
    return card


def _unzip(data: bytes, name: str) -> dict[str, bytes]:
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_archive(entries, name)
            return {entry.filename: _read(archive, entry) for entry in entries}
    except (BadZipFile, NotImplementedError, OSError, ValueError, EOFError, zlib.error, struct.error) as error:
        raise CardError("{file} is a damaged archive: get it again", file=name) from error


def _read(archive: ZipFile, entry: ZipInfo) -> bytes:
    """An entry of the size it claims to have; without a size `read` would inflate a bomb before it looks."""
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # other methods have no bound on what they inflate
        raise NotImplementedError
    with archive.open(entry) as file:
        return file.read(entry.file_size + 1)


def _check_archive(entries: Sequence[ZipInfo], name: str) -> None:
    """Raises: CardError: its names are unsafe, it needs a password, or it is made to fill the memory."""
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNPACKED_BYTES or len(entries) > MAX_FILES:
        raise CardError(
            "{file} unpacks to {size:.0f} MB in {count} files, and at most {most} MB in {files} are taken",
            file=name,
            size=size / 1e6,
            count=len(entries),
            most=MAX_UNPACKED_BYTES // 1_000_000,
            files=MAX_FILES,
        )
    seen: set[str] = set()
    for entry in entries:
        if entry.flag_bits & 1:
            raise CardError("{file} is protected by a password: save it without one", file=name)
        path = entry.orig_filename
        if not is_safe(path) or path in seen:
            raise CardError(
                "{file} holds a file called {path!r}, which no honest card does: do not use it",
                file=name,
                path=path[:100],
            )
        seen.add(path)


def is_safe(path: str) -> bool:
    """Whether a path in an archive names something in it, and just one thing."""
    parts = path.split("/")
    return not re.search(r"[\\\0-\x1f\x7f\ud800-\udfff]|^\w:", path) and not {"", ".", ".."} & set(parts)
