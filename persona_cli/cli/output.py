"""What all commands print with, and the options they share."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from persona_cli.language import say

Db = Annotated[
    Path | None,
    typer.Option("--db", metavar="DIR", help=say("Folder of the store (default: vector_store/, or PERSONA_DB).")),
]
Json = Annotated[bool, typer.Option("--json", help=say("Print one JSON object for programs."))]

HARMLESS = dict.fromkeys((*range(32), *range(127, 160), 1564, *range(8234, 8239), *range(8294, 8298)))
del HARMLESS[ord("\n")], HARMLESS[ord("\t")]
"""Control characters and bidirectional overrides: in a document they could steer the reader's terminal."""
ESCAPES = {code: f"\\u{code:04x}" for code in HARMLESS if code > 126}
"""The same for JSON, which escapes only the first of them by itself."""


def plain(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return text.translate(HARMLESS)


def print_json(value: Mapping[str, Any]) -> None:
    """One object, one line a key, on standard output."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    print(spell_json(value, ensure_ascii=encoding != "utf8"))


def spell_json(value: Mapping[str, Any], ensure_ascii: bool = False) -> str:
    """An object as JSON, one line a key, in which nothing steers a terminal."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=2, default=str).translate(ESCAPES)


def dim(text: str) -> str:
    """The text in the terminal's quiet style, if it is a terminal with styles."""
    return f"\x1b[2m{text}\x1b[0m" if has_styles() else text


def has_styles() -> bool:
    """Whether standard output is a terminal that may be coloured."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def state_folder() -> Path:
    """Where what a user did is kept, apart from any store: `$XDG_STATE_HOME/persona`. Raises: RuntimeError: no home."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "persona"
