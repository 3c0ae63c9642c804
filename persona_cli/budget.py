"""How much fits: tokens, estimated, since every model counts its own."""

import re
from collections.abc import Sequence
from typing import TypeVar

WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\U0001f000-\U0003ffff]")
"""Hangul, Han, kana and emoji: about a token each in today's vocabularies."""
NARROW_CHARS = 3
"""Characters of other scripts to a token; English has about four."""
MESSAGE_TOKENS = 4
"""What a message costs beside its text."""

T = TypeVar("T")


def tokens_of(text: str) -> int:
    """About how many tokens a text is; rather more than less."""
    wide = len(WIDE.findall(text))
    return wide + -(-(len(text) - wide) // NARROW_CHARS)


def shorten(text: str, tokens: int) -> str:
    """The beginning of a text that is at most so many tokens, an ellipsis where something was left out."""
    if tokens_of(text) <= tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens_of(text[:middle]) < tokens else (low, middle - 1)
    return f"{text[:low].rstrip()}…" if tokens > 0 else ""


def fitting(texts: Sequence[str], tokens: int) -> int:
    """How many of the texts, from the first one on, are together at most so many tokens."""
    for count, text in enumerate(texts):
        tokens -= tokens_of(text) + MESSAGE_TOKENS
        if tokens < 0:
            return count
    return len(texts)
