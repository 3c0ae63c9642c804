"""What every test stands on: no way to other machines, no home of the user's, and two model servers to ask for."""

import os
import runpy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persona_cli.language import is_korean
from tests import local_model as local
from tests import stub_model as stub
from tests.parts import needs

GUARD = Path(__file__).parent / "guard"
USERS_OWN = ("OPENAI_", "PERSONA_", "XDG_", "LC_", "LANGUAGE", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")
"""How the names of variables begin that would let the user's own environment decide a test."""
HOMES = {
    "HOME": "",
    "USERPROFILE": "",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}

pytest_plugins = ["tests.servers"]

runpy.run_path(str(GUARD / "sitecustomize.py"))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # we were started in the background of a shell, and the processes we start would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def move_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name, folder in HOMES.items():
        patch.setenv(name, str(home / folder))


@pytest.fixture(scope="session", autouse=True)
def network_refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The list of connections that were refused, one a line; and the guarded environment of the whole run."""
    log = tmp_path_factory.mktemp("guard") / "refusals.txt"
    log.touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(USERS_OWN) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        patch.setenv("LANG", "C.UTF-8")
        patch.setenv("PERSONA_VERBATIM", "false")  # models are to be asked, also what was recorded
        move_home(patch, tmp_path_factory.mktemp("home"))
        patch.setenv("NETWORK_GUARD", str(log))
        patch.setenv("PYTHONPATH", str(GUARD), prepend=os.pathsep)
        yield log


@pytest.fixture(autouse=True)
def home(
    network_refusals: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty home for each test, which fails if it reached for another machine, even in a process it started."""
    home = tmp_path_factory.mktemp("home")
    move_home(monkeypatch, home)
    is_korean.cache_clear()
    yield home
    refusals = network_refusals.read_text(encoding="utf-8")
    network_refusals.write_text("", encoding="utf-8")
    if refusals:
        pytest.fail(f"the test reached for other machines:\n{refusals}", pytrace=False)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of tests marked `anyio`."""
    return "asyncio"


@pytest.fixture(scope="session")
def local_model() -> Iterator[local.LocalModel]:
    """A real language model behind an OpenAI-compatible address; started once."""
    with local.running(needs("local model")) as model:
        yield model


@pytest.fixture(scope="session")
def add_stub_model() -> Iterator[Callable[[], stub.StubModel]]:
    """The stub's server, for tests that need more than one."""
    with stub.running() as add_model:
        yield add_model


@pytest.fixture
def stub_model(add_stub_model: Callable[[], stub.StubModel]) -> stub.StubModel:
    """A model server that fails as its model's name says and records what it was asked; fresh for each test."""
    return add_stub_model()
