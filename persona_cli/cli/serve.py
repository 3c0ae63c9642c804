"""`persona serve`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from persona_cli.language import say


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
            "--token", help=say("Token that callers must send (or PERSONA_SERVER_TOKEN, which others cannot see).")
        ),
    ] = None,
) -> None:
    """Answer over HTTP, with a chat page for browsers."""
    from persona_cli.server.running import run
    from persona_cli.settings import load_settings

    settings = load_settings(db=db[0] if db else None, server_token=token)
    run(settings, db or [settings.db], host, port, workers, reload, lambda line: print(line, file=sys.stderr))
