import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.errors import LoadError
from persona_cli.loading.decoding import clean, decode

LINES = ["유퀴즈하고 아쉬웠던 점은 무엇인가요?", "", "내 템포대로 쳐지면서 말했어야 하는데.", "café 3.5 — ★", "끝"]
KOREAN = ["네", "안녕", "ㅋㅋㅋ 네", "ㅇㅇ", "Q: 이름?\nA: 침착맨", "★ 오늘의 방송 ★", "뷁 똠방각하 펲시맨"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp949"])
def test_every_encoding_newline_and_form_gives_one_text(encoding: str, newline: str, form: str) -> None:
    lines = [line.replace("é", "e").replace("—", "-") if encoding == "cp949" else line for line in LINES]
    written = newline.join(lines)
    if encoding != "cp949":  # has no conjoining letters
        written = unicodedata.normalize(form, written)  # type: ignore[arg-type]
    assert decode(written.encode(encoding)) == "\n".join(lines)


@pytest.mark.parametrize("text", KOREAN)
@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_a_few_korean_letters_are_enough(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Ça va? Très bien, merci à tous."),
        ("cp1252", "it’s a “quoted” café"),
        ("cp1250", "Zażółć gęślą jaźń. Dzień dobry, jak się masz?"),
        ("cp1251", "Привет, как дела? Это русский текст."),
        ("koi8_r", "Привет, как дела? Это русский текст."),
        ("cp932", "こんにちは、元気ですか。私は日本人です。"),
        ("euc_jp", "こんにちは、元気ですか。私は日本人です。"),
        ("gbk", "你好，我是中国人。今天天气很好。"),
        ("big5", "你好，今天天氣很好。"),
        ("utf-16-be", "Привет, как дела?"),
    ],
)
def test_other_legacy_encodings_are_not_taken_for_korean(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_a_character_cut_off_at_the_end_does_not_spoil_a_file(encoding: str) -> None:
    assert decode("안녕하세요 여러분".encode(encoding)[:-1]) == "안녕하세요 여러\ufffd"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde", "binary, not text"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "binary, not text"),
        (bytes(40), "binary, not text"),
        (bytes(range(1, 32)) * 3, "binary, not text"),
        (bytes(range(128, 256)), "encoding not recognised"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(LoadError, match=f"^{reason}$"):
        decode(data)


def test_no_bytes_are_no_text() -> None:
    assert decode(b"") == decode(b"\xef\xbb\xbf") == ""


def test_a_replacement_character_in_a_file_is_no_damage() -> None:
    assert decode("\ufffd".encode()) == "\ufffd"


def test_a_stray_nul_does_not_make_a_text_binary() -> None:
    assert decode(b"one line of text\0 and its end") == "one line of text and its end"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd"),
        ("a\x00b\x1bc\ufeffd\x9f", "abcd"),
        ("a\x0bb\x0cc\x85d\x1ce", "a b c d e"),
        ("a\u2028b\u2029c", "a\u2028b\u2029c"),
        ("\ud800\udc00 \ufffe \ufdd0 \U0010ffff", "\ufffd\ufffd \ufffd \ufffd \ufffd"),
        ("e\x00\u0301", "é"),
        ("\ttab", "\ttab"),
    ],
)
def test_clean_keeps_lines_and_drops_what_is_no_character(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.binary())
@settings(deadline=None)
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        text = decode(data)
    except LoadError:
        return
    assert clean(text) == text
    text.encode()


@given(st.text(st.characters(exclude_categories=[])))
@settings(deadline=None)
def test_clean_changes_no_number_of_lines(text: str) -> None:
    assert clean(text).count("\n") == len(re.findall("\r\n|\r|\n", text))
    assert clean(clean(text)) == clean(text)
