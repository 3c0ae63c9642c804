"""Running `persona` as its users do: in a process of its own."""

import os
import pty
import subprocess
import sys
from pathlib import Path

PERSONA = [sys.executable, "-m", "persona_cli"]


def persona(
    *arguments: str, cwd: Path, stdin: str | bytes | None = None, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; its exit status and what it printed."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*PERSONA, *arguments],
        cwd=cwd,
        input=data,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=120,
        check=False,
    )
    text = (done.stdout.decode(), done.stderr.decode())
    return subprocess.CompletedProcess(done.args, done.returncode, *text)


def complaints(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command said on standard error, but for what each first answer says there: that a model answers."""
    lines = done.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if "모델의 답이에요" not in line and "is answering, not" not in line)


def on_terminal(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What a command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **(env or {})}
    process = subprocess.Popen(
        [*PERSONA, *arguments], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    process.wait(timeout=60)
    return shown.decode()
