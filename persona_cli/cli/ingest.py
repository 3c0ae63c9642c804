"""`persona ingest`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persona_cli.cli.boundary import FAILED
from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.ingestion import Report
    from persona_cli.models import Progress


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", exists=True, help=say("Files and folders to read."))
    ] = None,
    db: Db = None,
    prune: Annotated[
        bool,
        typer.Option("--prune/--no-prune", help=say("Remove from the store what is gone from an ingested folder.")),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("Show what would be done, and do nothing."))] = False,
    strict: Annotated[bool, typer.Option("--strict", help=say("Exit with 1 when a file had to be skipped."))] = False,
    reembed: Annotated[
        bool,
        typer.Option("--reembed", help=say("Embed the whole store anew with the embedding model that is set now.")),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a person's words from files and folders into a store."""
    if not paths and not reembed:
        raise typer.BadParameter(say("which files or folders? Give at least one PATH"))
    from persona_cli import assembly, ingestion
    from persona_cli.settings import load_settings

    settings = load_settings(db=db)
    store = assembly.open_store(settings, create=not dry_run)
    choose = assembly.preferred_embedding if reembed else lambda settings: assembly.choose_embedding(store, settings)
    embedding = choose(settings)
    print(assembly.describe_embedding(embedding, settings), file=sys.stderr)
    with _progress() as progress:
        report = ingestion.ingest(
            paths or [],
            store,
            lambda name: assembly.build_embedder(name, settings),
            embedding,
            prune=prune,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report, dry_run)
    if strict and report.skipped:
        raise typer.Exit(FAILED)


@contextmanager
def _progress() -> "Iterator[Progress]":
    """A bar for each phase on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    names = {"read": say("reading"), "embed": say("embedding texts"), "publish": say("publishing")}
    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(names[phase], total=total, rate="")
            speed = bars.tasks[tasks[phase]].speed
            bars.update(tasks[phase], completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield show


def _as_json(report: "Report") -> dict[str, object]:
    return {
        "documents": dict(report.documents),
        "chunks": report.chunks,
        "skipped": [{"path": s.path, "reason": str(s.reason)} for s in report.skipped],
        "embedding": report.embedding,
        "embedded": report.embedded,
        "generation": report.generation,
        "seconds": report.seconds,
    }


def _print(report: "Report", dry_run: bool) -> None:
    for skipped in report.skipped:
        reason = say(skipped.reason.template, **skipped.reason.values)
        print(plain(say("skipped {path}: {reason}", path=skipped.path, reason=reason)), file=sys.stderr)
    counts = say(
        "{added} added, {updated} updated, {unchanged} unchanged, {removed} removed, {skipped} skipped",
        **report.documents,
    )
    if dry_run:
        print(say("would be: {counts}", counts=counts))
        return
    print(say("documents: {counts}", counts=counts))
    print(say("the store holds {chunks} chunks; took {seconds:.1f} s", chunks=report.chunks, seconds=report.seconds))
