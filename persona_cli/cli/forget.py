"""`persona forget`."""

import sys
from typing import Annotated

import typer

from persona_cli.cli.boundary import FAILED, complain
from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.language import say


def forget(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help=say("A document as `sources` name it, its file, or a folder of them.")),
    ],
    db: Db = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask first."))] = False,
    as_json: Json = False,
) -> None:
    """Erase documents from a store, with every trace of their words."""
    from persona_cli import assembly, ingestion
    from persona_cli.settings import load_settings

    store = assembly.open_store(load_settings(db=db))
    with store.writing():  # which ends what a killed one left to do, when it was for the same document
        sources = ingestion.sources_named(store, source)
    for name in sources:
        print(plain(name), file=sys.stderr)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(say("nobody is there to confirm: give --yes"))
        if not typer.confirm(say("erase these documents ({count})?", count=len(sources)), err=True):
            complain(say("nothing was changed"))
            raise typer.Exit(FAILED)
    store.forget(sources)
    kept = [name for name in sources if (store.folder.resolve().parent / name).exists()]
    if as_json:
        print_json({"erased": sources, "still_on_disk": kept})
        return
    print(say("erased: {count} documents", count=len(sources)))
    if kept:
        still = say(
            "still on disk, and read again by the next ingest of the folder: {count} ({path} …)",
            count=len(kept),
            path=kept[0],
        )
        print(plain(still), file=sys.stderr)
