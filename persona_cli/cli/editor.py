"""The line editor of `persona chat`: keys, history and completion."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import DEFAULT_ATTRS, Attrs, DummyStyleTransformation, StyleTransformation
from rich.cells import split_graphemes

from persona_cli.cli.output import has_styles, state_folder
from persona_cli.cli.terminal import PROMPT

MAX_HISTORY_BYTES = 1_000_000
"""A longer file of what was typed loses its older half."""
MENU_ROWS = 9

Candidates = Callable[[str], Iterable[tuple[str, str]]]
"""What may stand for the last word of a text that begins with a slash, each with what it means."""


def make_editor(candidates: Candidates) -> PromptSession[str]:
    """What reads messages from the person at the terminal."""
    output = create_output()
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False  # a terminal that answers late would answer into the conversation
    session: PromptSession[str] = PromptSession(
        PROMPT,
        output=output,
        history=open_history(),
        key_bindings=_keys(),
        completer=_SlashCompleter(candidates),
        complete_while_typing=Condition(lambda: session.default_buffer.text.startswith("/")),
        reserve_space_for_menu=MENU_ROWS,
        prompt_continuation=" " * len(PROMPT),
        style_transformation=DummyStyleTransformation() if has_styles() else _NoStyle(),
        include_default_pygments_style=False,
    )
    session.default_buffer.on_text_insert += _compose
    return session


class _NoStyle(StyleTransformation):
    """Takes every colour and emphasis away."""

    def transform_attrs(self, attrs: Attrs) -> Attrs:
        return DEFAULT_ATTRS


def _keys() -> KeyBindings:
    """The keys that are not as everywhere else."""
    keys = KeyBindings()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _drop(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    @keys.add("backspace")
    def _delete_before(event: KeyPressEvent) -> None:
        event.current_buffer.delete_before_cursor(_before(event))

    @keys.add("left")
    def _go_left(event: KeyPressEvent) -> None:
        event.current_buffer.cursor_left(_before(event))

    @keys.add("delete")
    def _delete_after(event: KeyPressEvent) -> None:
        event.current_buffer.delete(_after(event))

    @keys.add("right")
    def _go_right(event: KeyPressEvent) -> None:
        event.current_buffer.cursor_right(_after(event))

    return keys


def _before(event: KeyPressEvent) -> int:
    """Characters of the glyph before the cursor: several for an emoji, or for a syllable of old Korean."""
    line = event.current_buffer.document.text_before_cursor
    spans = split_graphemes(line)[0] if line else []
    return spans[-1][1] - spans[-1][0] if spans else 1


def _after(event: KeyPressEvent) -> int:
    """Characters of the glyph at the cursor."""
    line = event.current_buffer.document.text_after_cursor
    spans = split_graphemes(line)[0] if line else []
    return spans[0][1] if spans else 1


def _compose(buffer: Buffer) -> None:
    """Make syllables of the jamo that some keyboards and clipboards give one by one."""
    before, after = buffer.document.text_before_cursor, buffer.document.text_after_cursor
    composed = unicodedata.normalize("NFC", before)
    if composed != before:
        buffer.document = Document(composed + after, len(composed))


class _SlashCompleter(Completer):
    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        if text.startswith("/") and "\n" not in text:
            word = text.rpartition(" ")[2]
            for candidate, meaning in self._candidates(text):
                if candidate.startswith(word):
                    yield Completion(candidate, -len(word), display_meta=meaning)


def open_history() -> History:
    """What was typed before, in a file that is for its owner alone; kept in memory where there can be none."""
    try:
        file = state_folder() / "history"
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(opened, "r+b") as history:
            os.fchmod(opened, 0o600)
            if os.fstat(opened).st_size > MAX_HISTORY_BYTES:
                history.seek(-MAX_HISTORY_BYTES // 2, os.SEEK_END)
                _, mark, newer = history.read().partition(b"\n#")  # every entry begins so
                history.seek(0)
                history.write(mark + newer)
                history.truncate()
        return _OwnHistory(file)
    except (OSError, RuntimeError):  # no room, no permission, no home
        return InMemoryHistory()


class _OwnHistory(FileHistory):
    """Leaves out what begins with a space, as shells do."""

    def append_string(self, string: str) -> None:
        if not string.startswith(" "):
            super().append_string(string)

    def store_string(self, string: str) -> None:
        with suppress(OSError):  # a full disk is no reason to end a conversation
            super().store_string(string)
