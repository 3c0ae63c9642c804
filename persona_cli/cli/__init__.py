"""The command line: one file a command; each parses, builds, calls the core, and prints."""

import atexit
import gc
import sys
from typing import Annotated

import typer

from persona_cli import __version__
from persona_cli.cli.ask import ask
from persona_cli.cli.boundary import Boundary
from persona_cli.cli.card import app as card
from persona_cli.cli.chat import chat
from persona_cli.cli.eval import evaluate
from persona_cli.cli.forget import forget
from persona_cli.cli.ingest import ingest
from persona_cli.cli.init import init
from persona_cli.cli.portable import export_persona, import_persona
from persona_cli.cli.serve import serve
from persona_cli.cli.sessions import app as sessions
from persona_cli.cli.status import status
from persona_cli.language import say

app = typer.Typer(
    cls=Boundary,
    name="persona",
    help=say("Talk with a person through that person's own words."),
    epilog=say("Start with: persona ingest FOLDER, then: persona ask QUESTION"),
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help would double the time to start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"persona {__version__}")
        raise typer.Exit


@app.callback()
def _persona(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help=say("Show the version."))
    ] = False,
) -> None:
    pass


app.command(help=say("Read a person's words from files and folders into a store."))(ingest)
app.command(help=say("Ask the person; the answer comes with its sources."))(ask)
app.command(help=say("Talk with the person at the terminal; or answer a question a line, from standard input."))(chat)
app.command(help=say("Answer over HTTP, with a chat page for browsers."))(serve)
app.command(help=say("Erase documents from a store, with every trace of their words."))(forget)
app.command(help=say("Show what a store holds."))(status)
app.command(help=say("Write a persona.toml to fill in."))(init)
app.add_typer(sessions, name="sessions", help=say("List, show, write out or delete conversations."))
app.command("eval", help=say("Measure how well a store finds the right passages and refuses the rest."))(evaluate)
app.add_typer(card, name="card")
app.command("export", help=say("Write the persona, with all that it is made from, to one file."))(export_persona)
app.command("import", help=say("Make a store of a persona that somebody exported."))(import_persona)


def main() -> None:
    """Run the `persona` command."""
    # what libraries make when they are imported stays; looking through it for garbage takes a fifth of a short command
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a narrow code page must not lose the rest
    app(prog_name="persona")
