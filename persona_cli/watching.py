"""Watching: folders and files → a signal whenever something in them has changed and come to rest."""

import os
from collections.abc import Iterator, Sequence
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
    roots = {os.path.realpath(path if path.is_dir() else path.parent) for path in paths}
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
