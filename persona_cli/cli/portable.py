"""`persona export` and `persona import`."""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persona_cli.cli.ingest import show_progress
from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.errors import EvaluationError, LoadError
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.portable.incoming import Summary
    from persona_cli.settings import Settings
    from persona_cli.store import Store


def export_persona(
    file: Annotated[Path, typer.Argument(metavar="FILE.persona", help=say("The file to write."))],
    db: Db = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help=say("Questions as `persona eval` takes them, to be kept in the store and put in."),
        ),
    ] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings/--no-embeddings", help=say("Put the vectors in, so that nobody embeds again."))
    ] = True,
    force: Annotated[bool, typer.Option("--force", help=say("Replace a file that is there."))] = False,
    as_json: Json = False,
) -> None:
    """Write the persona to one file: profile, card, voice, texts, vectors and evaluation set."""
    from persona_cli import assembly
    from persona_cli.portable import outgoing
    from persona_cli.settings import load_settings

    settings = load_settings(db=db)
    store = assembly.open_store(settings)
    if evaluation:
        _keep_evaluation(store, evaluation, settings)
    summary = outgoing.export(store, file, embeddings=embeddings, force=force)
    if as_json:
        print_json({"file": str(file), **asdict(summary)})
        return
    print(plain(say("written: {file}, {megabytes:.1f} MB", file=file, megabytes=summary.bytes / 1e6)))
    _print(summary)


def import_persona(
    file: Annotated[Path, typer.Argument(metavar="FILE.persona", help=say("The file to read."))],
    db: Db = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings/--no-embeddings", help=say("Take the vectors in it, and embed nothing anew."))
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help=say("Replace the documents and the persona that the store holds."))
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a store of a persona that somebody exported."""
    from persona_cli import assembly
    from persona_cli.portable.incoming import Incoming, refuse_to_replace
    from persona_cli.settings import load_settings

    settings = load_settings(db=db)
    if assembly.has_store(settings):  # told before a large file is read
        refuse_to_replace(assembly.open_store(settings), force)
    with closing(Incoming(file, embeddings)) as incoming:
        embedding = incoming.embedding if incoming.has_vectors else settings.embedding or incoming.embedding
        if incoming.missing:
            print(assembly.describe_embedding(embedding, settings), file=sys.stderr)
        store = assembly.open_store(settings, create=True)
        with show_progress() as progress:
            summary = incoming.settle(
                store, lambda name: assembly.build_embedder(name, settings), embedding, progress, force=force
            )
    if as_json:
        print_json({"db": str(settings.db), **asdict(summary)})
        return
    print(plain(say("imported into {db!r}", db=str(settings.db))))
    _print(summary)
    print(plain(say("made by persona {version}", version=summary.created_by)))


def _keep_evaluation(store: "Store", file: Path, settings: "Settings") -> None:
    from persona_cli.evaluation import read_cases
    from persona_cli.loading.decoding import decode
    from persona_cli.portable import outgoing

    try:
        text = decode(file.read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
        raise EvaluationError("{file} cannot be read: {why}", file=str(file), why=why) from error
    except LoadError as error:
        why = say(error.template, **error.values)
        raise EvaluationError("{file} cannot be read: {why}", file=str(file), why=why) from error
    read_cases(text, str(file), settings.max_question_chars)
    outgoing.keep_evaluation(store, text)


def _print(summary: "Summary") -> None:
    from rich.cells import cell_len

    rows = [
        (say("person"), summary.name),
        (say("documents"), summary.documents),
        (say("chunks"), summary.chunks),
        (say("evaluation questions"), summary.questions),
        (say("embedding"), summary.embedding),
        (say("texts with vectors"), summary.vectors),
        (say("embedded now"), summary.embedded),
    ]
    width = max(cell_len(name) for name, _ in rows) + 2
    for name, value in rows:
        if value not in ("", 0):
            print(plain(f"{name}{' ' * (width - cell_len(name))}{value}"))
