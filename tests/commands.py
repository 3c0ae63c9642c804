"""Running `persona` as its users do: in a process of its own."""

import os
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
