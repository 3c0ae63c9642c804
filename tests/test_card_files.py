"""PNG, APNG and CHARX: what goes in comes out, and what is damaged or hostile is refused in one line."""

import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.errors import CardError
from persona_cli.persona import card_files
from persona_cli.persona.card_files import pack_charx, pack_png, plain_picture, unpack
from tests.cards import V1, V2, V3, as_json, card_texts, chunk, chunks_of, picture, text_chunk

CARD = as_json(V2)
PNG = picture(text_chunk("chara", CARD))


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(CardError) as caught:
        unpack(data, "card.xyz")
    message = str(caught.value)
    assert "card.xyz" in message
    assert "\n" not in message
    return message


def test_a_picture_of_two_megabytes_keeps_every_other_chunk_and_what_stands_behind_it() -> None:
    noise = random.Random(7).randbytes(2_000_000)
    before = picture(text_chunk("Chara", as_json(V1)), text_chunk("CCV3", as_json(V3)), pixels=noise, tail=b"tail")
    after = pack_png(before, {"chara": CARD, "ccv3": as_json(V3)})
    others = [part for part in chunks_of(before) if part[1].partition(b"\0")[0].lower() not in (b"chara", b"ccv3")]
    made = chunks_of(after)
    assert [*made[:-3], made[-1]] == others
    assert after.endswith(chunk(b"IEND", b"") + b"tail")
    assert card_texts(after) == {"chara": V2, "ccv3": V3}
    assert unpack(after, "").picture == after


def test_the_v3_text_wins_whatever_the_order_and_the_case() -> None:
    both = picture(text_chunk("chara", CARD), text_chunk("ccV3", as_json(V3)))
    assert unpack(both, "").card == as_json(V3)
    assert unpack(PNG, "").card == CARD


def test_base64_may_lack_its_padding_and_be_broken_into_lines() -> None:
    text = chunk(b"tEXt", b"chara\0eyJu\nIjoi\nMSJ9IA")
    assert unpack(picture(text), "").card == b'{"n":"1"} '


def test_a_plain_picture_is_a_picture() -> None:
    (_, header), (_, pixels), _ = chunks_of(plain_picture())
    width, height = struct.unpack(">II", header[:8])
    assert len(zlib.decompress(pixels)) == height * (1 + 3 * width)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PNG[:-1], "cut off at byte"),
        (PNG[:200], "cut off at byte 200: get it again"),
        (PNG[: len(card_files.PNG_SIGNATURE)], "cut off"),
        (PNG[:30] + b"\0" + PNG[31:], "damaged at byte 8: get it again"),
        (PNG[:8] + struct.pack(">I", 2**31) + PNG[12:], "cut off"),
        (picture(), "a picture without a character card"),
        (picture(chunk(b"tEXt", b"chara\0{no base64}")), "under 'chara' is not base64"),
        (picture(chunk(b"tEXt", b"chara\0aGk")) + PNG, ""),
        (archive({"other.json": CARD}), "holds no card.json"),
        (archive({"card.json": CARD})[:-30], "damaged archive"),
        (archive({"card.json": CARD}, zipfile.ZIP_LZMA), "damaged archive"),
        (archive({"card.json": b"\0" * 10_000_001}), "more than 10 MB"),
        (archive({"card.json": CARD, "a": b"\0" * 100_000_000}), "unpacks to 100 MB in 2 files"),
        (archive({"card.json": CARD, **{f"a/{n}": b"" for n in range(5_000)}}), "5001 files"),
        (b"{" * 10_000_001, "more than 10 MB"),
        (b"{" * 50_000_001, "more than 50 MB"),
        *(
            (archive({"card.json": CARD, path: b""}), "no honest card")
            for path in ("/etc/x", "../x", "a/../../x", "C:/x")
        ),
        *((archive({"card.json": CARD, path: b""}), "no honest card") for path in ("a\\..\\x", "a//x", "./x", "a\n")),
    ],
)
def test_what_is_damaged_or_hostile_is_refused_in_one_line(data: bytes, message: str) -> None:
    if message:
        assert message in refusal(data)
    else:
        assert unpack(data, "").card == b"hi"


def test_every_way_to_cut_a_picture_short_is_noticed() -> None:
    for end in range(len(card_files.PNG_SIGNATURE), len(PNG)):
        assert "cut off" in refusal(PNG[:end])


def test_an_archive_keeps_its_files_and_is_never_written_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"assets/icon/images/main.png": PNG, "assets/other/노트.bin": bytes(range(256)), "module.json": b"{}"}
    parts = unpack(pack_charx(CARD, files), "")
    assert (parts.card, parts.files, parts.picture) == (CARD, files, None)
    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_name_and_a_password_are_refused() -> None:
    twice = bytearray(archive({"card.json": CARD, "card.jsoN": CARD}))
    assert "no honest card" in refusal(bytes(twice.replace(b"card.jsoN", b"card.json")))
    locked = bytearray(archive({"card.json": CARD}))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert "protected by a password" in refusal(bytes(locked))


def test_an_archive_that_lies_about_its_sizes_does_not_fill_the_memory() -> None:
    """A deflated stream of 100 MB that claims to be 10 bytes long is not inflated beyond them."""
    bomb = bytearray(archive({"card.json": b"\0" * 100_000_000}))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = bomb.index(mark) + place
        bomb[at : at + 4] = struct.pack("<I", 10)
    tracemalloc.start()
    assert "damaged archive" in refusal(bytes(bomb))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_raises_anything_but_a_known_failure(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([PNG, pack_charx(CARD, {"a": b"1" * 300})]))
    broken = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    with suppress(CardError):
        unpack(bytes(broken[: data.draw(st.integers(0, len(whole)))]), "x")
