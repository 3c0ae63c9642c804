"""The terminal: how wide it is, and text that is written as it comes, wrapped, and never written over."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unicodedata import category

from persona_cli.cli.output import dim

PROMPT = "> "
COLUMNS = 80
"""Of a terminal that does not tell."""
OPENING = ("Ps", "Pi")
CLOSING = ("Pe", "Pf", "Po", "Mn", "Me", "Mc", "Cf", "Sk")
"""Kinds of characters after and before which a line does not end, even beside Korean."""
JOINERS = "\u200d\"'"


def columns() -> int:
    """How many columns the terminal has now; people resize it."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS


def is_dumb() -> bool:
    """Whether the terminal can do nothing but show text."""
    return os.environ.get("TERM") in ("dumb", "unknown")


def cut(text: str, width: int) -> str:
    """The text in so many columns at most, with "…" where it is cut."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


class Flow:
    """Text that comes piece by piece, wrapped between words, and in Korean between syllables.

    What cannot be told to be whole yet is held back: the last word or syllable.

    Args:
        write: takes text for the terminal.
        width: tells how many columns there are.
    """

    def __init__(self, write: Callable[[str], object], width: Callable[[], int] = columns) -> None:
        self._write = write
        self._width = width
        self._column = 0
        self._gap = ""
        self._held = ""

    def add(self, text: str) -> None:
        """Take the next piece."""
        for char in text:
            if char == "\n":
                self._put()
                self._break()
            elif char in " \t\u3000":
                self._put()
                self._gap += " " if char == "\t" else char
            else:
                if self._held and _may_part(self._held[-1], char):
                    self._put()
                self._held += char

    def end(self) -> None:
        """Write what was held back, and end the line."""
        self._put()
        if self._column:
            self._break()

    def _put(self) -> None:
        from rich.cells import cell_len, split_graphemes

        if not self._held:
            return
        width, word = self._width(), self._held
        taken = cell_len(self._gap + word)
        if self._column + taken > width:
            if self._column:
                self._break()
            self._gap, taken = "", cell_len(word)
        if taken > width:  # an address, say
            glyphs, self._held = split_graphemes(word)[0], ""
            for start, end, cells in glyphs:
                if self._column and self._column + cells > width:
                    self._break()
                self._write(word[start:end])
                self._column += cells
        else:
            self._write(self._gap + word)
            self._column += taken
        self._gap = self._held = ""

    def _break(self) -> None:
        self._write("\n")
        self._column, self._gap = 0, ""


def _may_part(before: str, after: str) -> bool:
    """Whether a line may end between two characters that no space is between."""
    from rich.cells import cell_len

    if before in JOINERS or "\U0001f1e6" <= after <= "\U0001f1ff" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return False
    if category(before) in OPENING or category(after) in CLOSING or after == "~" or not cell_len(after):
        return False
    return cell_len(before) > 1 or cell_len(after) > 1


def wrapped(text: str) -> str:
    """The text in lines that fit the terminal."""
    parts: list[str] = []
    flow = Flow(parts.append)
    flow.add(text)
    flow.end()
    return "".join(parts).removesuffix("\n")


class Waiting:
    """A line that says to wait, and goes when there is something to see; only where a line can be taken back."""

    def __init__(self) -> None:
        self._is_shown = False

    def show(self, text: str) -> None:
        """Say it, on a line that is empty."""
        if sys.stdout.isatty() and not is_dumb():
            print(dim(cut(text, columns() - 1)), end="", flush=True)
            self._is_shown = True

    def clear(self) -> None:
        """Take it back."""
        if self._is_shown:
            print("\r\x1b[K", end="", flush=True)
            self._is_shown = False


@contextmanager
def keys_held_back() -> Iterator[None]:
    """What is typed shows at the next prompt, and not before; Ctrl-C interrupts all the same."""
    if sys.platform == "win32" or is_dumb():
        yield
        return
    import termios

    try:
        before = termios.tcgetattr(sys.stdin.fileno())
    except (OSError, ValueError, termios.error):  # it is no terminal
        yield
        return
    during = [*before]
    during[0] &= ~termios.ICRNL  # the prompt would take a line feed for a line within the message
    during[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, during)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
