"""`persona serve`."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from persona_cli.cli.boundary import WRONG_USAGE, complain
from persona_cli.cli.output import plain
from persona_cli.errors import PersonaError
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.server.guard import Policy
    from persona_cli.settings import Settings

Rows = Sequence[tuple[str, str]]


def serve(
    db: Annotated[
        list[Path] | None,
        typer.Option("--db", metavar="DIR", help=say("Folder of a store to serve; may be given several times.")),
    ] = None,
    host: Annotated[str, typer.Option("--host", help=say("Address to listen on."))] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help=say("Port to listen on; 0 takes a free one."))
    ] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help=say("Processes that answer."))] = 1,
    reload: Annotated[bool, typer.Option("--reload", help=say("Start anew when the program's code changes."))] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help=say(
                "Token that callers must send. Whoever is on this machine sees it in the list of processes:"
                " PERSONA_SERVER_TOKEN and PERSONA_SERVER_TOKENS_FILE keep it from them."
            ),
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help=say("Let callers from other machines ask without a token."))
    ] = False,
) -> None:
    """Answer over HTTP, with a chat page for browsers."""
    from persona_cli.server.guard import is_this_machine, policy_of
    from persona_cli.server.running import run
    from persona_cli.settings import load_settings

    settings = load_settings(db=db[0] if db else None, server_token=token, insecure=insecure or None)
    policy = policy_of(settings)
    if policy.is_local and not is_this_machine(host):
        complain(
            say(
                "{host!r} can be reached from other machines: set PERSONA_SERVER_TOKEN (or give --token) to serve"
                " there, or --insecure to let everybody ask",
                host=host,
            )
        )
        raise typer.Exit(WRONG_USAGE)
    roots = db or [settings.db]
    show = _show_as_json if settings.log_format == "json" else _show
    run(settings, roots, host, port, workers, reload, lambda place: show(place, _rows(place, roots, settings, policy)))


def _show(place: str, rows: Rows) -> None:
    """The panel, on standard error: a frame on a terminal, lines elsewhere."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    title = say("persona answers at {place}", place=place)
    if sys.stderr.isatty():
        grid = Table.grid(padding=(0, 2))
        for name, value in rows:
            grid.add_row(Text(name, style="bold"), Text(plain(value)))
        Console(stderr=True).print(Panel(grid, title=Text(title), title_align="left", expand=False))
        return
    width = max(cell_len(name) for name, _ in rows) + 2
    lines = [f"  {name}{' ' * (width - cell_len(name))}{' '.join(plain(value).split())}" for name, value in rows]
    print("\n".join([title, *lines]), file=sys.stderr, flush=True)


def _show_as_json(place: str, rows: Rows) -> None:
    """The panel as a line of the log, which is for programs."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    panel = [f"{name}: {value}" for name, value in rows]
    fields = {"time": at, "level": "info", "event": "start", "place": place, "panel": panel}
    print(json.dumps(fields), file=sys.stderr, flush=True)


def _rows(place: str, roots: Sequence[Path], settings: "Settings", policy: "Policy") -> Rows:
    """What whoever starts a server should know of it."""
    rate = policy.rate or say("as often as they like")
    limits = say(
        "each caller {rate}, {answers} answers at once, {megabytes:g} MB a request",
        rate=rate,
        answers=policy.max_answers,
        megabytes=policy.max_body_bytes / 1e6,
    )
    return [
        (say("page"), place.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:") + "/"),
        *((say("store"), _describe(root, settings)) for root in roots),
        (say("answers"), _answers(settings)),
        (say("token"), _callers(policy)),
        (say("limits"), limits),
    ]


def _describe(root: Path, settings: "Settings") -> str:
    """A store with its person, its size, and what leaves the machine to search it."""
    from persona_cli import assembly
    from persona_cli.identity import Identity

    try:
        store = assembly.open_store(settings.model_copy(update={"db": root}))
        try:
            with store.catalog.snapshot() as snapshot:
                chunks = snapshot.count_chunks()
            embedding = assembly.describe_embedding(assembly.choose_embedding(store, settings), settings)
            name = Identity(store).name or say("nobody named")
        finally:
            store.close()
    except PersonaError as error:
        return say(error.template, **error.values)
    return say("{db}: {name}, {chunks} chunks, {embedding}", db=root, name=name, chunks=chunks, embedding=embedding)


def _answers(settings: "Settings") -> str:
    """Who words the answers, and where texts go for it."""
    from persona_cli.assembly import DEFAULT_MODEL

    address = urlsplit(settings.openai_base_url or "https://api.openai.com")
    known = {"model": settings.model or DEFAULT_MODEL, "endpoint": address.netloc.rpartition("@")[2]}
    if settings.has_model:
        return say("{model!r} words them: questions and passages are sent to {endpoint}", **known)
    return say("recorded words only; for a caller with a key of their own, {model!r} at {endpoint}", **known)


def _callers(policy: "Policy") -> str:
    if policy.tokens:
        names = [f"{token.name} ({', '.join(sorted(token.scopes))})" for token in policy.tokens]
        return say("needed: {names}", names="; ".join(names))
    if policy.insecure:
        return say("NOT needed: whoever reaches this address may ask (--insecure)")
    return say("not needed: this machine alone is answered")
