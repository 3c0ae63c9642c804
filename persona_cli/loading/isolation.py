"""Documents taken apart in a process of its own, so that one made to hang, crash or fill the memory harms only that."""

import atexit
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, get_args

from persona_cli.errors import LoadError, NoWords
from persona_cli.extraction.blocks import Block, Extract, Kind

MEMORY_MB = 1_024
"""What the process may take for its data. A workbook of 150,000 rows (10 MB) takes 390 MB, a page of 37 MB 270 MB, a
PDF of a thousand pages 70 MB."""
MAX_ANSWER = 300_000_000
"""Bytes that what was found in one file may take."""
_LARGE = 5_000_000
"""After a file of more bytes the process is ended, and what it took is given back."""
_END_S = 1.0

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_FAULTS = {
    "damaged": "damaged or cut off, or not a {suffix} file at all",
    "protected": "protected by a password",
    "too large": "too large when unpacked",
    "no memory": "reading it takes more than {megabytes} MB of memory",
    "part missing": "{suffix} files need the office part: pip install 'persona-cli[office]'",
}


class Extractor:
    """The process, started for the first file and again after one that ended it.

    Args:
        command: what to run; it is given the bound on its memory, in megabytes.
    """

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-P", "-m", "persona_cli.extraction"),
        memory_mb: int = MEMORY_MB,
    ) -> None:
        self._command = [*command, str(memory_mb)]
        self._memory_mb = memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def extract(self, suffix: str, data: bytes, timeout_s: float) -> Extract:
        """What is in a document.

        Args:
            suffix: of such files, ".docx".
            timeout_s: longest time it may take, in seconds.

        Raises:
            NoWords: there are only pictures in it.
            LoadError: it cannot be read.
        """
        with self._turn:
            answer = self._ask(suffix, data, timeout_s)
            if len(data) > _LARGE:
                self.close()
        fault = str(answer.get("fault"))
        if fault == "only pictures":
            raise NoWords("there is no text in it, only pictures")
        if fault in _FAULTS:
            raise LoadError(_FAULTS[fault], suffix=suffix, megabytes=self._memory_mb)
        try:
            return _parse(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise LoadError("its reader crashed") from error

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process and process.stdin and process.stdout:
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    def _ask(self, suffix: str, data: bytes, timeout_s: float) -> dict[str, Any]:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            if self._process:
                self._process.kill()

        timer = threading.Timer(timeout_s, expire)
        timer.daemon = True
        timer.start()
        try:
            answer = _exchange(self._start(), {"suffix": suffix, "seconds": timeout_s}, data)
        except (OSError, RecursionError, ValueError) as error:
            self._kill()
            if expired.is_set():
                raise LoadError("not read within {seconds:g} s", seconds=timeout_s) from error
            raise LoadError("its reader crashed") from error
        except BaseException:  # Ctrl-C: what it would still answer belongs to nothing
            self._kill()
            raise
        finally:
            timer.cancel()
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        return self._process

    def _kill(self) -> None:
        if self._process:
            self._process.kill()
        self.close()


@cache
def shared_extractor() -> Extractor:
    """The one of this process, ended with it."""
    extractor = Extractor()
    atexit.register(extractor.close)
    return extractor


def _exchange(process: "subprocess.Popen[bytes]", head: dict[str, object], data: bytes) -> dict[str, Any]:
    """Send a request and wait for the answer to it.

    Raises:
        OSError, RecursionError, ValueError: the process has ended, or does not answer as agreed.
    """
    assert process.stdin
    assert process.stdout
    process.stdin.write(len(data).to_bytes(8, "big") + json.dumps(head).encode() + b"\n")
    process.stdin.write(data)
    process.stdin.flush()
    size = int.from_bytes(process.stdout.read(8), "big")
    if not 0 < size <= MAX_ANSWER:
        raise ValueError(size)
    answer = json.loads(process.stdout.read(size))
    if not isinstance(answer, dict):
        raise ValueError(answer)
    return answer


def _parse(answer: dict[str, Any]) -> Extract:
    """The answer in its form. Nothing is taken on trust from a process that reads what strangers wrote.

    Raises:
        KeyError, TypeError, ValueError: it has another form.
    """
    blocks = [
        Block(_KINDS[kind], str(text), int(level), [[str(cell) for cell in row] for row in rows], str(part))
        for kind, text, level, rows, part in answer["blocks"]
    ]
    return Extract(blocks, str(answer["title"]), str(answer["author"]), str(answer["date"]))
