"""`persona sessions list|show|export|delete`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from persona_cli.cli.answers import about
from persona_cli.cli.boundary import FAILED, complain
from persona_cli.cli.output import Db, Json, dim, plain, print_json, spell_json
from persona_cli.errors import PersonaError
from persona_cli.language import is_korean, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persona_cli.sessions import Outline, Sessions, Turn
    from persona_cli.store import Store

Id = Annotated[str, typer.Argument(metavar="ID", help=say("A session's id, or its first characters, four or more."))]

STATES = {
    "open": say("broken off"),
    "stopped": say("stopped"),
    "erased": say("erased: it may have held words of a document that was forgotten"),
}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", help=say("List the sessions, the one that was used last first."))
def list_sessions(db: Db = None, as_json: Json = False) -> None:
    """List the sessions, the one that was used last first."""
    from dataclasses import asdict

    outlines = _open(db)[1].outlines()
    if as_json:
        print_json({"sessions": [asdict(outline) for outline in outlines]})
    elif outlines:
        _print_table(outlines)
    else:
        _say_none()


@app.command(help=say("Show what was said in a session."))
def show(session: Id, db: Db = None) -> None:
    """Show what was said in a session."""
    _, sessions = _open(db)
    found = sessions.load(sessions.find(session))
    print(dim(say("session {id}, started {time}", id=found.id, time=_local(found.started))))
    for turn in found.turns:
        _print_turn(turn)


@app.command(help=say("Write a session out, as Markdown or as JSON."))
def export(
    session: Id,
    db: Db = None,
    form: Annotated[
        Literal["markdown", "json"], typer.Option("--format", help=say("Markdown for people, JSON for programs."))
    ] = "markdown",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=say("A file, rather than standard output."))
    ] = None,
    force: Annotated[bool, typer.Option("--force", help=say("Write over the file if it is there."))] = False,
) -> None:
    """Write a session out, as Markdown or as JSON."""
    from persona_cli.identity import Identity
    from persona_cli.transcript import to_json, to_markdown

    store, sessions = _open(db)
    found = sessions.load(sessions.find(session))
    if form == "markdown":
        text = plain(to_markdown(found, Identity(store).name, is_korean()))
    else:
        text = spell_json(to_json(found)) + "\n"
    if output:
        _write(output, text, force)
    elif form == "markdown":
        print(text, end="")
    else:
        print_json(to_json(found))


@app.command(help=say("Delete sessions, with every trace of what was said."))
def delete(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help=say("Ids of sessions, or their first characters, four or more.")),
    ] = None,
    db: Db = None,
    everything: Annotated[bool, typer.Option("--all", help=say("Delete all sessions."))] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask first."))] = False,
) -> None:
    """Delete sessions, with every trace of what was said."""
    if everything == bool(ids):
        raise typer.BadParameter(say("which sessions? Give their ids, or --all"))
    _, sessions = _open(db)
    wanted = {sessions.find(each) for each in ids or ()}
    going = [outline for outline in sessions.outlines() if everything or outline.id in wanted]
    if not going:
        _say_none()
        return
    for outline in going:
        print(plain(f"{outline.id}  {outline.title}"), file=sys.stderr)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(say("nobody is there to confirm: give --yes"))
        if not typer.confirm(say("delete these sessions ({count})?", count=len(going)), err=True):
            complain(say("nothing was changed"))
            raise typer.Exit(FAILED)
    deleted = sessions.delete([outline.id for outline in going])
    print(say("deleted: {count} sessions", count=deleted))


def _open(db: Path | None) -> "tuple[Store, Sessions]":
    from persona_cli import assembly
    from persona_cli.sessions import Sessions
    from persona_cli.settings import load_settings

    store = assembly.open_store(load_settings(db=db))
    return store, Sessions(store.catalog)


def _say_none() -> None:
    print(say("there are no sessions yet: `persona chat` begins one"), file=sys.stderr)


def _print_table(outlines: "Sequence[Outline]") -> None:
    """A line a session, cut to the terminal if it is one."""
    import shutil

    from rich.cells import cell_len, set_cell_size

    rows = [(plain(o.id), _local(o.started), f"{o.turns}", plain(o.title)) for o in outlines]
    heads = (say("session"), say("started"), say("turns"), say("first question"))
    widths = [max(cell_len(row[i]) for row in (heads, *rows)) for i in range(3)]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for number, row in enumerate((heads, *rows)):
        first, second = (set_cell_size(text, width) for text, width in zip(row[:2], widths[:2], strict=True))
        line = f"{first}  {second}  {' ' * (widths[2] - cell_len(row[2]))}{row[2]}  {row[3]}"
        line = line if cell_len(line) <= columns else set_cell_size(line, columns)
        print(line if number else dim(line))


def _print_turn(turn: "Turn") -> None:
    print(f"\n{dim(f'[{turn.n}] {_local(turn.at)}')}")
    print("\n".join(f"> {line}" for line in plain(turn.question).splitlines()))
    if turn.answer:
        print(plain(turn.answer))
    if turn.state != "done":
        print(dim(f"({STATES[turn.state]})"))
    for source in turn.sources:
        print(dim(plain(f"    [{source.n}] {about(source)}")))


def _local(at: str) -> str:
    """A stored time in the reader's zone, to the minute."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"


def _write(file: Path, text: str, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
    except FileExistsError:
        raise PersonaError("{file} is there already: give --force to write over it", file=str(file)) from None
    except OSError as error:
        raise PersonaError("{file} cannot be written: {why}", file=str(file), why=error.strerror) from error
