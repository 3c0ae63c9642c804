"""What a line that begins with a slash does in `persona chat`."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from persona_cli.cli.answers import about, gist
from persona_cli.cli.output import dim, plain
from persona_cli.cli.terminal import columns, cut, is_dumb, wrapped
from persona_cli.errors import PersonaError
from persona_cli.language import is_korean, say

if TYPE_CHECKING:
    from persona_cli.cli.chat import Chat
    from persona_cli.sessions import Turn


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the chat.

    Attributes:
        run: takes the chat and what stands behind the name; may return a question to be asked now.
        takes: how its argument is shown.
    """

    run: "Callable[[Chat, str], str | None]"
    help: str
    takes: str = ""


def obey(chat: "Chat", line: str) -> str | None:
    """Do what a line says that begins with a slash; a question to be asked now, where it comes to that.

    Raises:
        EOFError: the chat is to end.
        PersonaError: it cannot be done.
    """
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        (nearest,) = get_close_matches(name, COMMANDS, n=1) or ["help"]
        raise PersonaError("there is no command /{name}: did you mean /{nearest}?", name=name, nearest=nearest)
    return command.run(chat, argument.strip())


def candidates(chat: "Chat", text: str) -> Iterator[tuple[str, str]]:
    """What the last word of a line may become, each with its meaning."""
    command, is_whole, _ = text.partition(" ")
    if not is_whole:
        yield from ((f"/{name}", command.help) for name, command in COMMANDS.items())
    with suppress(PersonaError):
        if command == "/sources" and is_whole:
            yield from ((f"{source.n}", plain(about(source))) for source in _last_answered(chat).sources)
        elif command == "/session" and is_whole:
            yield from (("list", say("lists the sessions")), ("new", say("begins a new one")))
            yield from ((outline.id, plain(outline.title)) for outline in chat.sessions.outlines())


def _help(chat: "Chat", _: str) -> None:
    heads = [f"/{name} {command.takes}".rstrip() for name, command in COMMANDS.items()]
    width = max(map(len, heads))
    for head, command in zip(heads, COMMANDS.values(), strict=True):
        print(wrapped(f"{head.ljust(width if columns() > 2 * width else 0)}  {command.help}"))
    print(dim(wrapped(say("Enter sends, Alt+Enter or Ctrl+J begins a line, Ctrl+R searches what you typed before"))))
    print(dim(wrapped(say("// begins a message with a slash; a message that begins with a space is not remembered"))))


def _sources(chat: "Chat", argument: str) -> None:
    turn = _last_answered(chat)
    if not argument:
        for source in turn.sources:
            print(wrapped(plain(f"[{source.n}] {about(source)}")))
            print(dim(cut(plain(f"    {gist(source, turn.answer)}"), columns())))
        return
    for source in turn.sources:
        if argument == f"{source.n}":
            print(wrapped(plain(f"[{source.n}] {about(source)}")))
            print(wrapped(plain(source.text)))
            return
    raise PersonaError("there is no source {n!r}; there are {count}", n=argument, count=len(turn.sources))


def _last_answered(chat: "Chat") -> "Turn":
    for turn in reversed(chat.session().turns):
        if turn.state == "done" and turn.sources:
            return turn
    raise PersonaError("there is no answer with sources yet")


def _session(chat: "Chat", argument: str) -> None:
    if argument == "list":
        for outline in chat.sessions.outlines():
            asked = say("{count} questions", count=outline.turns)
            mark = "*" if outline.id == chat.session_id else " "
            print(cut(plain(f"{mark} {outline.id}  {outline.last[:10]}  {asked}  {outline.title}"), columns()))
        return
    if argument == "new":
        chat.enter(None)
    elif argument:
        chat.enter(chat.sessions.find(argument))
    chat.tell_session()


def _persona(chat: "Chat", _: str) -> None:
    identity = chat.identity()
    profile = identity.profile
    links = [f"{link.title}: {link.url}" for link in profile.links]
    for text in filter(None, (identity.name, profile.description, chat.disclosure(), *links)):
        print(wrapped(plain(text)))


def _export(chat: "Chat", argument: str) -> None:
    from persona_cli.transcript import to_markdown

    session = chat.session()
    if not session.turns:
        raise PersonaError("nothing has been said yet")
    file = Path(argument or f"persona-{session.id or session.started[:10]}.md")
    text = plain(to_markdown(session, chat.identity().name, is_korean()))
    try:
        with file.expanduser().open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
    except FileExistsError:
        raise PersonaError("{file} is there already: name another", file=str(file)) from None
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PersonaError("{file} cannot be written: {why}", file=str(file), why=why) from None
    print(wrapped(plain(say("written: {file}", file=str(file)))))


def _retry(chat: "Chat", _: str) -> str:
    turns = chat.session().turns
    question = chat.last_question or (turns[-1].question if turns else "")
    if not question:
        raise PersonaError("nothing has been asked yet")
    return question


def _clear(chat: "Chat", _: str) -> None:
    if not is_dumb():
        print("\x1b[H\x1b[2J", end="", flush=True)


def _quit(chat: "Chat", _: str) -> None:
    raise EOFError


COMMANDS = {
    "help": Command(_help, say("shows this")),
    "sources": Command(_sources, say("shows the sources of the last answer, or one in full"), "[N]"),
    "session": Command(_session, say("shows the session, lists all, begins one or goes to one"), "[list|new|ID]"),
    "persona": Command(_persona, say("shows who answers")),
    "export": Command(_export, say("writes the session to a new file, as Markdown"), "[FILE]"),
    "retry": Command(_retry, say("asks the last question again")),
    "clear": Command(_clear, say("clears the screen")),
    "quit": Command(_quit, say("leaves, as Ctrl-D does")),
}
