"""Files and folders named by the user → the files to read."""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from persona_cli.errors import LoadError
from persona_cli.loading.decoding import decode

IGNORE_FILE = ".personaignore"
"""Names, in the syntax of .gitignore, what is not read in its folder and below."""

_PROFILE = "persona.toml"
_PASSED_OVER = ("node_modules", "__pycache__", _PROFILE)
_REASONS = {
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "no such file or folder",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ELOOP: "a symbolic link that leads back to itself",
}


_Ignored = tuple[tuple[Path, GitIgnoreSpec], ...]
"""Folders above a path, each with what its file names."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What there is to read.

    Attributes:
        files: absolute, links resolved, sorted, each once.
        problems: absolute paths that were to be read and cannot be, each with the reason.
    """

    files: list[Path]
    problems: list[tuple[Path, LoadError]]


def discover(paths: Sequence[Path], exclude: Sequence[Path] = ()) -> Discovery:
    """The files under these paths.

    Hidden files and folders, `node_modules`, `__pycache__` and what a `.personaignore` above them names are passed
    over, unless they are named themselves; a `persona.toml` is always.

    Args:
        exclude: folders that are never read, such as the store's.
    """
    excluded = [Path(os.path.realpath(path)) for path in exclude]
    files: list[Path] = []
    problems: list[tuple[Path, LoadError]] = []
    seen: set[Path] = set()
    waiting: list[tuple[Path, bool, _Ignored]] = [(Path(os.path.abspath(path)), False, ()) for path in paths]
    while waiting:
        path, is_resolved, ignored = waiting.pop()
        try:
            real = path if is_resolved else _resolve(path)
            if real in seen or any(real.is_relative_to(folder) for folder in excluded):
                continue
            seen.add(real)
            if real.is_dir():
                ignored = (*ignored, *_read_ignore_file(real))
                waiting += [(entry, not is_link, ignored) for entry, is_link in _visible(real, ignored)]
            elif _PROFILE not in (path.name, real.name):
                _check_readable(real)
                files.append(real)
        except LoadError as problem:
            problems.append((path, problem))
        except OSError as error:
            problems.append((path, _problem(error)))
    return Discovery(sorted(files), sorted(problems, key=lambda problem: problem[0]))


def _resolve(path: Path) -> Path:
    """Where a path leads.

    Raises:
        LoadError: to a folder that it is itself in.
    """
    if "\0" in str(path):
        raise LoadError(_REASONS[errno.ENOENT])
    real = Path(os.path.realpath(path, strict=True))
    if path.is_symlink() and path.parent.is_relative_to(real):
        raise LoadError(_REASONS[errno.ELOOP])
    return real


def _visible(folder: Path, ignored: _Ignored) -> list[tuple[Path, bool]]:
    """What is to be read in a folder, and whether that is a link."""
    with os.scandir(folder) as entries:
        return [
            (folder / entry.name, entry.is_symlink())
            for entry in entries
            if not _is_passed_over(entry.name)
            and not _is_ignored(folder / entry.name, os.path.isdir(folder / entry.name), ignored)
        ]


def _read_ignore_file(folder: Path) -> _Ignored:
    """What a folder's own file names, if it has one."""
    file = folder / IGNORE_FILE
    return ((folder, GitIgnoreSpec.from_lines(decode(file.read_bytes()).split("\n"))),) if file.is_file() else ()


def _is_ignored(path: Path, is_folder: bool, ignored: _Ignored) -> bool:
    slash = "/" if is_folder else ""
    above = [(base, spec) for base, spec in ignored if path.is_relative_to(base)]  # a link may have led elsewhere
    return any(spec.match_file(path.relative_to(base).as_posix() + slash) for base, spec in above)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _PASSED_OVER


def _check_readable(file: Path) -> None:
    """Open a regular file. Anything else is not even opened: a pipe would wait, a device may act."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise LoadError("not a regular file")
    file.open("rb").close()


def _problem(error: OSError) -> LoadError:
    if error.errno in _REASONS:
        return LoadError(_REASONS[error.errno])
    return LoadError("cannot be read: {reason}", reason=error.strerror or str(error))
