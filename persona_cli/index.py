"""The index: folders derived from the catalog, one a generation, built aside and never changed once published.

`index/<generation>/` holds Chroma's files, the lexical postings, mean and covariance of the vectors, and
`manifest.json`, written last, with the checksum of every file. A reader leases the generation it uses; one that nobody
leases and the catalog no longer names goes with the next sweep.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import file_digest
from pathlib import Path
from weakref import finalize

import numpy as np
import portalocker

from persona_cli.errors import IndexDamaged, StoreUnwritable
from persona_cli.lexical import LexicalIndex
from persona_cli.models import IndexRow, Matrix, Vector
from persona_cli.vectors import VectorIndex, write_vectors

MANIFEST = "manifest.json"
LEASE = "lease"
MEAN, COVARIANCE = "mean.npy", "covariance.npy"
CHROMA_CATALOG = "chroma.sqlite3"
"""Chroma notes every opening in this file, so it has no lasting checksum; SQLite's own check stands in for one, and
`retrieval` compares what the index says with the catalog's vectors."""
BATCH = 5_000
"""Vectors written at once; Chroma takes 5,461."""
SAMPLE = 2_000
"""Vectors that mean and covariance are estimated from; the spread of similarities is then within about 2 %."""

VectorsOf = Callable[[Sequence[bytes]], Mapping[bytes, Vector]]
"""Gives the vectors stored under text hashes."""
Keys = tuple[int, bytes, bytes | None]
"""A chunk's id, the hash of its whole text, and that of its question."""


class Generation:
    """A published state of the index, leased for as long as it is open.

    Raises:
        IndexDamaged: it is not there, or not as it was written.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        try:
            self._lease = (folder / LEASE).open("rb")
            portalocker.lock(self._lease, portalocker.LOCK_SH | portalocker.LOCK_NB)
        except (OSError, portalocker.LockException) as error:
            raise IndexDamaged("generation {number} is gone", number=number) from error
        finalize(self, self._lease.close)  # whoever forgets to close us ends the lease all the same
        try:
            vector_count = _verify(folder)
            self.lexical = LexicalIndex.load(folder)
            self._mean, self._covariance = np.load(folder / MEAN), np.load(folder / COVARIANCE, mmap_mode="r")
            self._vectors = VectorIndex(folder)
            if len(self._vectors) != vector_count:
                raise ValueError(f"{len(self._vectors)} vectors of {vector_count}")
        except Exception as error:  # whatever is wrong with a derived file, the cure is to derive it again
            self._lease.close()
            raise IndexDamaged("generation {number} is damaged: {why}", number=number, why=str(error)) from error

    def nearest(self, question: Vector, count: int) -> dict[int, float]:
        """The nearest chunks and their cosine similarities, by their whole text or their question."""
        best: dict[int, float] = {}
        for key, similarity in self._vectors.nearest(question, count):
            chunk_id = int(key.removesuffix("q"))
            best[chunk_id] = max(similarity, best.get(chunk_id, -1.0))
        return best

    def usual(self, question: Vector) -> tuple[float, float]:
        """Mean and standard deviation of the question's cosine similarity over all chunks.

        Exact from the mean and the covariance of their vectors: the similarity is linear in them.
        """
        if not self._covariance.size:
            return 0.0, 0.0
        return float(question @ self._mean), float(np.sqrt(max(question @ self._covariance @ question, 0.0)))

    def close(self) -> None:
        """End the lease."""
        self._vectors.close()
        self._lease.close()


class Index:
    """The generations of one store.

    Args:
        folder: holds a folder for each generation, named by its number.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, number: int) -> Generation:
        """Lease a generation. Raises: IndexDamaged."""
        return Generation(self._folder / str(number), number)

    def is_whole(self, number: int) -> bool:
        """Whether a generation is there and as it was written, without opening Chroma."""
        try:
            _verify(self._folder / str(number))
        except (OSError, ValueError, KeyError, sqlite3.Error):
            return False
        return True

    def build(self, number: int, rows: Iterable[IndexRow], vectors_of: VectorsOf) -> None:
        """Make a generation of chunks aside, then give it its name; it counts once the catalog names it.

        Raises:
            StoreUnwritable: no permission or no space; nothing is left of it.
        """
        aside = self._folder / f".{number}"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            _derive(aside, rows, vectors_of)
            final = self._folder / str(number)
            shutil.rmtree(final, ignore_errors=True)
            aside.rename(final)
            _sync(self._folder)
        except OSError as error:
            raise StoreUnwritable(
                "cannot write the index in {folder!r}: {why}",
                folder=str(self._folder),
                why=error.strerror or str(error),
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def sweep(self, keep: int) -> None:
        """Remove what is not generation `keep` and nobody leases: older ones, and what a killed build left."""
        for folder in self._folder.glob("*"):
            if folder.name != str(keep):
                _remove_unless_leased(folder)


def _derive(folder: Path, rows: Iterable[IndexRow], vectors_of: VectorsOf) -> None:
    keys: list[Keys] = []

    def texts() -> Iterator[tuple[int, str]]:
        for row in rows:
            keys.append((row.id, row.text_hash, row.question_hash))
            yield row.id, row.whole

    LexicalIndex.build(texts()).save(folder)
    write_vectors(folder, _batches(keys, vectors_of))
    mean, covariance = _moments(keys, vectors_of)
    np.save(folder / MEAN, mean)
    np.save(folder / COVARIANCE, covariance)
    (folder / LEASE).touch()
    files = {
        str(p.relative_to(folder)): _checksum(p) for p in folder.rglob("*") if p.is_file() and p.name != CHROMA_CATALOG
    }
    vector_count = len(keys) + sum(asked is not None for _, _, asked in keys)
    (folder / MANIFEST).write_text(json.dumps({"vectors": vector_count, "files": files}, indent=1))
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _batches(keys: Sequence[Keys], vectors_of: VectorsOf) -> Iterator[tuple[list[str], Matrix]]:
    """Chroma ids and vectors: `7` is the whole text of chunk 7, `7q` its question."""
    named = [(str(i), whole) for i, whole, _ in keys] + [(f"{i}q", asked) for i, _, asked in keys if asked]
    for start in range(0, len(named), BATCH):
        batch = named[start : start + BATCH]
        vectors = vectors_of([key for _, key in batch])
        yield [name for name, _ in batch], np.stack([vectors[key] for _, key in batch])


def _moments(keys: Sequence[Keys], vectors_of: VectorsOf) -> tuple[Vector, Matrix]:
    """`(d,)` mean and `(d, d)` covariance of the chunks' vectors, from an even sample; both empty below two chunks."""
    sample = [whole for _, whole, _ in keys[:: max(1, len(keys) // SAMPLE)]]
    if len(sample) < 2:
        return np.empty(0, np.float32), np.empty((0, 0), np.float32)
    vectors = vectors_of(sample)
    matrix = np.stack([vectors[key] for key in sample])
    return matrix.mean(axis=0), np.cov(matrix, rowvar=False).astype(np.float32)


def _verify(folder: Path) -> int:
    """Check a generation's files against its manifest; how many vectors it holds.

    A damaged index file can crash the process that opens it, so this comes before Chroma.
    """
    manifest = json.loads((folder / MANIFEST).read_bytes())
    for name, checksum in manifest["files"].items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"{name} is not as it was written")
    with closing(sqlite3.connect(f"file:{folder / CHROMA_CATALOG}?mode=ro", uri=True)) as connection:
        if (result := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise ValueError(f"{CHROMA_CATALOG}: {result}")
    return int(manifest["vectors"])


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Force a file, or a folder's list of names, to disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unless_leased(folder: Path) -> None:
    try:
        with (folder / LEASE).open("rb") as lease:
            portalocker.lock(lease, portalocker.LOCK_EX | portalocker.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except portalocker.LockException:
        return  # somebody reads it
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # half made: without a lease file nobody can read it
