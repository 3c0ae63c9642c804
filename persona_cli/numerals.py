"""Numerals: their words in Korean and English, and their values."""

import re
from fractions import Fraction

MAX_DIGITS = 18
"""Digits of a number that count; of a longer one the first."""
DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"

SINO = "영일이삼사오육칠팔구"
POWERS = {"십": 10, "백": 100, "천": 1000}
MYRIADS = {"만": 10**4, "억": 10**8, "조": 10**12}
NATIVE = {"한": 1, "두": 2, "세": 3, "네": 4, "하나": 1, "둘": 2, "셋": 3, "넷": 4, "다섯": 5, "여섯": 6, "일곱": 7}
NATIVE |= {"여덟": 8, "아홉": 9, "석": 3, "넉": 4}
TENS = {"열": 10, "스무": 20, "스물": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80}
TENS |= {"아흔": 90}
DAYS = {"하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "열흘": 10, "보름": 15}


def _numbered(words: str, first: int = 1, step: int = 1) -> dict[str, int]:
    return {word: first + step * n for n, word in enumerate(words.split())}


CARDINALS = _numbered(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
) | _numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
ORDINALS = _numbered(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth"
) | {"thirtieth": 30}
DECADES = _numbered("twenties thirties forties fifties sixties seventies eighties nineties", 20, 10)
WORDS = CARDINALS | ORDINALS | DECADES | {"twice": 2, "thrice": 3}
SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SUFFIXES = {"k": 10**3, "m": 10**6, "bn": 10**9, "b": 10**9}
MONTHS = _numbered("jan feb mar apr may jun jul aug sep oct nov dec")
WEEKDAYS = _numbered("mon tue wed thu fri sat sun", 0) | _numbered("월 화 수 목 금 토 일", 0)


def fraction(digits: str) -> Fraction:
    """The value of a number in digits, with or without commas."""
    return Fraction(digits.replace(",", "")[:MAX_DIGITS].rstrip("."))


def korean_value(numeral: str) -> Fraction:
    """The value of Sino-Korean numerals mixed with digits, such as "3만 5천" or "이십오"."""
    total = section = digit = Fraction(0)
    for token in re.findall(rf"{DIGITS}|[가-힣]", numeral):
        if token in MYRIADS:
            total += (section + digit or 1) * MYRIADS[token]
            section = digit = Fraction(0)
        elif token in POWERS:
            section += (digit or 1) * POWERS[token]
            digit = Fraction(0)
        else:
            digit = Fraction(SINO.index(token)) if token in SINO else fraction(token)
    return total + section + digit


def native_value(numeral: str) -> Fraction:
    """The value of a native Korean numeral, such as "스물다섯"."""
    tens = next((t for t in TENS if numeral.startswith(t)), "")
    return Fraction(TENS.get(tens, 0) + NATIVE.get(numeral[len(tens) :], 0))


def english_value(numeral: str) -> Fraction:
    """The value of English number words; "nineteen ninety-eight" and the like are read as years."""
    total = section = 0
    for token in re.findall(r"[a-z]+", numeral.lower()):
        if token in SCALES and SCALES[token] > 100:
            total, section = total + (section or 1) * SCALES[token], 0
        elif token in SCALES:
            section = (section % 100 or 1) * SCALES[token]
        elif token in WORDS:
            follows_century = 0 < section < 100 and WORDS[token] >= 10
            section = section * 100 + WORDS[token] if follows_century else section + WORDS[token]
    return Fraction(total + section)


def small(text: str) -> int:
    """The value of an hour, minute, day, month or year in digits or words."""
    text = text.strip()
    if digits := re.match(r"\d{1,4}", text):
        return int(digits[0])
    if re.match("[a-zA-Z]", text):
        return int(english_value(text))
    if text in ("유", "시"):  # 유월, 시월
        return 6 if text == "유" else 10
    return int(native_value(text) or korean_value(text))
