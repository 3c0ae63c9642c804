"""A terminal with a person before it: `persona` runs in it, and what they would see can be read."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.commands import PERSONA

OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Lets Ctrl-C reach the program, as in a shell."""
PATIENCE_S = 20
STYLE = re.compile(rb"\x1b\[[\d;]*[1-9][\d;]*m")


class Terminal:
    """The screen and the keyboard of one running command.

    Attributes:
        raw: every byte that was written so far.
    """

    def __init__(self, ours: int, process: "subprocess.Popen[bytes]", columns: int, rows: int) -> None:
        self._ours = ours
        self._process = process
        self._modes = termios.tcgetattr(ours)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def ask(self, text: str, seen: str) -> None:
        """Send a message and wait for what is to come of it."""
        self.type(text)
        self.see(text.splitlines()[0][-12:])
        self.type("\r")
        self.see(seen)
        self.ready()

    def see(self, *texts: str) -> str:
        """Wait until all of these can be seen, in this order; the screen."""
        return self._wait(lambda shown: _in_order(shown, texts), f"{texts}")

    def ready(self) -> None:
        """Wait for an empty prompt on the last line."""
        self._wait(lambda shown: shown.splitlines()[-1:] == [">"], "an empty prompt")

    def gone(self, text: str) -> str:
        """Wait until this is not to be seen any more; the screen."""
        return self._wait(lambda shown: text not in shown, f"{text!r} gone")

    def resize(self, columns: int, rows: int) -> None:
        """Pull the window to another size."""
        self._screen.resize(rows, columns)
        _set_size(self._ours, columns, rows)

    def end(self) -> int:
        """Wait for the command to end, which leaves the terminal as it was; its exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        status = self._process.wait(timeout=PATIENCE_S)
        assert termios.tcgetattr(self._ours) == self._modes
        return status

    @property
    def shown(self) -> str:
        """What can be seen now, without the empty end of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def is_styled(self) -> bool:
        """Whether anything so far was coloured or emphasised; the screen does not know of dim text."""
        return STYLE.search(self.raw) is not None

    def _wait(self, is_so: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(self.shown):
            if not self._read(deadline):
                raise AssertionError(f"waited for {what}; seen:\n{self.shown}")
        return self.shown

    def _read(self, deadline: float) -> bool:
        """Take what is written; whether there may be more."""
        if not select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # Linux's way of saying that the other side is closed
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)


@contextmanager
def terminal(
    *arguments: str, cwd: Path, columns: int = 80, rows: int = 40, env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a command in a terminal of its own, which takes it along when it is closed."""
    ours, theirs = pty.openpty()
    _set_size(ours, columns, rows)
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *PERSONA, *arguments],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **(env or {})},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process, columns, rows)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)


def _set_size(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _in_order(shown: str, texts: tuple[str, ...]) -> bool:
    at = 0
    for text in texts:
        at = shown.find(text, at)
        if at < 0:
            return False
        at += len(text)
    return True
