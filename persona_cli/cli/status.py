"""`persona status`."""

from typing import TYPE_CHECKING, Any

from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.store import Status


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
    rows: list[tuple[str, Any]] = [
        (say("store"), state.db),
        (say("documents"), state.documents),
        (say("chunks"), state.chunks),
        (say("recorded answers"), state.pairs),
        (say("embedding"), state.embedding),
        (say("generation"), state.generation if state.index_is_whole else say("{n}, damaged", n=state.generation)),
        (say("size"), f"{state.bytes / 1e6:.1f} MB"),
        (say("last ingest"), state.last_ingest),
    ]
    from rich.cells import cell_len

    width = max(cell_len(name) for name, _ in rows) + 2
    for name, value in rows:
        print(plain(f"{name}{' ' * (width - cell_len(name))}{value}"))
    for skipped in state.skipped:
        reason = say(skipped["template"], **skipped["values"])
        print(plain(say("skipped {path}: {reason}", path=skipped["path"], reason=reason)))
