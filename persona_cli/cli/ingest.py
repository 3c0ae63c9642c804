"""`persona ingest`."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persona_cli.cli.boundary import FAILED, complain
from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.errors import PersonaError, SpeakerNeeded, StoreMissing
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.ingestion import Report
    from persona_cli.models import ChatModel, Progress
    from persona_cli.persona.profile import Profile
    from persona_cli.settings import Settings
    from persona_cli.store import Store

RETRY_S = 15
"""How long a change that could not be published waits for the next try, in seconds, while folders are watched."""
MARKS = {"added": "+", "updated": "~", "removed": "-", "renamed": ">"}


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", exists=True, help=say("Files and folders to read."))
    ] = None,
    db: Db = None,
    speakers: Annotated[
        list[str] | None,
        typer.Option(
            "--speaker",
            metavar="NAME",
            help=say("Who the person is in chats and transcripts; again for other names they go by."),
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--persona",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help=say("The persona.toml to use (default: one in an ingested folder)."),
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option("--prune/--no-prune", help=say("Remove from the store what is gone from an ingested folder.")),
    ] = True,
    redact: Annotated[
        bool | None,
        typer.Option(
            "--redact/--no-redact",
            help=say("Mask telephone, identity, card and account numbers, e-mail addresses and others' names."),
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help=say("Go on following the folders, and publish what changes."))
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("Show what would be done, and do nothing."))] = False,
    strict: Annotated[bool, typer.Option("--strict", help=say("Exit with 1 when a file had to be skipped."))] = False,
    reembed: Annotated[
        bool,
        typer.Option("--reembed", help=say("Embed the whole store anew with the embedding model that is set now.")),
    ] = False,
    augment: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10,
            metavar="N",
            help=say("Let the language model write N ways to ask for each text, which is sent to it."),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a person's words from files and folders into a store."""
    if not paths and not reembed:
        raise typer.BadParameter(say("which files or folders? Give at least one PATH"))
    if watch and (dry_run or not paths):
        raise typer.BadParameter(say("--watch needs a PATH, and goes without --dry-run"))
    from persona_cli import assembly, ingestion
    from persona_cli.reading import Memory
    from persona_cli.settings import load_settings

    paths = paths or []
    settings = load_settings(db=db)
    model = assembly.require_model(settings) if augment else None
    persona = assembly.find_persona(paths, profile)  # a broken one is told before a store is made
    absent = dry_run and not assembly.has_store(settings)
    store = None if absent else assembly.open_store(settings, create=not dry_run)
    embedding = assembly.preferred_embedding(settings) if reembed else assembly.choose_embedding(store, settings)
    memory = Memory()

    def run(names: list[str], persona: "tuple[str, Profile] | None" = persona, lenient: bool = False) -> "Report":
        rules = assembly.choose_rules(store, settings, names, persona and persona[1], redact)
        with show_progress() as progress:
            if store is None or dry_run:
                return ingestion.preview(
                    paths, settings.db, store, embedding, rules=rules, prune=prune, progress=progress
                )
            report = ingestion.ingest(
                paths,
                store,
                lambda name: assembly.build_embedder(name, settings),
                embedding,
                rules=rules,
                prune=prune,
                memory=memory,
                lenient=lenient,
                progress=progress,
            )
        if persona:
            assembly.keep_persona(store, persona[0])
        return _augment(report, paths, store, settings, model, augment) if model and augment else report

    print(assembly.describe_embedding(embedding, settings), file=sys.stderr)
    if model:
        print(assembly.describe_augmenting(model, settings), file=sys.stderr)
    report = _with_speaker(run, speakers or [])
    _show(report, dry_run, as_json, compact=watch and as_json)
    if watch:
        again = partial(run, speakers or [], lenient=True)
        _follow(paths, settings.db, report, lambda: again(persona=assembly.find_persona(paths, profile)), as_json)
    if strict and report.skipped:
        raise typer.Exit(FAILED)


def _augment(
    report: "Report", paths: list[Path], store: "Store", settings: "Settings", model: "ChatModel", count: int
) -> "Report":
    """Have ways to ask written for what was read; the report with what came of it."""
    from persona_cli import assembly, augmentation
    from persona_cli.comparison import source_of

    folders = [source_of(path.resolve(), store.folder) for path in paths] or None

    async def work() -> augmentation.Augmented:
        embedder = assembly.build_embedder(report.embedding, settings)
        with show_progress() as progress:
            try:
                return await augmentation.augment(store, embedder, model, count, folders, progress)
            finally:
                await model.aclose()

    start = time.monotonic()
    done = asyncio.run(work())
    if done.failure:
        why = say(done.failure.template, **done.failure.values)
        got = say("{texts} of {total} texts got ways to ask", texts=done.texts, total=done.total)
        complain(say("{why}; {got}, run it again for the rest", why=why, got=got))
    with store.catalog.snapshot() as snapshot:
        generation = snapshot.generation
    return replace(
        report,
        generation=generation,
        seconds=round(report.seconds + time.monotonic() - start, 3),
        augmented={"texts": done.texts, "kept": done.kept, "rejected": done.rejected},
    )


def _with_speaker(run: "Callable[[list[str]], Report]", names: list[str]) -> "Report":
    """Run; when it must be known who the person is and somebody sits at the terminal, ask and run again."""
    try:
        return run(names)
    except SpeakerNeeded as needed:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        return run([_ask_speaker(needed)])


def _ask_speaker(needed: SpeakerNeeded) -> str:
    known = list(needed.speakers)
    print(say("several people speak here. Who is the person?"), file=sys.stderr)
    for number, name in enumerate(known, 1):
        turns = say("{turns} turns", turns=needed.speakers[name])
        print(plain(f"{number:>4}  {name}  ({turns})"), file=sys.stderr)
    while True:
        answer: str = typer.prompt(say("number or name"), err=True).strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(known):
            return known[int(answer) - 1]
        if answer in known:
            return answer


def _follow(paths: list[Path], store: Path, last: "Report", run: "Callable[[], Report]", as_json: bool) -> None:
    """Publish what changes until Ctrl-C; what fails is said once and tried again."""
    from persona_cli.watching import changes

    print(say("watching; Ctrl-C ends it"), file=sys.stderr)
    failed_at = 0.0
    for changed in changes(paths, store, tick_ms=1_000):
        if not changed and not (failed_at and time.monotonic() - failed_at > RETRY_S):
            continue
        try:
            report = run()
        except StoreMissing as error:  # the folder is empty just now
            complain(say(error.template, **error.values))
            continue
        except PersonaError as error:
            if not failed_at:
                complain(say(error.template, **error.values))
            failed_at = time.monotonic()
            continue
        failed_at = 0.0
        told = {(skipped.path, str(skipped.reason)) for skipped in last.skipped}
        news = [skipped for skipped in report.skipped if (skipped.path, str(skipped.reason)) not in told]
        last = report
        if report.changes or news:
            _show(report if as_json else replace(report, skipped=news), False, as_json, compact=True)


@contextmanager
def show_progress() -> "Iterator[Progress]":
    """A bar for each phase on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    names = {
        "read": (say("reading"), say("files/s")),
        "embed": (say("embedding"), say("characters/s")),
        "publish": (say("publishing"), ""),
        "augment": (say("writing ways to ask"), say("texts/s")),
    }
    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}
        started: dict[str, float] = {}

        def show(phase: str, done: int, total: int) -> None:
            name, unit = names[phase]
            if phase not in tasks:
                tasks[phase], started[phase] = bars.add_task(name, total=total, rate=""), time.monotonic()
            seconds = time.monotonic() - started[phase]
            rate = f"{done / seconds:,.0f} {unit}" if unit and done and seconds else ""
            bars.update(tasks[phase], completed=done, total=total, rate=rate)

        yield show


def _show(report: "Report", dry_run: bool, as_json: bool, compact: bool = False) -> None:
    if as_json and compact:
        print(json.dumps(_as_json(report, changes=True), ensure_ascii=False), flush=True)
    elif as_json:
        print_json(_as_json(report, changes=dry_run))
    else:
        _print(report, dry_run, changes=dry_run or compact)


def _as_json(report: "Report", changes: bool) -> dict[str, object]:
    return {
        "documents": dict(report.documents),
        "chunks": report.chunks,
        "skipped": [{"path": s.path, "reason": str(s.reason)} for s in report.skipped],
        "embedding": report.embedding,
        "embedded": report.embedded,
        "generation": report.generation,
        "seconds": report.seconds,
        **({"augmented": dict(report.augmented)} if report.augmented is not None else {}),
        **({"changes": [asdict(change) for change in report.changes]} if changes else {}),
    }


def _print(report: "Report", dry_run: bool, changes: bool) -> None:
    for skipped in report.skipped:
        reason = say(skipped.reason.template, **skipped.reason.values)
        print(plain(say("skipped {path}: {reason}", path=skipped.path, reason=reason)), file=sys.stderr)
    counts = say(
        "{added} added, {updated} updated, {unchanged} unchanged, {removed} removed, {skipped} skipped",
        **report.documents,
    )
    for change in report.changes if changes else ():
        name = f"{change.before} → {change.source}" if change.before else change.source
        print(plain(f"{MARKS[change.what]} {name}"))
    if dry_run:
        print(say("would be: {counts}", counts=counts))
        return
    print(say("documents: {counts}", counts=counts))
    if report.augmented is not None:
        print(say("ways to ask: {kept} kept, {rejected} rejected, for {texts} texts", **report.augmented))
    print(
        say("the store holds {chunks} chunks; took {seconds:.1f} s", chunks=report.chunks, seconds=report.seconds),
        flush=True,
    )
