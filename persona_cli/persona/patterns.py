"""Patterns that strangers wrote: only those are run of which it is known beforehand that they cannot take long.

A backtracking engine tries, from every place in a line, each way in which the quantifiers and alternatives of a pattern
can share out the text. So the ways are counted first, as if none of them would fail early. A pattern with too many is
taken for plain text, and so is one with a group that is repeated, a look-around or a back-reference. All patterns of a
lorebook share one budget, and they see the last lines of a conversation only, each cut to a length.
"""

import re
import unicodedata

MAX_CHARS = 200
"""Of a pattern."""
LINE_CHARS = 200
"""Of a line that is searched; a match does not go over lines."""
SCANNED_CHARS = 2_000
MAX_COST = 20_000
"""Of one pattern: its ways times its length."""
BOOK_COST = 100_000
"""Of all patterns of a lorebook."""

_DELIMITED = re.compile(r"/((?:[^/\\]|\\.)+)/([gimsuy]*)", re.DOTALL)
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""An escape, or a class of characters."""
_DOUBTFUL = re.compile(r"\\[1-9kgN]|\(\?(?!:)|\[[^\]]*(?:\[|--|&&|\|\||~~)", re.DOTALL)
"""References, groups with a meaning of their own, and what Python warns of in classes."""
_TOKEN = re.compile(r"\(\?:|[()|?]|[*+]\??|\{(\d*)(,?)(\d*)\}\??")
_REPEATED_GROUP = re.compile(r"\)[*+{]")


class Budget:
    """What the patterns of one lorebook may cost together."""

    def __init__(self) -> None:
        self._left = BOOK_COST

    def takes(self, cost: int) -> bool:
        """Whether there is room for one more, which then has it."""
        if cost > min(self._left, MAX_COST):
            return False
        self._left -= cost
        return True


def compile_key(key: str, is_cased: bool, is_regex: bool, budget: Budget) -> re.Pattern[str] | None:
    """The pattern that a key is; None when it is to be taken for plain text.

    Args:
        is_cased: of a key between slashes its own flags tell that.
        is_regex: it is one even if it does not stand between slashes, provided that there is anything special in it:
            some programs mark all keys so.
    """
    key = unicodedata.normalize("NFC", key)
    found = _DELIMITED.fullmatch(key) if len(key) < MAX_CHARS else None
    pattern, flags = (found[1], found[2]) if found else (key, "" if is_cased else "i")
    if len(pattern) > MAX_CHARS or not (found or (is_regex and _SPECIAL.search(pattern))) or _DOUBTFUL.search(pattern):
        return None
    cost = _cost(pattern)
    if cost is None or not budget.takes(cost):
        return None
    try:
        return re.compile(pattern, (re.I if "i" in flags else 0) | (re.S if "s" in flags else 0))
    except (re.error, OverflowError):
        return None


def lines_of(text: str) -> list[str]:
    """What of a text is searched."""
    return [line[:LINE_CHARS] for line in unicodedata.normalize("NFC", text[-SCANNED_CHARS:]).splitlines()]


def _cost(pattern: str) -> int | None:
    """At most how many steps a pattern takes from one place in a line; None for one whose steps are not counted."""
    plain = _ATOM.sub("x", pattern)
    if _REPEATED_GROUP.search(plain):
        return None
    ways, length = 1, len(pattern)
    alternatives = [1]
    for token in _TOKEN.finditer(plain):
        match token[0][0]:
            case "(":
                alternatives.append(1)
            case "|":
                alternatives[-1] += 1
            case ")":
                ways *= alternatives.pop()
                if not alternatives:
                    return None
            case "?":
                ways *= 2
            case "{":
                least = int(token[1] or 0)
                most = int(token[3]) if token[3] else LINE_CHARS if token[2] else least
                ways *= max(1, min(most, LINE_CHARS) - least + 1)
                length += least
            case _:  # "*" and "+"
                ways *= LINE_CHARS
    return ways * alternatives[0] * length
