"""`persona init`."""

import locale
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persona_cli.cli.output import Db, plain
from persona_cli.errors import ProfileError, StoreMissing
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.persona.profile import Profile
    from persona_cli.settings import Settings

LEAVE_OUT = "-"
QUESTIONS = {
    "name": "What is the person called?",
    "speaker": "What are they called in chats, if by other names? (name, name)",
    "language": "Which language do they speak (ko, en, …)?",
    "address": "What do they call those they talk with?",
    "description": "Who are they, in a line?",
    "greeting": "What do they say first in a chat?",
}


def init(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", exists=True, file_okay=False, help=say("Folder of the person's files.")),
    ] = Path(),
    db: Db = None,
    force: Annotated[bool, typer.Option("--force", help=say("Write over a persona.toml that is there."))] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask: write what is known."))] = False,
) -> None:
    """Write a persona.toml to fill in."""
    from persona_cli.persona.profile import FILE_NAME
    from persona_cli.persona.template import render
    from persona_cli.settings import load_settings

    file = folder / FILE_NAME
    if not force and (file.exists() or file.is_symlink()):
        raise _there(file)
    profile = _known(load_settings(db=db))
    if not yes and all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        profile = _ask(profile)
    _write(file, render(profile), force)
    next_step = shlex.join(["persona", "ingest", str(folder)])
    print(plain(say("written: {file}; look it over, then run: {command}", file=str(file), command=next_step)))


def _known(settings: "Settings") -> "Profile":
    """What a store tells of the person, its own persona.toml first; nothing where there is no store.

    Raises:
        StoreError: there is one that cannot be used.
    """
    from persona_cli import assembly
    from persona_cli.persona.profile import FILE_NAME, Profile, over, parse_profile
    from persona_cli.persona.template import render

    if not assembly.has_store(settings):
        return Profile()
    store = assembly.open_store(settings)
    shown = Profile()
    with suppress(StoreMissing):  # made, and nothing ingested yet
        status = store.status()
        names = tuple(status.names) or tuple(status.speakers)[:1]
        shown = Profile(name="".join(names[:1]), aliases=names[1:], language=next(iter(status.languages), ""))
        try:
            shown = parse_profile(render(shown), FILE_NAME)
        except ProfileError:  # what others call somebody may be no name at all
            shown = Profile()
    with store.catalog.snapshot() as snapshot:
        text = snapshot.assets([FILE_NAME]).get(FILE_NAME, b"")
    with suppress(ProfileError):  # written by another version, say
        return over(parse_profile(text.decode("utf-8", "replace"), FILE_NAME), shown)
    return shown


def _ask(profile: "Profile") -> "Profile":
    """The profile with what somebody at the terminal says to it."""
    if locale.setlocale(locale.LC_CTYPE) != "C":  # in which readline knows no letters but ASCII's
        with suppress(ImportError):
            import readline  # noqa: F401  # lets `input` edit a line, wide characters too
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may send what is no text
    print(say("Enter takes what stands in brackets, {dash} leaves it out, Ctrl-C writes nothing.", dash=LEAVE_OUT))
    known = profile.names
    for key in QUESTIONS:
        if key == "speaker" and not profile.speaker:
            profile = replace(profile, speaker="".join(name for name in known[:1] if name != profile.name))
        profile = _ask_for(key, profile)
    own = (profile.name, profile.speaker)
    names = dict.fromkeys((*known, *profile.aliases))
    return replace(profile, aliases=tuple(name for name in names if name not in own))


def _ask_for(key: str, profile: "Profile") -> "Profile":
    """The profile with what is answered to one question, asked again until the answer can be used."""
    from persona_cli.persona.profile import parse_profile
    from persona_cli.persona.template import quoted

    default = getattr(profile, key)
    while True:
        brackets = f" [{plain(default)}]" if default else ""
        answer = input(f"{say(QUESTIONS[key])}{brackets} ").strip() or default
        try:
            first, *others = answer.split(",") if key == "speaker" else [answer]
            said = parse_profile(f"{key} = {quoted('' if answer == LEAVE_OUT else first)}", say("your answer"))
            names = (*profile.aliases, *(name.strip() for name in others if name.strip()))
            return replace(profile, aliases=names, **{key: getattr(said, key)})
        except ProfileError as error:
            print(plain(say(error.template, **error.values)), file=sys.stderr)


def _write(file: Path, text: str, force: bool) -> None:
    """Write a file whole or not at all, over another one only by force."""
    aside = file.with_name(f".{file.name}.new")
    try:
        if force:
            aside.write_text(text, encoding="utf-8", newline="\n")
            aside.replace(file)
        else:
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
    except FileExistsError as error:
        raise _there(file) from error
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise ProfileError("{file} cannot be written: {why}", file=str(file), why=error.strerror) from error


def _there(file: Path) -> ProfileError:
    return ProfileError("{file} is there already: edit it, or write over it with --force", file=str(file))
