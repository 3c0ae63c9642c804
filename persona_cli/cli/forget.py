"""`persona forget`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from persona_cli.cli.output import Db, plain
from persona_cli.language import say


def forget(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help=say("A document as `sources` name it, its file, or a folder of them.")),
    ],
    db: Db = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask first."))] = False,
) -> None:
    """Erase documents from a store, with every trace of their words."""
    from persona_cli import assembly, ingestion
    from persona_cli.settings import load_settings

    store = assembly.open_store(load_settings(db=db))
    sources = ingestion.sources_named(store, source)
    for name in sources:
        print(plain(name), file=sys.stderr)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(say("nobody is there to confirm: give --yes"))
        typer.confirm(say("erase these documents ({count})?", count=len(sources)), abort=True, err=True)
    store.forget(sources)
    print(say("erased: {count} documents", count=len(sources)))
    if kept := [name for name in sources if (Path(store.folder).resolve().parent / name).exists()]:
        print(
            plain(say("still on disk, and read again by the next ingest of its folder: {path}", path=kept[0])),
            file=sys.stderr,
        )
