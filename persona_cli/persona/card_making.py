"""Cards made from others, and files from cards: of another version, with a persona.toml, with one more lorebook."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from persona_cli.persona import card_files, notes
from persona_cli.persona.card_checks import V1_FIELDS, Spec
from persona_cli.persona.cards import Card, profile_of
from persona_cli.persona.profile import Example, Profile

Format = Literal["json", "png", "charx"]

BACKFILLED = "This is the V2 form of a V3 card; open it with a program that reads V3 to have all of it."
EXTENSION = "persona"
EMBEDDED = "embeded://"  # spelt so
DEFAULT_ICON = "ccdefault:"
ICON = "assets/icon/images/main.png"

_DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(V1_FIELDS, ""),
    **dict.fromkeys(
        ("creator_notes", "system_prompt", "post_history_instructions", "creator", "character_version"), ""
    ),
    "alternate_greetings": [],
    "tags": [],
    "extensions": {},
}
_HEADS: Mapping[Spec, Mapping[str, str]] = {
    "v2": {"spec": "chara_card_v2", "spec_version": "2.0"},
    "v3": {"spec": "chara_card_v3", "spec_version": "3.0"},
}
_SHARED = ("language", "aliases", "rules", "avoid", "address", "listener", "questions", "links", "register", "manner")
"""What a card has no field for and goes into its extensions."""


def empty_card() -> Card:
    """A V3 card that says nothing."""
    return as_spec(Card(dict.fromkeys(V1_FIELDS, ""), "v1"), "v3")


def as_spec(card: Card, spec: Spec) -> Card:
    """The card as one of that version, with all fields the version asks for; nothing but V1 leaves anything out.

    Args:
        spec: not "lorebook".
    """
    others = {field: value for field, value in card.raw.items() if field not in ("spec", "spec_version", "data")}
    if card.spec == "v1":
        others = {field: value for field, value in others.items() if field not in V1_FIELDS}
    if spec == "v1":
        return Card({**others, **_completed(card.data, dict.fromkeys(V1_FIELDS, ""), only=V1_FIELDS)}, "v1")
    only = V1_FIELDS if card.spec == "v1" else tuple(card.data)
    data = _completed(card.data, {**_DEFAULTS, **({"group_only_greetings": []} if spec == "v3" else {})}, only)
    if book := data.get("character_book"):
        data["character_book"] = _completed_book(book, is_v3=spec == "v3")
    head = {field: card.raw[field] for field in ("spec", "spec_version") if field in card.raw}
    return Card({**(_HEADS[spec] if card.spec != spec else {**_HEADS[spec], **head}), "data": data, **others}, spec)


def _backfilled(card: Card) -> Card:
    """A V3 card for programs that know V2 only: without decorators, which they would take for text, and marked so."""
    made = as_spec(card, "v2")
    data = dict(made.data)
    data["creator_notes"] = "\n\n".join(filter(None, (data["creator_notes"], BACKFILLED)))
    if book := data.get("character_book"):
        entries = [{**entry, "content": notes.split(entry["content"])[0]} for entry in book["entries"]]
        data["character_book"] = {**book, "entries": entries}
    return Card({**made.raw, "data": data}, "v2")


def with_profile(card: Card, own: Profile) -> Card:
    """The card with what a persona.toml says in place of what it said; what that leaves open stays."""
    was = profile_of(card)
    new: dict[str, Any] = {}
    if own.name and own.name != was.name:
        new["name"] = own.name
        if card.text("nickname"):
            new["nickname"] = own.name
    if own.description and own.description != was.description:
        new["description"] = own.description
    if own.greeting and own.greeting != was.greeting:
        new["first_mes"] = own.greeting
    if own.examples and own.examples != was.examples:
        new["mes_example"] = _dialogues(own.examples)
    if card.spec == "v1":
        return Card({**card.raw, **new}, "v1")
    shared = {field: value for field, value in asdict(own).items() if field in _SHARED and value}
    if shared:
        extensions = card.data.get("extensions") or {}
        before = extensions.get(EXTENSION)
        new["extensions"] = {
            **extensions,
            EXTENSION: {**(before if isinstance(before, dict) else {}), **_as_json(shared)},
        }
    copies = {field: value for field, value in new.items() if field in card.raw}  # some programs repeat V1 at the top
    return Card({**card.raw, **copies, "data": {**card.data, **new}}, card.spec)


def with_lorebook(card: Card | None, book: Mapping[str, Any]) -> Card:
    """The card with a lorebook, or with its entries behind those it has; none twice."""
    card = card or empty_card()
    card = as_spec(card, "v3") if card.spec == "v1" else card
    if card.book:
        by_text = {json.dumps(entry, sort_keys=True): entry for entry in [*card.book["entries"], *book["entries"]]}
        book = {**card.book, "entries": list(by_text.values())}
    return Card({**card.raw, "data": {**card.data, "character_book": book}}, card.spec)


def write_card(card: Card, kind: Format, picture: bytes | None, files: Mapping[str, bytes]) -> bytes:
    """A card's file.

    Args:
        kind: "charx" for V3 only.
        picture: the PNG that it came in.
        files: the other files of the archive that it came in, which only "charx" holds.
    """
    if kind == "json":
        return card.to_json()
    icon = _main_icon(card)
    path = icon.removeprefix(EMBEDDED) if icon.startswith(EMBEDDED) else ""
    if kind == "charx":
        if picture and icon in ("", DEFAULT_ICON):
            card = _with_icon(card)
            files = {**files, ICON: card_files.pack_png(picture, {})}
        return card_files.pack_charx(card.to_json(), files)
    chunks = {"chara": card.to_json()}
    if card.spec == "v3":
        chunks = {"chara": _backfilled(card).to_json(), "ccv3": card.to_json()}
    held = files.get(path, b"")
    is_png = held.startswith(card_files.PNG_SIGNATURE)
    return card_files.pack_png(picture or (held if is_png else card_files.plain_picture()), chunks)


def _main_icon(card: Card) -> str:
    """Where a card says that its main picture is; "" when it does not."""
    assets = card.data.get("assets") or []
    icons = [asset for asset in assets if asset.get("type") == "icon" and isinstance(asset.get("uri"), str)]
    main = [asset["uri"] for asset in icons if asset.get("name") == "main"]
    return next(iter(main or [asset["uri"] for asset in icons]), "")


def _with_icon(card: Card) -> Card:
    """A V3 card whose main picture is the file `ICON` of its archive."""
    icon = {"type": "icon", "uri": EMBEDDED + ICON, "name": "main", "ext": "png"}
    assets = card.data.get("assets") or []
    others = [asset for asset in assets if (asset.get("type"), asset.get("uri")) != ("icon", DEFAULT_ICON)]
    return Card({**card.raw, "data": {**card.data, "assets": [icon, *others]}}, card.spec)


def _completed(data: Mapping[str, Any], defaults: Mapping[str, Any], only: Sequence[str]) -> dict[str, Any]:
    """Those of the fields, in their order, and defaults for the ones that are missing or null."""
    held = {field: data[field] for field in only if field in data}
    return {**held, **{field: value for field, value in defaults.items() if held.get(field) is None}}


def _completed_book(book: Mapping[str, Any], is_v3: bool) -> dict[str, Any]:
    defaults = {"keys": [], "content": "", "extensions": {}, "enabled": True, "insertion_order": 0}
    if is_v3:
        defaults["use_regex"] = False
    entries = [_completed(entry, defaults, tuple(entry)) for entry in book["entries"]]
    return {**_completed(book, {"extensions": {}}, tuple(book)), "entries": entries}


def _dialogues(examples: Sequence[Example]) -> str:
    return "\n".join(f"<START>\n{{{{user}}}}: {e.question}\n{{{{char}}}}: {e.answer}" for e in examples)


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
