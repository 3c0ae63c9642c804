"""Documents that are cut off, locked, hostile or empty: each refused in one clear line."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from zipfile import ZipFile

import pytest

from persona_cli.errors import LoadError, NoWords
from persona_cli.loading import load
from tests.binary_files import compound, hwp, pdf
from tests.office_files import archive, docx, epub, odt, pptx, xlsx
from tests.stories import STORY, WRITERS


def with_entry(data: bytes, name: str, text: str) -> bytes:
    """An archive with one more entry, or with another instead."""
    with ZipFile(BytesIO(data)) as packed:
        return archive({**{old: packed.read(old) for old in packed.namelist()}, name: text})


def too_large(data: bytes) -> bytes:
    """An archive that says its last entry unpacks to nearly four gigabytes."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + b"\xf0\xff\xff\xff" + data[at + 28 :]


ENTITY = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/hostname">]><d>&e;</d>'
DAMAGED = "damaged or cut off, or not a {} file at all"
PROTECTED = "protected by a password"
MANIFEST = '<manifest xmlns="urn:m"><file-entry full-path="content.xml"><encryption-data/></file-entry></manifest>'


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.docx", docx("글")[:-30], DAMAGED),
        ("a.docx", b"PK\x03\x04" + bytes(100), DAMAGED),
        ("a.docx", archive({"a.txt": "글"}), DAMAGED),
        ("a.docx", with_entry(docx("글"), "word/document.xml", ENTITY), DAMAGED),
        ("a.docx", with_entry(docx("글"), "bomb.bin", "a" * 30_000_000), "too large when unpacked"),
        ("a.xlsx", too_large(xlsx({"a": {"A1": "글"}})), "too large when unpacked"),
        ("a.docx", compound({"EncryptionInfo": b"", "EncryptedPackage": b"x"}), PROTECTED),
        ("a.xlsx", compound({"EncryptionInfo": b"", "EncryptedPackage": b"x"}), PROTECTED),
        ("a.pptx", compound({"PowerPoint Document": b"an older form"}), DAMAGED),
        ("a.odt", with_entry(odt("<text:p>글</text:p>"), "META-INF/manifest.xml", MANIFEST), PROTECTED),
        ("a.epub", with_entry(epub({"a": "<p>글</p>"}), "META-INF/rights.xml", "<rights/>"), PROTECTED),
        ("a.pdf", pdf(["글"])[:-60], DAMAGED),
        ("a.pdf", b"%PDF-1.7\n" + bytes(100), DAMAGED),
        ("a.pdf", pdf(["글"], encrypted=True), PROTECTED),
        ("a.hwp", hwp("글", flags=3), PROTECTED),
        ("a.hwp", hwp("글", flags=5), PROTECTED),
        ("a.hwp", b"HWP Document File V3.00 \x1a" + bytes(100), DAMAGED),
        ("a.rtf", b"{\\rtf1 one}{", DAMAGED),
        ("a.rtf", b"no rtf", DAMAGED),
        ("a.xls", b"<table><tr><td>no workbook</td></tr></table>", DAMAGED),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(name, data)
    assert str(caught.value) == reason.format(name[1:])


def test_pictures_of_text_are_no_text() -> None:
    with pytest.raises(NoWords, match=r"^there is no text in it, only pictures$"):
        load("scan.pdf", pdf([], [], picture=True))


@pytest.mark.parametrize("data", [pdf([]), docx(), docx(" "), b"<p> </p>", xlsx({"a": {}}), hwp(" ")])
def test_a_document_without_words_is_empty(data: bytes) -> None:
    kinds = {b"%PDF": "a.pdf", b"<p> ": "a.html", b"\xd0\xcf\x11\xe0": "a.hwp"}
    name = kinds.get(data[:4], "a.xlsx" if b"workbook" in data else "a.docx")
    with pytest.raises(NoWords, match=r"^empty$"):
        load(name, data)


def valid() -> Iterator[tuple[str, bytes]]:
    yield from ((f"a{suffix}", write(STORY)) for suffix, write in WRITERS.items())
    yield "a.pdf", pdf(["첫 쪽의 글"], ["둘째 쪽의 글"])
    yield "a.pptx", pptx([("제목", ["글"], "노트")])
    yield "a.xlsx", xlsx({"FAQ": {"A1": "글", "B2": 1.0}})


BINARY: Sequence[tuple[str, bytes]] = [(name, data) for name, data in valid() if name != "a.html"]


@pytest.mark.parametrize(("name", "data"), BINARY, ids=[name for name, _ in BINARY])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.97])
def test_nothing_is_taken_from_a_file_that_is_cut_off(name: str, data: bytes, part: float) -> None:
    with pytest.raises(LoadError) as caught:
        load(name, data[: int(part * len(data))])
    assert not isinstance(caught.value, NoWords)
