"""The guards that every other test relies on."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import needs

REACH_OUT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"


def refused(network_refusals: Path) -> str:
    """What the guard wrote, taken off its list so that this test may pass."""
    text = network_refusals.read_text(encoding="utf-8")
    network_refusals.write_text("", encoding="utf-8")
    return text


def test_another_machine_is_out_of_reach(network_refusals: Path) -> None:
    with pytest.raises(RuntimeError, match=r"must not reach other machines.*192\.0\.2\.1"):
        exec(REACH_OUT)
    with pytest.raises(RuntimeError, match=r"getaddrinfo 'example\.com'"):
        socket.getaddrinfo("example.com", 443)
    assert len(refused(network_refusals).splitlines()) == 2


def test_another_machine_is_out_of_reach_of_started_processes(network_refusals: Path) -> None:
    done = subprocess.run([sys.executable, "-c", REACH_OUT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NetworkRefused" in done.stderr
    assert "192.0.2.1" in refused(network_refusals)


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_an_invalid_name_does_not_resolve() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nowhere.invalid", 443)


def test_home_is_empty_and_the_users_settings_are_gone(home: Path) -> None:
    assert Path.home() == home
    assert list(home.iterdir()) == []
    assert not [name for name in os.environ if name.startswith(("OPENAI_", "PERSONA_")) and name != "PERSONA_VERBATIM"]


def test_a_missing_part_skips_here_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no chromium here; install"):
        needs("chromium")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no chromium here; install"):
        needs("chromium")
