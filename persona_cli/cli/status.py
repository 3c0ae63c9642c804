"""`persona status`."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persona_cli.store import Status

MOST_LISTED = 10


def status(db: Db = None, as_json: Json = False) -> None:
    """Show what a store holds."""
    from dataclasses import asdict

    from persona_cli import assembly
    from persona_cli.settings import load_settings

    state = assembly.open_store(load_settings(db=db)).status()
    if as_json:
        print_json(asdict(state))
    else:
        _print(state)


def _print(state: "Status") -> None:
    parts = say(
        "catalog {catalog:.1f}, index {index:.1f}", catalog=state.catalog_bytes / 1e6, index=state.index_bytes / 1e6
    )
    dates = " – ".join(dict.fromkeys((date or "")[:10] for date in (state.first_date, state.last_date)))
    rows: list[tuple[str, Any]] = [
        (say("store"), state.db),
        (say("documents"), state.documents),
        (say("chunks"), state.chunks),
        (say("recorded answers"), state.pairs),
        (say("speakers"), _counts(state.speakers)),
        (say("person"), ", ".join(state.names)),
        (say("dates"), dates),
        (say("languages"), _counts(state.languages)),
        (say("redacted"), say("yes") if state.redacted else ""),
        (say("embedding"), state.embedding),
        (say("generation"), state.generation if state.index_is_whole else say("{n}, damaged", n=state.generation)),
        (say("size"), f"{state.bytes / 1e6:.1f} MB ({parts})"),
        (say("last ingest"), state.last_ingest),
        (say("skipped then"), len(state.skipped)),
    ]
    from rich.cells import cell_len

    width = max(cell_len(name) for name, _ in rows) + 2
    for name, value in rows:
        if value != "":
            print(plain(f"{name}{' ' * (width - cell_len(name))}{value}"))
    for skipped in state.skipped:
        reason = say(skipped["template"], **skipped["values"])
        print(plain(say("skipped {path}: {reason}", path=skipped["path"], reason=reason)))


def _counts(counted: "Mapping[str, int]") -> str:
    """The first few names with their counts: "ko 48, en 5"."""
    listed = [f"{name} {count}" for name, count in islice(counted.items(), MOST_LISTED)]
    return ", ".join(listed + ["…"] * (len(counted) > MOST_LISTED))
