"""Servers for tests: `persona serve` in a process of its own on a free port, and the application without a socket."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.commands import PERSONA

if TYPE_CHECKING:
    from starlette.testclient import TestClient

ROOT = Path(__file__).parents[1]
SERVE = (*PERSONA, "serve", "--port", "0")
UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "persona_cli.server:create_app", "--port", "0")
ADDRESS = re.compile(r'(http://[^\s"]+:\d+)[\s"]')
ENDS_WITHIN_S = 20
"""More than the server grants answers that are under way."""
ASKED = "유퀴즈 출연 후 아쉬웠던 점?"
RECORDED = "내 템포대로 못 쳤어요. 다음에는 천천히 하려고요."


@dataclass(frozen=True)
class Server:
    """A server that runs: its address, its process, and the file that its standard error goes to."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def __str__(self) -> str:
        return self.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def post(self, body: Any, path: str = "/chat/", **more: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=120, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    def send(self, *lines: str, body: bytes = b"") -> bytes:
        """What comes back for a request just as it is written here, without anything that a client would add."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode() + body)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask the server to end, which it must; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_S)

    def written(self) -> str:
        return self.log.read_text(encoding="utf-8")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process that imports persona, and the tests, from this checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **(more or {})}


@contextmanager
def serving(
    folder: Path, *flags: str, env: Mapping[str, str] | None = None, command: Sequence[str] = SERVE
) -> Iterator[Server]:
    """A server started in a folder, which ends with the block; a traceback in its log is an error."""
    with (
        TemporaryDirectory() as place,
        Path(place, "stderr.txt").open("wb") as log,
        subprocess.Popen(
            [*command, *flags], cwd=folder, env=environment(env), stdin=subprocess.DEVNULL, stderr=log
        ) as process,
    ):
        server = Server(_address(process, Path(log.name)), process, Path(log.name))
        try:
            yield server
            if process.poll() is None:
                server.end()
        finally:
            process.kill()
        assert "Traceback" not in server.written(), server.written()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    while not (found := ADDRESS.search(log.read_text(encoding="utf-8"))):
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
        time.sleep(0.02)
    return found[1]


StartServer = Callable[..., Server]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts `persona serve` in a folder, with flags and variables of the environment; all end with the test."""
    with ExitStack() as stack:

        def start(folder: Path, *flags: str, command: Sequence[str] = SERVE, **variables: str) -> Server:
            return stack.enter_context(serving(folder, *flags, env=variables, command=command))

        yield start


@pytest.fixture(scope="session")
def faq_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small store in `vector_store/`, which no test may change."""
    from tests.stores import make_store  # here, so that tests without a store need not wait for chromadb

    folder = tmp_path_factory.mktemp("faq")
    make_store(folder / "vector_store")
    return folder


@pytest.fixture(scope="session")
def quoting(faq_folder: Path) -> Iterator[Server]:
    """`persona serve` with nothing configured, in the folder of the small store; started once."""
    with serving(faq_folder) as server:
        yield server


def client(*roots: Path, peer: str = "127.0.0.1", **settings: object) -> "TestClient":
    """The application as called from this machine, without a socket between; bugs in it become answers."""
    from starlette.testclient import TestClient

    from persona_cli.server import create_app
    from persona_cli.settings import load_settings

    app = create_app(load_settings(db=roots[0], **settings), roots)
    return TestClient(app, "http://127.0.0.1", raise_server_exceptions=False, client=(peer, 50_000))
