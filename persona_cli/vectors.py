"""The vectors of an index in Chroma: ids and vectors only, never text, never an embedding function.

Chroma keeps an embedding function's configuration in the collection, and a reader would build it and send its own key
where that says; with explicit embeddings on both sides that code never runs.
"""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from struct import Struct
from tempfile import mkdtemp
from threading import Thread
from typing import Any
from weakref import finalize

import numpy as np

from persona_cli.models import Matrix, Vector

CATALOG = "chroma.sqlite3"
"""Chroma's own catalog. Chroma notes every opening of a directory in it, so it has no lasting checksum."""
COLLECTION = "vectors"
HNSW = {"space": "ip", "ef_search": 200, "sync_threshold": 2, "batch_size": 2}
"""Inner product is cosine on vectors of unit length. A threshold of 2, the least Chroma takes, writes every batch of
two and more out to the index files, so that readers find nothing to replay and leave those files as they are."""
NOBODY = ["-", "--"]
"""Ids that no vector has: deleting these two writes out what is left below the threshold, and changes nothing."""
HNSW_HEADER = Struct("<i4Q")
"""Of an index's `header.bin`: version, offset, room and count of vectors, bytes of each with its neighbours."""
HNSW_VERSION = 1
BATCH = 5_000
"""Vectors written or deleted at once; Chroma takes 5,461."""


def bring_in_chroma() -> None:
    """Begin to import Chroma, which takes a third of a second, while the caller waits for an embedding."""
    if "chromadb" not in sys.modules:
        import httpx  # noqa: F401  # the openai package looks into a half imported one (openai 3.54, _httpx2.py)

        Thread(target=_bring_in, daemon=True).start()


def _bring_in() -> None:
    with suppress(Exception):  # whoever needs it will meet the same
        import chromadb  # noqa: F401


def _client(folder: Path) -> Any:
    from chromadb import PersistentClient
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import Settings

    try:
        return PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    except BaseException:
        # Chroma keeps what did not start, and would give it to whoever opens the same directory next
        if str(folder) not in SharedSystemClient._identifier_to_refcount:
            SharedSystemClient._identifier_to_system.pop(str(folder), None)
        raise


def read_catalog(folder: Path) -> "closing[sqlite3.Connection]":
    """Chroma's own catalog in a directory, for reading only; it ends with the `with` block."""
    return closing(sqlite3.connect(f"{(folder.absolute() / CATALOG).as_uri()}?mode=ro", uri=True))


def copy_vectors(folder: Path, to: Path, copy: Callable[[Path, Path], object] = shutil.copytree) -> None:
    """Copy a Chroma directory that others may be opening at this moment.

    Args:
        copy: copies, or links, what no opening changes.
    """
    with read_catalog(folder) as connection:
        connection.execute("VACUUM INTO ?", (str(to / CATALOG),))
    for segment in folder.iterdir():
        if segment.is_dir():
            copy(segment, to / segment.name)


def write_vectors(folder: Path, batches: Iterable[tuple[list[str], Matrix]], gone: Sequence[str] = ()) -> int:
    """Delete ids from a Chroma directory, made if it is not there, and add `(ids, (n, d) vectors)` batches.

    Args:
        batches: at most 5,000 vectors each.

    Returns:
        How many vectors it then holds.

    Raises:
        OSError: Chroma cannot write it.
    """
    from chromadb.errors import ChromaError

    try:
        with closing(_client(folder)) as client:
            collection = client.get_or_create_collection(
                COLLECTION, embedding_function=None, configuration={"hnsw": HNSW}
            )
            for start in range(0, len(gone), BATCH):
                collection.delete(ids=gone[start : start + BATCH])
            for ids, vectors in batches:
                collection.add(ids=ids, embeddings=vectors)
            count: int = collection.count()
            if count:
                collection.delete(ids=NOBODY)
    except ChromaError as error:
        raise OSError(str(error)) from error
    _wipe_unused(folder)
    return count


def _wipe_unused(folder: Path) -> None:
    """Write zeros where Chroma wrote memory that it had not filled, which may hold what somebody had forgotten.

    It writes room for at least 100 vectors; `header.bin` says how many there are and how long each is (chromadb 1.5).
    """
    for header in folder.glob("*/header.bin"):
        version, _, _, count, stride = HNSW_HEADER.unpack_from(header.read_bytes())
        file = header.with_name("data_level0.bin")
        size = file.stat().st_size
        if version == HNSW_VERSION and count * stride < size:
            with file.open("r+b") as data:
                data.truncate(count * stride)
                data.truncate(size)


class VectorIndex:
    """A Chroma directory opened for reading."""

    def __init__(self, folder: Path) -> None:
        from chromadb.errors import ChromaError

        try:
            self._client = _client(folder)
        except ChromaError:  # it notes every opening, which it cannot on a full disk or a read-only medium
            aside = Path(mkdtemp(prefix="persona-"))
            finalize(self, shutil.rmtree, aside, ignore_errors=True)
            copy_vectors(folder.absolute(), aside, os.symlink)
            self._client = _client(aside)
        try:
            self._collection = self._client.get_collection(COLLECTION, embedding_function=None)
            self._count: int = self._collection.count()
        except BaseException:
            self._client.close()
            raise

    def __len__(self) -> int:
        return self._count

    def nearest(self, question: Vector, count: int) -> list[tuple[str, float]]:
        """Ids and cosine similarities of the nearest vectors, nearest first. Raises: OSError: Chroma cannot read it."""
        from chromadb.errors import ChromaError

        if not self._count:
            return []
        try:
            found = self._collection.query(
                query_embeddings=[np.asarray(question)], n_results=min(count, self._count), include=["distances"]
            )
        except ChromaError as error:
            raise OSError(str(error)) from error
        # Chroma's inner-product distance is 1 - similarity
        return [(key, 1.0 - distance) for key, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def close(self) -> None:
        """Let go of the directory."""
        self._client.close()
