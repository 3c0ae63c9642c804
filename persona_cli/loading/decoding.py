"""Bytes → text in one form, whatever program, country or decade the file comes from."""

import codecs
import re
import unicodedata
from contextlib import suppress

from persona_cli.errors import LoadError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the first half of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSES = (
    # Without the rarer Western code pages first: charset-normalizer reads short French as Polish when both are offered.
    ["cp1252", "cp1251", "cp932", "euc_jp", "gb18030", "big5"],
    ["cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "koi8_r", "cp874"],
)
_CONTROL_BYTES = bytes(sorted({*range(0x20), 0x7F} - set(b"\t\n\v\f\r\x1b")))
_STRAY = 20
"""One broken or control character in this many is damage; more, and it is not that encoding or no text at all."""

_SPACING_CONTROLS = re.compile("[\v\f\x1c-\x1f\x85]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ufeff]")  # U+FEFF inside a text is a mark left by joining files
_NO_CHARACTERS = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_CHAT_JAMO = frozenset("ㄱㄴㄷㅂㅅㅇㅈㅋㅎㅏㅗㅜㅠ")
_SAMPLE_CHARS = 20_000


def decode(data: bytes) -> str:
    """The text of a file, cleaned (see `clean`).

    Raises:
        LoadError: the bytes are no text, or text in an encoding that cannot be told.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return clean(data[len(mark) :].decode(encoding, "replace"))
    for read in (_utf8, _utf16, _korean):
        if (text := read(data)) is not None:
            return clean(text)
    if _is_binary(data):
        raise LoadError("binary, not text")
    return clean(_guess(data))


def clean(text: str) -> str:
    """The text in NFC, with newlines as `\\n`, and without control characters or what is no character.

    A lone surrogate (JSON escapes carry them) or a noncharacter becomes U+FFFD. Every newline stays a newline and none
    is added, so lines keep their numbers.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _SPACING_CONTROLS.sub(" ", text))
    return unicodedata.normalize("NFC", _NO_CHARACTERS.sub("\ufffd", text))


def _utf8(data: bytes) -> str | None:
    return None if _has_many_controls(data) else _nearly(data, "utf-8")


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: its spaces and newlines hold NUL bytes, and are ASCII in the right byte order only."""
    if b"\0" not in data or len(data) % 2:
        return None
    text = max((data.decode(order, "replace") for order in ("utf-16-le", "utf-16-be")), key=_count_ascii)
    is_text = "\ufffd" not in text and _count_ascii(text) * _STRAY >= len(text)
    return text if is_text and not _has_many_controls(text.encode()) else None


def _korean(data: bytes) -> str | None:
    """CP949 (EUC-KR is a part of it), when that gives Korean words.

    Nearly any bytes of another legacy encoding are CP949 too, but come out as Hanja and as syllables nobody writes.
    """
    text = _nearly(data, "cp949") or ""
    letters = [char for char in text[:_SAMPLE_CHARS] if char.isalpha() and not char.isascii()]
    jamo = sum(char in _CHAT_JAMO for char in letters)
    syllables = sum("가" <= char <= "힣" for char in letters)
    common = sum(map(_is_common_syllable, letters))
    is_korean = 5 * (jamo + syllables) >= 4 * len(letters) and 2 * (jamo + common) >= len(letters)
    return text if letters and is_korean else None


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes  # 25 ms, and hardly a file comes this far

    for encodings in _GUESSES:
        if found := from_bytes(data, cp_isolation=encodings, enable_fallback=False).best():
            return str(found)
    raise LoadError("encoding not recognised")


def _nearly(data: bytes, encoding: str) -> str | None:
    """The text if it is in that encoding, give or take a damaged or cut off character."""
    with suppress(UnicodeDecodeError):
        return data.decode(encoding)
    text = data.decode(encoding, "replace")
    broken = text.count("\ufffd")
    whole = len(text) - _count_ascii(text) - broken
    return text if broken <= bool(whole) + whole // _STRAY else None


def _count_ascii(text: str) -> int:
    return len(text.encode("ascii", "ignore"))


def _is_common_syllable(char: str) -> bool:
    """Whether it is among the 2,350 syllables of KS X 1001; the codec spells the others in eight bytes."""
    return "가" <= char <= "힣" and len(char.encode("euc_kr")) == 2


def _has_many_controls(data: bytes) -> bool:
    controls = len(data) - len(data.translate(None, _CONTROL_BYTES))
    return controls * _STRAY > len(data)


def _is_binary(data: bytes) -> bool:
    return b"\0" in data or _has_many_controls(data)
