"""The register of a Korean sentence, told by how its last word ends.

Of the listed endings the longest that fits decides: "-다" is plain style, but "-습니다" is not, and "바다" is no ending
at all. What is not listed has no register.

"""

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from persona_cli.persona.endings import ADDED_LAST, ENDINGS, REGISTERS, SHAPES, Register

__all__ = ["REGISTERS", "Ending", "Register", "ending_of", "register_of"]

V = TypeVar("V")

_MOST_ADDED = 2
_WORDS = 2 + _MOST_ADDED
_TAIL_CHARS = 80
_MARKS = " \n.!?~…,ㅋㅎㅠㅜ"
_AFTER = re.compile(r"(?:(?:lol|[:;=xX]-?[dDpP])(?![a-zA-Z])|[^가-힣0-9A-Za-z])+\Z", re.IGNORECASE)
_ASIDE = re.compile(r"(?<=\S)\s*[(\[（][^()\[\]（）]*[)\]）][^가-힣0-9A-Za-z]*\Z")
_STRETCHED = re.compile("([\u1161-\u1175])(?:\u110b\\1)+\\Z")
"""A vowel that is held: 합니다아아."""
_LAUGHED = re.compile("(?<!\u1107\u116e\u110b\u1165)\u11bf\\Z")
"""A ㅋ that slipped into the syllable before it: 했엌. 부엌 is no such thing."""
_FINALS = {
    letter: chr(0x11A8 + at) for at, letter in enumerate("ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
}


def _spelled(ending: str) -> str:
    """An ending of the table in the jamo of Unicode's decomposed form."""
    first = _FINALS.get(ending[0])
    return unicodedata.normalize("NFD", first + ending[1:] if first else ending)


_REGISTER_OF = {_spelled(ending): label for label, endings in ENDINGS.items() for ending in endings.split()}
_LONGEST = max(map(len, _REGISTER_OF))
_POLITE = ("hapsyo", "haeyo")
_CONNECTING = ("-니까", "-는데", "-ㄴ데", "-서", "-다고", "-라고")
"""Endings that tell a register only where nothing stands before them."""
_SHAPES = {_spelled(shape): f"-{shape}" for shape in SHAPES.split()}
_ADDED_LAST = frozenset(ADDED_LAST.split())


class Ending(NamedTuple):
    """How a sentence ends: its register, and the shape of its ending, such as "-거든요" or "-ㅂ니다"."""

    register: Register
    shape: str


def register_of(sentence: str) -> Register | None:
    """The register of a Korean sentence; None when its end does not tell, as with fragments and other languages."""
    ending = ending_of(sentence)
    return ending.register if ending else None


def ending_of(sentence: str) -> Ending | None:
    """How a Korean sentence ends; None when its end does not tell."""
    ending = _told(_last_words(sentence))
    if ending and ending.shape in _CONNECTING and "," in sentence:
        main = _told(_last_words(sentence.rpartition(",")[0]))  # "그냥 걸어요, 날이 좋으니까."
        return main if main and main.register in _POLITE else ending
    return ending


def _told(words: list[str]) -> Ending | None:
    for added in range(min(_MOST_ADDED + 1, len(words))):
        left, last = words[: len(words) - added], words[len(words) - added :]
        ending = _ending(left)
        if ending and (ending.register in _POLITE or all(word in _ADDED_LAST for word in last)):
            return ending
    return None


def _last_words(sentence: str) -> list[str]:
    """The last few words of a sentence without marks, laughter, emoji and asides after them."""
    tail = sentence[-_TAIL_CHARS:].rstrip(_MARKS)
    if tail and not "가" <= tail[-1] <= "힣":
        tail = _AFTER.sub("", _ASIDE.sub("", tail))
    return re.findall(r"[^\s,.!?…~]+", tail)[-_WORDS:] if tail and "가" <= tail[-1] <= "힣" else []


def _ending(words: list[str]) -> Ending | None:
    jamo = _LAUGHED.sub("", unicodedata.normalize("NFD", "__" + "_".join(words)))
    for spelled in (jamo, _STRETCHED.sub(r"\1", jamo)):
        if register := _longest(_REGISTER_OF, spelled):
            return Ending(register, _longest(_SHAPES, spelled) or "")
    return None


def _longest(table: Mapping[str, V], jamo: str) -> V | None:
    """What a table says of the longest of its endings that fits."""
    found = (jamo[-length:] for length in range(min(_LONGEST, len(jamo)), 0, -1))
    return next((table[ending] for ending in found if ending in table), None)
