"""What must hold of a character card before anything is made of it."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from persona_cli.errors import CardError

Spec = Literal["v1", "v2", "v3", "lorebook"]

SPECS: Mapping[str, Spec] = {"chara_card_v2": "v2", "chara_card_v3": "v3", "lorebook_v3": "lorebook"}
MAX_TEXT_CHARS = 1_000_000
"""Of one field."""
MAX_ENTRIES = 5_000
MAX_KEYS = 20_000
"""Of all entries of a lorebook."""
MAX_LEVELS = 100

V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
_V2_TEXTS = (*V1_FIELDS, "creator_notes", "system_prompt", "post_history_instructions", "nickname")
_FIELDS = {
    **dict.fromkeys(_V2_TEXTS, "text"),
    **dict.fromkeys(("alternate_greetings", "group_only_greetings", "tags", "source"), "texts"),
    **dict.fromkeys(("extensions", "creator_notes_multilingual", "character_book"), "object"),
    "assets": "objects",
}
_BOOK = {
    "name": "text",
    "scan_depth": "number",
    "token_budget": "number",
    "recursive_scanning": "flag",
    "extensions": "object",
    "entries": "objects",
}
_ENTRY = {
    "content": "text",
    "extensions": "object",
    **dict.fromkeys(("keys", "secondary_keys"), "keys"),
    **dict.fromkeys(("enabled", "case_sensitive", "use_regex", "constant", "selective"), "flag"),
    **dict.fromkeys(("insertion_order", "priority"), "number"),
}
_FAULTS = {
    "text": "{file}: {field} must be a text, not {value}: correct the card",
    "texts": "{file}: {field} must be a list of texts, not {value}: correct the card",
    "keys": "{file}: {field} must be a list of texts, not {value}: correct the card",
    "number": "{file}: {field} must be a number, not {value}: correct the card",
    "flag": "{file}: {field} must be true or false, not {value}: correct the card",
    "object": "{file}: {field} must be an object, not {value}: correct the card",
    "objects": "{file}: {field} must be a list of objects, not {value}: correct the card",
}
_SHOWN_CHARS = 40


class _Number(ValueError):
    """A number that is none in JSON, or that no program could write again."""


def parse(data: bytes, name: str) -> dict[str, Any]:
    """The JSON of a card.

    Args:
        name: what to call it in messages.

    Raises:
        CardError: it is no JSON object, or has numbers or levels that other programs could not read.
    """
    try:
        value = json.loads(
            data.decode(json.detect_encoding(data)), parse_constant=_refuse, parse_float=_float, parse_int=_int
        )
    except UnicodeDecodeError as error:
        raise CardError("{file} is no character card: choose one as JSON, PNG or CHARX", file=name) from error
    except json.JSONDecodeError as error:
        raise CardError(
            "{file} is not valid JSON at line {line}, column {column} ({why}): save the card again",
            file=name,
            line=error.lineno,
            column=error.colno,
            why=error.msg,
        ) from error
    except _Number as error:
        raise CardError(
            "{file} holds {value}, which is no number in JSON: correct the card", file=name, value=str(error)
        ) from error
    except RecursionError:
        value = None
        is_deep = True
    else:
        is_deep = _levels_exceed(value)
    if is_deep:
        raise CardError("{file} is nested more than {most} levels deep: correct the card", file=name, most=MAX_LEVELS)
    if not isinstance(value, dict):
        raise CardError("{file} is no character card: choose one as JSON, PNG or CHARX", file=name)
    return value


def check(raw: Mapping[str, Any], name: str) -> Spec:
    """Which kind of card this is. What is null counts as not there, as do fields that are not known.

    Raises:
        CardError: of no known kind, or a field has the wrong type or too much in it.
    """
    if raw.get("spec") is None:
        if not isinstance(raw.get("name"), str) or len(raw.keys() & set(V1_FIELDS)) < 2:
            raise CardError("{file} is no character card: it has neither a spec nor a name and description", file=name)
        _check_fields(raw, dict.fromkeys(V1_FIELDS, "text"), name)
        return "v1"
    spec = SPECS.get(str(raw["spec"]))
    if not spec:
        raise CardError(
            "{file} is a card of the kind {spec!r}, and known are {known}: save it as one of those",
            file=name,
            spec=str(raw["spec"])[:_SHOWN_CHARS],
            known=", ".join(SPECS),
        )
    data = raw.get("data")
    if not isinstance(data, dict):
        raise _fault("object", "data", data, name)
    if spec == "lorebook":
        _check_book(data, "data", name)
        return spec
    _check_fields(data, _FIELDS, name, "data.")
    if data.get("character_book") is not None:
        _check_book(data["character_book"], "data.character_book", name)
    return spec


def _check_book(book: Mapping[str, Any], path: str, name: str) -> None:
    _check_fields(book, _BOOK, name, f"{path}.")
    entries = book.get("entries")
    if entries is None:
        raise _fault("objects", f"{path}.entries", entries, name)
    keys = 0
    for number, entry in enumerate(entries):
        _check_fields(entry, _ENTRY, name, f"{path}.entries[{number}].")
        for field in ("keys", "secondary_keys"):
            value = entry.get(field) or []
            keys += value.count(",") + 1 if isinstance(value, str) else len(value)
    if len(entries) > MAX_ENTRIES or keys > MAX_KEYS:
        raise CardError(
            "{file}: its lorebook has {entries} entries and {keys} keys, and at most {most_entries} and {most_keys} are"
            " taken: shorten it",
            file=name,
            entries=len(entries),
            keys=keys,
            most_entries=MAX_ENTRIES,
            most_keys=MAX_KEYS,
        )


def _check_fields(values: Mapping[str, Any], kinds: Mapping[str, str], name: str, path: str = "") -> None:
    for field, kind in kinds.items():
        value = values.get(field)
        if value is None:
            continue
        if not _fits(value, kind):
            raise _fault(kind, path + field, value, name)
        longest = max(map(len, value), default=0) if kind in ("texts", "keys") else len(value) if kind == "text" else 0
        if longest > MAX_TEXT_CHARS:
            raise CardError(
                "{file}: {field} has {chars} characters, and at most {most} are taken: shorten it",
                file=name,
                field=path + field,
                chars=longest,
                most=MAX_TEXT_CHARS,
            )


def _fits(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "flag":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "keys" if isinstance(value, str):
            return True
        case _:
            wanted = dict if kind == "objects" else str
            return isinstance(value, list) and all(isinstance(item, wanted) for item in value)


def _fault(kind: str, field: str, value: object, name: str) -> CardError:
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}…"
    return CardError(_FAULTS[kind], file=name, field=field, value=shown)


def _levels_exceed(value: object) -> bool:
    level = [value]
    for _ in range(MAX_LEVELS):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _refuse(value: str) -> float:
    raise _Number(value)


def _float(value: str) -> float:
    number = float(value)
    return number if math.isfinite(number) else _refuse(value[:_SHOWN_CHARS])


def _int(value: str) -> int | float:
    return int(value) if len(value) < 300 else _refuse(f"{value[:_SHOWN_CHARS]}…")
