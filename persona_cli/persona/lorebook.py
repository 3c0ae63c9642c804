"""The lorebook of a character card: notes that are told to a model when a conversation touches one of their keys."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from persona_cli.budget import tokens_of
from persona_cli.persona import notes, patterns
from persona_cli.persona.notes import Position, Role

MAX_SCANNED_CHARS = 10_000
"""Of a conversation, its end."""
MAX_ROUNDS = 3
"""How often entries that matched may bring in others."""
AT_DEPTH = 4
"""SillyTavern's number for the place among the messages."""
MAX_DEPTH = 100
"""A scan depth above it means the whole conversation."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\u2fff\u3005-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[^\W{_UNSPACED}]+")
"""A word of a script that writes spaces between words. Korean does too, but its particles stick to the words."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key: words as they are looked up, or a pattern.

    Attributes:
        words: as `_folded` gives them; empty for a pattern.
    """

    words: str
    is_cased: bool = False
    pattern: re.Pattern[str] | None = None

    def is_in(self, text: "Scanned") -> bool:
        """Whether it comes up in a text."""
        if self.pattern:
            return any(self.pattern.search(line) for line in text.lines)
        return self.words in (text.cased if self.is_cased else text.folded)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A note.

    Attributes:
        keys: one of them must come up.
        secondary: so must one of these, where there are any; `logic` 1 to 3 wants not all, none or all of them instead.
        content: the note, NFC, without decorators; placeholders such as `{{user}}` are still in it.
        order: lower is higher up in the prompt.
        priority: lower is left out first when the notes are too many.
        position: where it belongs: before or behind who the character is, or among the messages.
        depth: with "at_depth", how many messages come behind it.
        role: whose message it is there.
        scan_depth: how many of the last messages are searched for its keys; None as the book says.
        constant: it is told whatever comes up.
        more: what must come up beside a key (`@@additional_keys`).
        never: what must not come up (`@@exclude_keys`).
        after, every: after how many messages of the character, and to every which one of them, it is told.
        recursive: whether other entries' texts may bring it in; `spreads`, whether its text may bring in others.
    """

    keys: tuple[Key, ...]
    content: str
    secondary: tuple[Key, ...] = ()
    logic: int = 0
    order: float = 0
    priority: float = 0
    position: Position = "before_char"
    depth: int | None = None
    role: Role = "system"
    scan_depth: int | None = None
    enabled: bool = True
    constant: bool = False
    more: tuple[Key, ...] = ()
    never: tuple[Key, ...] = ()
    after: int = 0
    every: int = 1
    recursive: bool = True
    spreads: bool = True


class Scanned:
    """A text that keys are looked up in.

    Args:
        is_chat: patterns are looked up in it too; in other entries' texts they are not.
    """

    def __init__(self, text: str, is_chat: bool = True) -> None:
        self._text = text[-MAX_SCANNED_CHARS:]
        self._is_chat = is_chat

    @cached_property
    def folded(self) -> str:
        """It without the difference of capitals."""
        return _folded(self._text, is_cased=False)

    @cached_property
    def cased(self) -> str:
        """It with that difference."""
        return _folded(self._text, is_cased=True)

    @cached_property
    def lines(self) -> list[str]:
        """What patterns see of it."""
        return patterns.lines_of(self._text) if self._is_chat else []


@dataclass(frozen=True, slots=True)
class Lorebook:
    """Entries, and how they are chosen.

    Attributes:
        scan_depth: how many of the last messages are searched; None for all.
        token_budget: of what is told at once; None for no bound.
        is_recursive: whether entries bring in others.
    """

    entries: Sequence[Entry]
    name: str = ""
    scan_depth: int | None = None
    token_budget: int | None = None
    is_recursive: bool = False

    def matching(
        self, texts: Sequence[str], *, budget_chars: int | None = None, answers: int | None = None
    ) -> list[Entry]:
        """The entries that a conversation calls for, in the order they are to be told in.

        Args:
            texts: the messages so far, the last one last.
            budget_chars: how long they may be together, beside the book's own budget.
            answers: how many messages of the character there have been; None when that is not known.
        """
        windows: dict[int, Scanned] = {}

        def window(entry: Entry) -> Scanned:
            depth = min(entry.scan_depth or self.scan_depth or MAX_DEPTH + 1, MAX_DEPTH + 1)
            if depth not in windows:
                windows[depth] = Scanned("\n".join(texts if depth > MAX_DEPTH else texts[-depth:]))
            return windows[depth]

        waiting = [entry for entry in self.entries if _may(entry, answers)]
        found = [entry for entry in waiting if _matches(entry, window(entry))]
        news = found
        for _ in range(MAX_ROUNDS if self.is_recursive else 0):
            text = Scanned("\n".join(entry.content for entry in news if entry.spreads), is_chat=False)
            known = set(found)
            waiting = [entry for entry in waiting if entry.recursive and entry not in known]
            news = [entry for entry in waiting if _matches(entry, text)]
            found = [*found, *news]
            if not news:
                break
        kept = set(self._within_budget(found, budget_chars))
        return [entry for entry in sorted(self.entries, key=lambda entry: entry.order) if entry in kept]

    def _within_budget(self, found: Iterable[Entry], budget_chars: int | None) -> list[Entry]:
        """The entries that may stay: those of the lowest priority go first."""
        kept = sorted(found, key=lambda entry: (-entry.priority, entry.order))
        limits: list[tuple[int | None, Callable[[str], int]]] = [(budget_chars, len), (self.token_budget, tokens_of)]
        for most, measure in limits:
            if most is None:
                continue
            kept = [entry for entry in kept if measure(entry.content) <= most]  # such a one can never be told
            left, fits = most, 0
            for entry in kept:
                left -= measure(entry.content)
                fits += left >= 0
            kept = kept[:fits]
        return kept


def parse_lorebook(book: Mapping[str, Any]) -> Lorebook:
    """The lorebook in a card that has been validated."""
    budget = patterns.Budget()
    return Lorebook(
        [_entry(entry, budget) for entry in book["entries"]],
        name=book.get("name") or "",
        scan_depth=notes.count(book.get("scan_depth")),
        token_budget=notes.count(book.get("token_budget")),
        is_recursive=bool(book.get("recursive_scanning")),
    )


def _entry(raw: Mapping[str, Any], budget: patterns.Budget) -> Entry:
    """An entry; what SillyTavern keeps in its extensions counts too, for its exports put depth and the like there."""
    own = raw.get("extensions") or {}
    content, decorators = notes.split(raw.get("content") or "")
    is_cased = bool(raw.get("case_sensitive") or own.get("case_sensitive"))
    keys_of = partial(_keys, is_cased=is_cased, is_regex=bool(raw.get("use_regex")), budget=budget)
    order = raw.get("insertion_order") or 0
    priority = order if raw.get("priority") is None else raw["priority"]
    position, depth = _place(raw, own, decorators)
    return Entry(
        keys_of(raw.get("keys")),
        content,
        secondary=keys_of(raw.get("secondary_keys")) if raw.get("selective") else (),
        logic=notes.whole(own.get("selectiveLogic")) or 0,
        order=order,
        priority=float("-inf") if "ignore_on_max_context" in decorators else priority,
        position=position,
        depth=depth,
        role=_role(own.get("role"), decorators.get("role")),
        scan_depth=notes.count(decorators.get("scan_depth")) or notes.count(own.get("scan_depth")),
        enabled=raw.get("enabled") is not False
        and "dont_activate" not in decorators
        and not notes.whole(decorators.get("is_greeting")),
        constant=bool(raw.get("constant")) or not {"constant", "activate"}.isdisjoint(decorators),
        more=keys_of(decorators.get("additional_keys")),
        never=keys_of(decorators.get("exclude_keys")),
        after=notes.whole(decorators.get("activate_only_after")) or 0,
        every=notes.count(decorators.get("activate_only_every")) or 1,
        recursive=not own.get("exclude_recursion"),
        spreads=not own.get("prevent_recursion"),
    )


def _place(
    raw: Mapping[str, Any], own: Mapping[str, Any], decorators: Mapping[str, str]
) -> tuple[Position, int | None]:
    """Position and depth. A decorator wins, of the decorators the position."""
    if "position" in decorators:
        return notes.POSITIONS[decorators["position"]], None
    if "depth" in decorators:
        return "at_depth", notes.whole(decorators["depth"])
    if own.get("position") == AT_DEPTH:
        return "at_depth", notes.whole(own.get("depth")) or 0
    return ("after_char" if raw.get("position") == "after_char" else "before_char"), None


def _role(number: object, decorated: str | None) -> Role:
    by_number = dict(enumerate(notes.ROLES))
    named = next((role for role in notes.ROLES if role == decorated), None)
    return named or by_number.get(number if type(number) is int else 0, "system")


def _keys(raw: object, *, is_cased: bool, is_regex: bool, budget: patterns.Budget) -> tuple[Key, ...]:
    """Keys, as a list or between commas."""
    texts = raw.split(",") if isinstance(raw, str) else raw if isinstance(raw, list) else []
    keys = []
    for text in texts:
        if pattern := patterns.compile_key(text, is_cased, is_regex, budget):
            keys.append(Key("", pattern=pattern))
        elif words := _folded(text.strip(), is_cased):
            keys.append(Key(words, is_cased))
    return tuple(keys)


def _folded(text: str, is_cased: bool) -> str:
    """A text in which one key, folded likewise, is found as a part.

    Where a word of a spaced script begins or ends stands a mark: "cat" is not found in "concatenate", but "BTS" is in
    "BTS는", and Korean words have no marks at all.
    """
    text = unicodedata.normalize("NFKC", text)
    if not is_cased:
        text = unicodedata.normalize("NFKC", text.casefold())
    return _WORD.sub("\0\\g<0>\0", text.replace("\0", ""))


def _may(entry: Entry, answers: int | None) -> bool:
    """Whether an entry may be told at this point of the conversation."""
    is_time = answers is None or (answers >= entry.after and answers % entry.every == 0)
    return entry.enabled and is_time and bool(entry.content.strip())


def _matches(entry: Entry, text: Scanned) -> bool:
    if any(key.is_in(text) for key in entry.never):
        return False
    if entry.more and not any(key.is_in(text) for key in entry.more):
        return False
    if entry.constant:
        return True
    if not any(key.is_in(text) for key in entry.keys):
        return False
    if not entry.secondary:
        return True
    found = [key.is_in(text) for key in entry.secondary]
    return (any(found), not all(found), not any(found), all(found))[entry.logic if entry.logic < 4 else 0]
