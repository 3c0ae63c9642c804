"""The text of a card's notes: cleaned, and told from the decorators that may stand above it."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

Position = Literal["before_char", "after_char", "at_depth"]
Role = Literal["system", "user", "assistant"]

ROLES: Sequence[Role] = ("system", "user", "assistant")
POSITIONS: Mapping[str, Position] = {"before_desc": "before_char", "after_desc": "after_char"}

_INVISIBLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
"""Control characters, what turns the direction of a text, and spaces of no width."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECORATOR = re.compile(r"(@@@?)([A-Za-z_]+)[ \t]*(.*)")
_FLAGS = frozenset({"activate", "dont_activate", "constant", "ignore_on_max_context"})
_NUMBERS = frozenset({"depth", "scan_depth", "activate_only_after", "activate_only_every", "is_greeting"})
_LISTS = frozenset({"additional_keys", "exclude_keys"})
_CONDITIONS = {*_LISTS, "dont_activate", "activate_only_after", "activate_only_every", "is_greeting"}
"""What `@@activate` overrules."""


def clean(text: str) -> str:
    """A text in NFC, with newlines as `\\n`, and without what a reader cannot see, nor white space at its ends."""
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text.replace("\r\n", "\n")))
    return unicodedata.normalize("NFC", text).strip()


def split(content: str) -> tuple[str, dict[str, str]]:
    """A note's text, and the values of its decorators by name.

    Of each name the first counts. One that is not known, or has a value of no use, gives way to the fallbacks (`@@@`)
    below it.
    """
    decorators: dict[str, str] = {}
    lines = clean(content).split("\n")
    is_settled = True
    for number, line in enumerate(lines):
        found = _DECORATOR.fullmatch(line.strip())
        if not found and line.strip():
            return clean("\n".join(lines[number:])), _effective(decorators)
        if found and (found[1] == "@@" or not is_settled):
            name, value = found[2].lower(), found[3].strip()
            is_settled = _is_known(name, value)
            if is_settled:
                decorators.setdefault(name, value)
    return "", _effective(decorators)


def whole(value: object) -> int | None:
    """A whole number from 0 on, as a number or written; None for anything else."""
    if isinstance(value, str):
        return int(value) if re.fullmatch("[0-9]{1,9}", value.strip()) else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None


def count(value: object) -> int | None:
    """The same from 1 on: some editors write 0 for what is not set."""
    return whole(value) or None


def _is_known(name: str, value: str) -> bool:
    return (
        (name in _NUMBERS and whole(value) is not None)
        or (name in _FLAGS and value.lower() != "false")
        or (name in _LISTS and bool(value))
        or (name == "role" and value in ROLES)
        or (name == "position" and value in POSITIONS)
    )


def _effective(decorators: dict[str, str]) -> dict[str, str]:
    if "activate" not in decorators:
        return decorators
    return {name: value for name, value in decorators.items() if name not in _CONDITIONS}
