import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persona_cli.loading.discovery import Discovery, discover

NOBODY = 65534


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("말", encoding="utf-8")


def names(found: Discovery, folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in found.files]


def problems(found: Discovery) -> list[tuple[str, str]]:
    return [(path.name, str(reason)) for path, reason in found.problems]


def test_folders_are_walked_and_files_come_sorted(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/c.md", "a/a/d.csv")
    found = discover([tmp_path])
    assert names(found, tmp_path) == ["a/a/d.csv", "a/c.md", "b.txt"]
    assert found.problems == []


def test_paths_come_out_absolute_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/b.txt")
    monkeypatch.chdir(tmp_path)
    assert discover([Path("a"), Path("a/b.txt"), Path(), tmp_path / "a/../a"]).files == [tmp_path / "a/b.txt"]


def test_hidden_files_and_other_peoples_code_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", ".hidden.txt", ".git/b.txt", "node_modules/c.txt", "x/__pycache__/d.txt")
    assert names(discover([tmp_path]), tmp_path) == ["a.txt"]


def test_what_is_named_itself_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, ".hidden.txt", ".folder/a.txt", "node_modules/b.txt")
    found = discover([tmp_path / ".hidden.txt", tmp_path / ".folder", tmp_path / "node_modules"])
    assert names(found, tmp_path) == [".folder/a.txt", ".hidden.txt", "node_modules/b.txt"]


def test_the_store_is_never_read(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "store/b.txt", "store/index/c.txt")
    (tmp_path / "link").symlink_to(tmp_path / "store/index")
    found = discover([tmp_path, tmp_path / "store/b.txt"], exclude=[tmp_path / "x/../store"])
    assert names(found, tmp_path) == ["a.txt"]
    assert found.problems == []


def test_a_link_is_followed_once_to_what_it_names(tmp_path: Path) -> None:
    make(tmp_path, "real/a.txt", "docs/b.txt")
    (tmp_path / "docs/link").symlink_to(tmp_path / "real")
    (tmp_path / "docs/other").symlink_to(tmp_path / "real")
    (tmp_path / "docs/c.txt").symlink_to(tmp_path / "docs/b.txt")
    found = discover([tmp_path / "docs"])
    assert names(found, tmp_path) == ["docs/b.txt", "real/a.txt"]
    assert found.problems == []


def test_links_that_lead_nowhere_are_problems(tmp_path: Path) -> None:
    make(tmp_path, "a/b.txt")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    (tmp_path / "a/gone").symlink_to(tmp_path / "nothing")
    found = discover([tmp_path])
    assert names(found, tmp_path) == ["a/b.txt"]
    assert problems(found) == [
        ("gone", "no such file or folder"),
        ("self", "a symbolic link that leads back to itself"),
        ("up", "a symbolic link that leads back to itself"),
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing.txt", "no such file or folder"),
        ("a.txt/b", "no such file or folder"),
        ("nul\0.txt", "no such file or folder"),
        ("n" * 5000, f"cannot be read: {os.strerror(36 if sys.platform == 'linux' else 63)}"),
    ],
)
def test_a_path_that_cannot_be_found_is_a_problem(tmp_path: Path, name: str, reason: str) -> None:
    make(tmp_path, "a.txt")
    found = discover([tmp_path / name, tmp_path / "a.txt"])
    assert names(found, tmp_path) == ["a.txt"]
    assert [(path, str(why)) for path, why in found.problems] == [(tmp_path / name, reason)]


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 100 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        found = discover([tmp_path, Path(os.devnull)])
    assert found.files == []
    assert problems(found) == [(name, "not a regular file") for name in ("null", "pipe", "socket")]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything, so tests that run as root lay that down for a while."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_may_not_be_read_is_a_problem() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        root = Path(folder).resolve()
        make(root, "a.txt", "secret.txt", "closed/b.txt")
        root.chmod(0o755)
        (root / "secret.txt").chmod(0)
        (root / "closed").chmod(0)
        with ordinary_user():
            found = discover([root])
        (root / "closed").chmod(0o755)
        assert names(found, root) == ["a.txt"]
        assert problems(found) == [("closed", "no permission to read it"), ("secret.txt", "no permission to read it")]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take only Unicode names")
def test_names_that_are_no_unicode_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    make(tmp_path, name, "말.txt")
    assert sorted(file.name for file in discover([tmp_path]).files) == sorted([name, "말.txt"])


def test_folders_may_be_nested_deeper_than_python_recurses(tmp_path: Path) -> None:
    folders = [tmp_path / "d"]
    while len(folders) < sys.getrecursionlimit() + 100:
        folders.append(folders[-1] / "d")
    file = folders[-1] / "a.txt"
    try:
        for folder in folders:
            folder.mkdir()
        file.touch()
        assert discover([tmp_path]).files == [file]
    finally:  # pytest clears old folders away, and recurses
        file.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()
