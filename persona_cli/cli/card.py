"""`persona card`."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.errors import CardError
from persona_cli.language import is_korean, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persona_cli.persona.card_making import Format
    from persona_cli.persona.cards import Card
    from persona_cli.persona.profile import Profile
    from persona_cli.store import Store

CARD, PICTURE, FILES = "card.json", "card.png", "asset/"
KINDS: dict[str, "Format"] = {".json": "json", ".png": "png", ".charx": "charx"}
KNOWN_VERSION = 3.0
"""Of V3."""
NOTES_CHARS = 300
USED = {
    "name": "name",
    "description": "description",
    "greeting": "greeting",
    "questions": "suggested questions",
    "examples": "example dialogues",
    "instructions": "system prompt",
    "closing": "closing instructions",
    "lorebook": "lorebook",
}
"""What of a card a persona is made from."""

app = typer.Typer(help=say("Take over a character card, or make one."), no_args_is_help=True, rich_markup_mode=None)


@app.command("import", help=say("Make the character of a card this store's persona; a lorebook is added to it."))
def import_card(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=say("A card: JSON, PNG or CHARX; or a lorebook."))],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Make the character of a card this store's persona; a lorebook is added to it."""
    from persona_cli import assembly
    from persona_cli.persona.card_files import unpack
    from persona_cli.persona.cards import parse_card, profile_of
    from persona_cli.settings import load_settings

    name = str(file)
    parts = unpack(_read(file), name)
    card = parse_card(parts.card, name)
    store = assembly.open_store(load_settings(db=db), create=True)
    with store.writing():
        if card.spec == "lorebook":
            card = _add_lorebook(store, card, name)
        else:
            files = {FILES + path: data for path, data in parts.files.items()}
            with store.catalog.snapshot() as snapshot:
                former = dict.fromkeys(path for path in snapshot.asset_names() if path.startswith(FILES))
            store.catalog.set_assets({**former, **files, CARD: card.to_json(), PICTURE: parts.picture})
        own = _own_profile(store)
    with store.catalog.snapshot() as snapshot:
        is_mute = not snapshot.count_chunks()
    profile = profile_of(card)
    used = [field for field in USED if getattr(profile, field, None) or (field == "lorebook" and card.book)]
    shown = {
        "name": profile.name,
        "spec": card.spec,
        "entries": len(card.book["entries"]) if card.book else 0,
        "examples": len(profile.examples),
        "used": used,
        "overruled": [field for field in used if getattr(own, field, None)],
        "picture": bool(parts.picture),
        "files": len(parts.files),
    }
    if as_json:
        print_json(shown)
    else:
        _print(shown, card)
    if is_mute:
        print(say("the store has no words of the person yet: run `persona ingest FOLDER`"), file=sys.stderr)


@app.command("export", help=say("Write the persona as a character card: the imported one with what persona.toml says."))
def export_card(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=say("What to write: .json, .png or .charx."))],
    spec: Annotated[
        Literal["v1", "v2", "v3"] | None,
        typer.Option("--spec", help=say("Version of the card (default: as it was imported, else v3).")),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help=say("Write over the file if it is there."))] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Write the persona as a character card: the imported one with what persona.toml says."""
    kind = KINDS.get(file.suffix.lower())
    if not kind:
        raise typer.BadParameter(say("{file!r} ends with none of .json, .png and .charx", file=str(file)))
    if kind == "charx" and spec in ("v1", "v2"):
        raise typer.BadParameter(say("a .charx file holds a V3 card: leave out --spec, or write .json or .png"))
    if file.exists() and not force:
        raise CardError("{file} is there already: give --force to write over it", file=str(file))
    from persona_cli import assembly
    from persona_cli.persona.card_making import as_spec, empty_card, with_profile, write_card
    from persona_cli.settings import load_settings

    store = assembly.open_store(load_settings(db=db))
    with store.catalog.snapshot() as snapshot:
        paths = [path for path in snapshot.asset_names() if path.startswith(FILES)]
        assets = snapshot.assets([PICTURE, *paths])
    held = _stored_card(store)
    target = "v3" if kind == "charx" else spec or (held.spec if held else "v3")
    card = with_profile(as_spec(held or empty_card(), target), _named(store, held))
    files = {path.removeprefix(FILES): assets[path] for path in paths}
    data = write_card(card, kind, assets.get(PICTURE), files)
    aside = file.with_name(f".{file.name}.new")
    try:
        aside.write_bytes(data)
        aside.replace(file)
    except OSError as error:
        raise CardError("{file} cannot be written: {why}", file=str(file), why=error.strerror or str(error)) from error
    left_out = len(files) if kind != "charx" else 0
    if as_json:
        print_json({"file": str(file), "name": card.name, "spec": card.spec, "bytes": len(data), "left_out": left_out})
        return
    print(
        plain(
            say(
                "{file}: {name}, card {spec}, {size:,} bytes",
                file=file,
                name=card.name,
                spec=card.spec.upper(),
                size=len(data),
            )
        )
    )
    if left_out:
        print(
            say("{count} files of the imported card are left out: only .charx holds them", count=left_out),
            file=sys.stderr,
        )


def _read(file: Path) -> bytes:
    """A file's bytes, or more than a card may have."""
    from persona_cli.persona.card_files import MAX_FILE_BYTES

    try:
        with file.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CardError("{file} cannot be read: {why}", file=str(file), why=error.strerror or str(error)) from error


def _add_lorebook(store: "Store", book: "Card", name: str) -> "Card":
    from persona_cli.persona.card_checks import check
    from persona_cli.persona.card_making import with_lorebook

    card = with_lorebook(_stored_card(store), book.data)
    check(card.raw, name)  # together they may be too long
    store.catalog.set_assets({CARD: card.to_json()})
    return card


def _stored_card(store: "Store") -> "Card | None":
    from persona_cli.persona.cards import parse_card

    with store.catalog.snapshot() as snapshot:
        data = snapshot.assets([CARD]).get(CARD)
    return parse_card(data) if data else None


def _own_profile(store: "Store") -> "Profile":
    """What the store's persona.toml says."""
    from persona_cli.persona.profile import FILE_NAME, Profile, parse_profile

    with store.catalog.snapshot() as snapshot:
        data = snapshot.assets([FILE_NAME]).get(FILE_NAME)
    return parse_profile(data.decode(), FILE_NAME) if data else Profile()


def _named(store: "Store", card: "Card | None") -> "Profile":
    """The same, with the name that the person goes by in dialogues where neither it nor the card has one."""
    own = _own_profile(store)
    if own.name or (card and card.name):
        return own
    with store.catalog.snapshot() as snapshot:
        names = json.loads(snapshot.fact("names") or "[]")
    if not names:
        raise CardError('nobody said what the persona is called: write name = "…" into persona.toml and ingest it')
    return replace(own, name=names[0])


def _print(shown: "Mapping[str, Any]", card: "Card") -> None:
    from rich.cells import cell_len

    fields = {field: say(USED[field]) for field in USED}
    rows = {
        say("name"): shown["name"],
        say("card"): shown["spec"].upper(),
        say("lorebook"): say("entries: {count}", count=shown["entries"]) if shown["entries"] else "",
        say("picture"): say("yes") if shown["picture"] else "",
        say("files"): shown["files"],
        say("used"): ", ".join(fields[field] for field in shown["used"]),
        say("persona.toml wins"): ", ".join(fields[field] for field in shown["overruled"]),
        say("its maker says"): _makers_notes(card),
    }
    rows = {name: value for name, value in rows.items() if value}
    width = max(map(cell_len, rows)) + 2
    for name, value in rows.items():
        print(plain(f"{name}{' ' * (width - cell_len(name))}{value}"))
    version = str(card.raw.get("spec_version") or "")
    if card.spec == "v3" and re.fullmatch(r"\d+\.\d+", version) and float(version) > KNOWN_VERSION:
        print(
            plain(say("the card is of version {version}: what is new in it is kept, and not used", version=version)),
            file=sys.stderr,
        )


def _makers_notes(card: "Card") -> str:
    """The beginning of the creator's notes, in the reader's language where there are several."""
    from persona_cli.persona.notes import clean

    by_language = card.data.get("creator_notes_multilingual") or {}
    notes = by_language.get("ko" if is_korean() else "en") or card.data.get("creator_notes")
    words = " ".join(clean(notes).split()) if isinstance(notes, str) else ""
    return words if len(words) <= NOTES_CHARS else f"{words[:NOTES_CHARS]}…"
