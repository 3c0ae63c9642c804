"""Watching: folders and files → a signal whenever something in them has changed and come to rest."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from watchfiles import watch

REST_MS = 100
"""How long nothing may change before a change counts, in milliseconds: a file is seldom written in one go."""
LONGEST_MS = 800
"""How long that is waited for when something changes all the time, in milliseconds."""


def changes(paths: Sequence[Path], ignore: Path, tick_ms: int) -> Iterator[bool]:
    """True whenever something under the paths has changed, False whenever nothing has for `tick_ms` milliseconds.

    Args:
        ignore: folder whose own changes do not count, as the store's.
    """
    ignored = os.path.realpath(ignore)

    def counts(_: object, path: str) -> bool:
        path = os.path.realpath(path)
        return path != ignored and not path.startswith(ignored + os.sep)

    # A file is watched by its folder: editors put a new file in place of the old one.
    roots = {Path(os.path.realpath(path if path.is_dir() else path.parent)) for path in paths}
    while True:
        watched = _identities(roots)
        while None in watched:  # a folder was taken away: wait until it is back
            time.sleep(tick_ms / 1_000)
            watched = _identities(roots)
            yield None not in watched
        for found in watch(
            *roots,
            watch_filter=counts,
            debounce=LONGEST_MS,
            step=REST_MS,
            rust_timeout=tick_ms,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            yield bool(found)
            if _identities(roots) != watched:
                break


def _identities(folders: Iterable[Path]) -> list[tuple[int, int] | None]:
    """What a folder is beside its name: one that was made anew is another, and nothing is told of it."""

    def identity(folder: Path) -> tuple[int, int] | None:
        try:
            state = folder.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    return [identity(folder) for folder in sorted(folders)]
