"""The error boundary: what a failure prints, and the exit status it ends with."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from persona_cli.cli.output import plain, state_folder
from persona_cli.errors import PersonaError
from persona_cli.language import say

FAILED, WRONG_USAGE, BUG, INTERRUPTED = 1, 2, 3, 130
SECRET = re.compile(r"(sk-|Bearer )[\w.-]+")


class Boundary(TyperGroup):
    """Turns whatever a command raises into one line on standard error and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            _find_temporary_folder()
            return super().invoke(ctx)
        except PersonaError as error:
            complain(say(error.template, **error.values))
            raise typer.Exit(FAILED) from None
        except (typer.Exit, typer.TyperException, EOFError):
            raise
        except (KeyboardInterrupt, typer.Abort):
            complain(say("interrupted"))
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # whoever read our output has gone; Python would complain once more when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(FAILED) from None
        except Exception as error:
            complain(say("this is a bug in persona: please report it with {log}", log=_log(error)))
            raise typer.Exit(BUG) from None


def _find_temporary_folder() -> None:
    """Let memory hold temporary files where no disk can: libraries want a folder for them when they are imported."""
    import tempfile

    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else os.curdir


def complain(message: str) -> None:
    """Say on standard error what went wrong, on one line."""
    print(f"persona: {' '.join(plain(message).split())}", file=sys.stderr)


def _log(error: Exception) -> Path:
    """Write the traceback to a file of its own, without keys; where that is."""
    import tempfile
    import traceback
    from datetime import UTC, datetime

    text = SECRET.sub(r"\1***", "".join(traceback.format_exception(error)))
    for name in ("OPENAI_API_KEY", "PERSONA_SERVER_TOKEN"):
        for secret in filter(None, map(str.strip, os.environ.get(name, "").split(","))):
            text = text.replace(secret, "***")
    name = f"bug-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in (state_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)
