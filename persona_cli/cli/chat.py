"""`persona chat`."""

import asyncio
import sys
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from persona_cli.cli import slash
from persona_cli.cli.answers import about, doubts, gist, notes
from persona_cli.cli.boundary import complain
from persona_cli.cli.output import Db, dim, plain
from persona_cli.cli.terminal import PROMPT, Flow, Waiting, columns, cut, is_dumb, keys_held_back, wrapped
from persona_cli.errors import PersonaError, StoreBusy, StoreUnwritable
from persona_cli.language import is_korean, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.identity import Identity
    from persona_cli.models import Answer
    from persona_cli.sessions import Session, State

SUGGESTED = 3
"""Questions of the profile that are suggested."""


def chat(
    db: Db = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help=say("Go on with this session; a new name begins one.")),
    ] = None,
    go_on: Annotated[bool, typer.Option("--continue", help=say("Go on with the last session."))] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help=say("Language model (or PERSONA_MODEL)."))
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, max=20, metavar="N", help=say("Passages to answer from."))
    ] = None,
) -> None:
    """Talk with the person at the terminal; or answer a question a line, from standard input."""
    if session is not None and go_on:
        raise typer.BadParameter(say("--session and --continue go one without the other"))
    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.settings import load_settings

    settings = load_settings(db=db, model=model)
    chatbot = PersonaChatbot(db_path=settings.db, settings=settings)
    with asyncio.Runner() as runner:
        try:
            Chat(chatbot, runner, chatbot.enter(session, go_on), top_k).run()
        finally:
            runner.run(chatbot.aclose())


class Chat:
    """One conversation, at a terminal or through a pipe.

    Args:
        runner: has the event loop of the whole chat.
        session: id of the session to go on with, "new", or None to keep none.
        top_k: passages to answer from; None takes the setting's.

    Attributes:
        session_id: of the session that is kept; None where none is, or none has begun yet.
        last_question: None before the first.
    """

    def __init__(
        self, chatbot: "PersonaChatbot", runner: asyncio.Runner, session: str | None, top_k: int | None
    ) -> None:
        from persona_cli.recording import NEW
        from persona_cli.sessions import Sessions

        self._chatbot = chatbot
        self._runner = runner
        self._top_k = top_k
        self._keeps = session is not None
        self._is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self.sessions = Sessions(chatbot.open().store.catalog)
        self.enter(None if session == NEW else session)

    def enter(self, session_id: str | None) -> None:
        """Go to a session; None goes to a new one, which begins with its first question."""
        from persona_cli.sessions import Session

        self.session_id = session_id
        self.last_question: str | None = None
        self._disclosed = ""
        self._unkept = Session("", "", datetime.now(UTC).isoformat(), (), "", 0)

    def session(self) -> "Session":
        """What was said so far. Raises: StoreError."""
        return self.sessions.load(self.session_id) if self.session_id else self._unkept

    def identity(self) -> "Identity":
        """Who answers, as it is now. Raises: PersonaError."""
        from persona_cli.identity import Identity

        return Identity(self._chatbot.open().store)

    def run(self) -> None:
        """Talk until everything is said."""
        if not self._is_interactive:
            self._answer_lines()
            return
        with keys_held_back():
            self._greet()
            read = self._reader()
            while True:
                try:
                    self._take(read())
                except EOFError:
                    return
                except KeyboardInterrupt:
                    self._tell(say("Ctrl-D or /quit leaves"))
                except PersonaError as error:
                    self._complain(error)

    def _answer_lines(self) -> None:
        """Answer a question a line; a line that begins with a slash is one too."""
        for line in iter(sys.stdin.buffer.readline, b""):
            try:
                if question := _decoded(line):
                    self._ask(question)
            except PersonaError as error:
                self._complain(error)

    def _reader(self) -> "Callable[[], str]":
        """What reads the next message, raising EOFError after the last and KeyboardInterrupt at Ctrl-C."""
        if is_dumb():
            return _read_line
        from persona_cli.cli.editor import make_editor

        editor = make_editor(partial(slash.candidates, self))
        return lambda: self._runner.run(editor.prompt_async())

    def _take(self, text: str) -> None:
        """Do what was typed."""
        if text.startswith("/") and not text.startswith("//") and "\n" not in text.rstrip():
            question = slash.obey(self, text.rstrip())
        else:
            question = text.removeprefix("/") if text.startswith("//") else text
        if question and question.strip():
            self._ask(question)

    def _ask(self, question: str) -> None:
        """Show the answer to a question, as it comes. Raises: PersonaError."""
        self.last_question = question
        self._begin()
        pieces: list[str] = []
        try:
            answer = self._runner.run(self._answer(question, pieces))
        except KeyboardInterrupt:
            if not self._is_interactive:
                raise
            self._note(question, "".join(pieces), "stopped")
            print(dim(f"({say('stopped')})\n"))
            return
        self._note(question, answer.output, "done", answer)
        self._show_rest(answer)

    def _begin(self) -> None:
        """Begin the session that is to be kept, if it has not begun."""
        if self.session_id or not self._keeps:
            return
        try:
            self.session_id = self.sessions.start()
        except (StoreUnwritable, StoreBusy) as error:
            self._keeps = False
            self._tell(say("this conversation is not kept: {why}", why=say(error.template, **error.values)))

    async def _answer(self, question: str, pieces: list[str]) -> "Answer":
        """The answer, shown as it comes; its pieces, for when it does not come to its end."""
        from persona_cli.sessions import history

        answer: Any = None
        past = {"session": self.session_id} if self.session_id else {"history": history(self._unkept)}
        flow = Flow(sys.stdout.write, columns if sys.stdout.isatty() else lambda: sys.maxsize)
        waiting = Waiting()
        waiting.show(say("thinking…"))
        try:
            async with aclosing(self._chatbot.stream(question, top_k=self._top_k, **past)) as parts:
                async for part in parts:
                    if isinstance(part, str):
                        pieces.append(part)
                        waiting.clear()
                        flow.add(plain(part))
                        sys.stdout.flush()
                    else:
                        answer = part
        finally:
            waiting.clear()
            flow.end()
        return answer  # type: ignore[no-any-return]

    def _note(self, question: str, text: str, state: "State", answer: "Answer | None" = None) -> None:
        """Remember a turn where no session does."""
        if self.session_id:
            return
        from persona_cli.sessions import Turn

        mode, sources = (answer.mode, answer.sources) if answer else (None, ())
        turns = self._unkept.turns
        turn = Turn(len(turns) + 1, datetime.now(UTC).isoformat(), question, text, state, mode, sources)
        self._unkept = replace(self._unkept, turns=[*turns, turn])

    def _show_rest(self, answer: "Answer") -> None:
        """What stands below an answer."""
        if line := doubts(answer):
            print(dim(wrapped(plain(line))))
        for source in answer.sources:
            line = plain(f"[{source.n}] {about(source)}")
            if self._is_interactive:
                line = cut(f"{line} — {plain(gist(source, answer.output))}", columns())
            print(dim(line))
        for note in notes(answer):
            if note != self._disclosed:
                self._tell(note)
        print(flush=True)

    def _greet(self) -> None:
        identity = self.identity()
        greeting, disclosure = self._opening(identity)
        self._disclosed = disclosure
        print(wrapped(plain(greeting)))
        print(dim(wrapped(plain(disclosure))))
        for question in identity.profile.questions[:SUGGESTED]:
            print(dim(wrapped(plain(f"- {question}"))))
        print(dim(wrapped(say("/help shows what else there is, Ctrl-D leaves"))))
        if self.session_id and self.session().turns:
            self.tell_session()
        print()

    def disclosure(self) -> str:
        """That this is a model of the person, in the language that the person greets in. Raises: PersonaError."""
        return self._opening(self.identity())[1]

    def _opening(self, identity: "Identity") -> tuple[str, str]:
        """What is said first: the greeting, and that it is a model who answers."""
        from persona_cli.phrases import small_talk

        greeting = identity.profile.greeting
        if not greeting:
            is_in_korean = identity.profile.language == "ko" if identity.profile.language else is_korean()
            hello = "안녕하세요" if is_in_korean else "hello"
            greeting = small_talk("greeting", hello, identity.name, identity.register)
        return greeting, identity.disclosure(greeting)

    def tell_session(self) -> None:
        """Show which session it is, and how far it has come. Raises: StoreError."""
        count = len(self.session().turns)
        if self.session_id:
            self._tell(say("session {id}: {count} questions so far", id=self.session_id, count=count))
        elif self._keeps:
            self._tell(say("a new session, which begins with your next question"))
        else:
            self._tell(say("this conversation is not kept; {count} questions so far", count=count))

    def _tell(self, note: str) -> None:
        """Say something beside the conversation."""
        if self._is_interactive:
            print(dim(wrapped(plain(note))))
        else:
            complain(note)

    def _complain(self, error: PersonaError) -> None:
        """Say what went wrong."""
        message = say(error.template, **error.values)
        if self._is_interactive:
            print(wrapped(plain(f"persona: {message}")))
        else:
            complain(message)


def _read_line() -> str:
    """The next line that is typed, where the terminal itself has to edit it."""
    print(PROMPT, end="", flush=True)
    line = sys.stdin.buffer.readline()
    if not line:
        print()
        raise EOFError
    return _decoded(line)


def _decoded(line: bytes) -> str:
    from persona_cli.loading.decoding import decode

    return decode(line).strip("\n")
