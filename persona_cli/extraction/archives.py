"""Zip archives that are documents: opened only when they unpack to a bearable size."""

import io
import posixpath
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

from persona_cli.extraction.blocks import Unreadable

MAX_UNPACKED = 300_000_000
"""Bytes that all entries of an archive may have together."""
MAX_RATIO = 200
"""How many times larger than its packed form an archive above `HARMLESS` bytes may be. The XML of real documents packs
to a tenth, that of monotonous sheets to a fortieth."""
HARMLESS = 20_000_000

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_PROTECTED_NAMES = frozenset({"META-INF/rights.xml", "META-INF/license.lcpl"})


def open_archive(data: bytes) -> ZipFile:
    """The archive, of which nothing has been unpacked yet. Names of its entries are never paths.

    Raises:
        Unreadable: it is no archive, needs a password, or is made to fill the memory.
    """
    if data.startswith(_OLE):  # how Microsoft's programs wrap a document that has a password
        raise Unreadable("protected" if _ENCRYPTED in data else "damaged")
    try:
        archive = ZipFile(io.BytesIO(data))
    except (BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise Unreadable("damaged") from error
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED or (unpacked > HARMLESS and unpacked > MAX_RATIO * len(data)):
        raise Unreadable("too large")
    if any(map(_is_protected, entries)) or _has_password(archive):
        raise Unreadable("protected")
    return archive


def parse(archive: ZipFile, name: str, parser: expat.XMLParserType) -> None:
    """Let a parser run over an entry, a piece at a time. A document type is refused: documents have none."""

    def refuse(*_: object) -> None:
        raise Unreadable("damaged")

    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    with archive.open(name) as entry:
        parser.ParseFile(entry)


def elements(archive: ZipFile, name: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Local name, attributes by local name, and text of each element of a small entry; none when it is not there.

    Of two attributes of one local name (`id`, `r:id`) the one in a namespace counts.
    """
    if name in archive.namelist():
        for element in ElementTree.fromstring(archive.read(name)).iter():
            items = sorted(element.items(), key=lambda item: "}" in item[0])
            attributes = {key.rpartition("}")[2]: value for key, value in items}
            yield element.tag.rpartition("}")[2], attributes, element.text or ""


def related(archive: ZipFile, name: str, kind: str) -> list[str]:
    """The entries that an entry of one of Microsoft's archives refers to as of a kind; the archive itself is ""."""
    return [target for _, its_kind, target in relations(archive, name) if its_kind == kind]


def relations(archive: ZipFile, name: str) -> Iterator[tuple[str, str, str]]:
    """Id, kind and entry of what an entry of the archive refers to within it."""
    folder, base = posixpath.split(name)
    for element, attributes, _ in elements(archive, f"{folder}/_rels/{base}.rels".lstrip("/")):
        if element == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"])).lstrip("/")
            yield attributes["Id"], attributes["Type"].rpartition("/")[2], target


def _is_protected(entry: ZipInfo) -> bool:
    return bool(entry.flag_bits & 1) or entry.filename in _PROTECTED_NAMES


def _has_password(archive: ZipFile) -> bool:
    return any(name == "encryption-data" for name, _, _ in elements(archive, "META-INF/manifest.xml"))
