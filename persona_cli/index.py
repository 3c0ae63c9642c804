"""The index: folders derived from the catalog, one a generation, built aside and never changed once published.

`index/<generation>/` holds Chroma's files, the lexical postings, mean and covariance of the vectors, the rows all this
was derived from, and `manifest.json`, written last, with the checksum of every file. A generation is made from a copy
of the one before where that is whole and most of its rows stay. A reader leases the generation it uses; one that
nobody leases and the catalog no longer names goes with the next sweep.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from struct import Struct
from typing import Any
from weakref import finalize

import numpy as np
import portalocker

from persona_cli.errors import IndexDamaged, StoreUnwritable
from persona_cli.lexical import LexicalIndex
from persona_cli.models import ChunkId, IndexRow, Matrix, Vector
from persona_cli.vectors import BATCH, CATALOG, VectorIndex, copy_vectors, read_catalog, write_vectors

FORMAT = 3
"""Raised whenever the same rows would give other files, as with other lexical tokens: older ones are then made anew."""
MANIFEST = "manifest.json"
LEASE = "lease"
ROWS = "rows.bin"
MEAN, COVARIANCE = "mean.npy", "covariance.npy"
SAMPLE = 2_000
"""Vectors that mean and covariance are estimated from; the spread of similarities is then within about 2 %."""
DELETED_SHARE = 0.2
"""Vectors that may have been deleted since a generation was made anew, as a share of those that stayed. Chroma only
marks them, so they take up room and time in its graph; recall is still the same then (benchmarks/publish.py)."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a generation is derived from.

    Attributes:
        rows: all chunks, ids ascending.
        texts_of: gives id and whole text of chunks, in the order of the ids asked for.
        vectors_of: gives the `(k, d)` vectors stored under text hashes.
    """

    rows: Sequence[IndexRow]
    texts_of: Callable[[Sequence[ChunkId]], Iterable[tuple[ChunkId, str]]]
    vectors_of: Callable[[Iterable[bytes]], Mapping[bytes, Matrix]]


def direction(vectors: Matrix) -> Vector:
    """The `(d,)` vector that stands in the index for the `(k, d)` ones of a text: their mean, of unit length."""
    mean: Vector = vectors[0] if len(vectors) == 1 else vectors.mean(axis=0)
    return mean if len(vectors) == 1 else mean / np.float32(max(float(np.linalg.norm(mean)), 1e-9))


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
            manifest = _verify(folder)
            vector_count, way_count = manifest["vectors"], manifest["ways"]
            self.lexical = LexicalIndex.load(folder)
            self._mean, self._covariance = np.load(folder / MEAN), np.load(folder / COVARIANCE, mmap_mode="r")
            self._vectors = VectorIndex(folder)
            self._crowding = vector_count / max(vector_count - way_count, 1)
            if len(self._vectors) != vector_count:
                self._vectors.close()
                raise ValueError(f"{len(self._vectors)} vectors of {vector_count}")
        except Exception as error:  # whatever is wrong with a derived file, the cure is to derive it again
            self._lease.close()
            raise IndexDamaged("generation {number} is damaged: {why}", number=number, why=str(error)) from error

    def nearest(self, question: Vector, count: int) -> dict[int, float]:
        """The nearest chunks and their cosine similarities, by whole text, question or a way to ask.

        Args:
            count: of vectors; where chunks have ways to ask for them, so many more that as many chunks are found.

        Raises:
            IndexDamaged: the vectors cannot be read.
        """
        best: dict[int, float] = {}
        try:
            found = self._vectors.nearest(question, round(count * self._crowding))
        except OSError as error:
            raise IndexDamaged("generation {number} is damaged: {why}", number=self.number, why=str(error)) from error
        for key, similarity in found:
            chunk_id = int(key.partition("q")[0])
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
        except Exception:  # as in Generation
            return False
        return True

    def build(self, number: int, content: Content, previous: int | None = None) -> None:
        """Make a generation aside, then give it its name; it counts once the catalog names it.

        Args:
            previous: a generation with vectors of the same model, to be made use of as far as it serves.

        Raises:
            StoreUnwritable: no permission or no space; nothing is left of it.
        """
        aside = self._folder / f".{number}"
        try:
            deleted = None if previous is None else _change(self._folder / str(previous), aside, content)
            if deleted is None:
                _make(aside, content)
            _complete(aside, content, deleted or 0)
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

    def sweep(self, keep: int, force_after_s: float | None = None) -> None:
        """Remove what is not generation `keep` and nobody leases: older ones, and what a killed build left.

        Args:
            force_after_s: when to remove those that are still leased, too. Who reads one has its files open or gets the
                next generation with its next question; None leaves them be.
        """
        until = time.monotonic() + (force_after_s or 0.0)
        rest = [folder for folder in self._folder.glob("*") if folder.name != str(keep)]
        while rest := [folder for folder in rest if not _remove_unless_leased(folder)]:
            if force_after_s is None:
                return
            if time.monotonic() >= until:
                for folder in rest:
                    shutil.rmtree(folder, ignore_errors=True)
                return
            time.sleep(0.1)


def _make(folder: Path, content: Content) -> None:
    """Write the postings and the vectors of all rows."""
    _empty(folder)
    with ThreadPoolExecutor(1) as thread:  # Chroma leaves a processor to the postings
        writing = thread.submit(write_vectors, folder, list(_batches(_named(content.rows), content)))
        LexicalIndex.build(content.texts_of([row.id for row in content.rows])).save(folder)
        writing.result()


def _change(previous: Path, folder: Path, content: Content) -> int | None:
    """Write the same with what a previous generation has of it.

    Returns:
        How many vectors have been deleted since a generation was last made anew; None if this one has to be.
    """
    try:
        manifest = _verify(previous)
        before, now = set(_entries((previous / ROWS).read_bytes())), _named(content.rows)
        gone, new = before.difference(now), [entry for entry in now if entry not in before]
        deleted = manifest["deleted"] + len(gone)
        if deleted >= DELETED_SHARE * (manifest["vectors"] - len(gone)):
            return None
        _empty(folder)
        added = LexicalIndex.build(content.texts_of([ChunkId(i) for i, n, _ in new if n == WHOLE]))
        LexicalIndex.load(previous).changed([i for i, n, _ in gone if n == WHOLE], added).save(folder)
        copy_vectors(previous, folder)
        count = write_vectors(folder, _batches(new, content), [_name(entry) for entry in gone])
    except Exception:  # whatever is wrong with the previous one, this one can be made without it
        return None
    return deleted if count == _count(content.rows) else None


def _complete(folder: Path, content: Content, deleted: int) -> None:
    """Write the rest of a generation, the manifest last, and force all of it to disk."""
    (folder / ROWS).write_bytes(b"".join(_ENTRY.pack(*entry) for entry in _named(content.rows)))
    mean, covariance = _moments(content)
    np.save(folder / MEAN, mean)
    np.save(folder / COVARIANCE, covariance)
    (folder / LEASE).touch()
    files = {str(p.relative_to(folder)): _checksum(p) for p in folder.rglob("*") if p.is_file() and p.name != CATALOG}
    ways = sum(len(row.ways) for row in content.rows)
    manifest = {"format": FORMAT, "vectors": _count(content.rows), "ways": ways, "deleted": deleted, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


WHOLE, ASKED = 0, 1
_ENTRY = Struct("<qi16s")
_Entry = tuple[int, int, bytes]
"""A vector: its chunk, which of its it is (the whole, the recorded question, from 2 on ways to ask), its key."""


def _entries(packed: bytes) -> Iterator[_Entry]:
    return _ENTRY.iter_unpack(packed)


def _named(rows: Sequence[IndexRow]) -> list[_Entry]:
    """The vectors of rows: the wholes, then the questions, then the ways to ask."""
    entries: list[_Entry] = [(row.id, WHOLE, row.text_hash) for row in rows]
    entries += [(row.id, ASKED, row.question_hash) for row in rows if row.question_hash]
    return entries + [(row.id, ASKED + n, key) for row in rows for n, key in enumerate(row.ways, 1)]


def _name(entry: _Entry) -> str:
    """Its id in Chroma: `7` is the whole text of chunk 7, `7q` its question, `7q2` the first way to ask for it."""
    chunk_id, n, _ = entry
    return f"{chunk_id}{'q' if n else ''}{n if n > ASKED else ''}"


def _count(rows: Sequence[IndexRow]) -> int:
    """How many vectors they have."""
    return sum(len(row.keys) for row in rows)


def _batches(entries: Sequence[_Entry], content: Content) -> Iterator[tuple[list[str], Matrix]]:
    """Chroma ids and vectors."""
    for start in range(0, len(entries), BATCH):
        batch = entries[start : start + BATCH]
        vectors = content.vectors_of([key for _, _, key in batch])
        yield [_name(entry) for entry in batch], np.stack([direction(vectors[key]) for _, _, key in batch])


def _moments(content: Content) -> tuple[Vector, Matrix]:
    """`(d,)` mean and `(d, d)` covariance of the chunks' vectors, from an even sample; both empty below two chunks."""
    sample = [row.text_hash for row in content.rows[:: max(1, len(content.rows) // SAMPLE)]]
    if len(sample) < 2:
        return np.empty(0, np.float32), np.empty((0, 0), np.float32)
    vectors = content.vectors_of(sample)
    matrix = np.stack([direction(vectors[key]) for key in sample])
    return matrix.mean(axis=0), np.cov(matrix, rowvar=False).astype(np.float32)


def _verify(folder: Path) -> dict[str, Any]:
    """Check a generation's files against its manifest, which it gives.

    A damaged index file can crash the process that opens it, so this comes before Chroma. Chroma's own catalog has no
    lasting checksum; SQLite's check stands in for one, and `retrieval` compares what the index says with the vectors
    in the catalog.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    if (its := manifest.get("format")) != FORMAT:
        raise ValueError(f"it has format {its}, not {FORMAT}")
    for name, checksum in manifest["files"].items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"{name} is not as it was written")
    with read_catalog(folder) as connection:
        if (result := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise ValueError(f"{CATALOG}: {result}")
    return manifest


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


def _remove_unless_leased(folder: Path) -> bool:
    """Whether it is gone."""
    try:
        with (folder / LEASE).open("rb") as lease:
            portalocker.lock(lease, portalocker.LOCK_EX | portalocker.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except portalocker.LockException:
        return False  # somebody reads it
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # half made: without a lease file nobody can read it
    return True
