"""A store: the catalog, the index that is derived from it, and the lock that lets one writer in."""

import json
import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any

import portalocker

from persona_cli import sessions
from persona_cli.catalog import Catalog, Holdings
from persona_cli.database import FILE_NAME as CATALOG_NAME
from persona_cli.errors import IndexDamaged, PersonaError, StoreBusy, StoreError, StoreMissing, StoreUnwritable
from persona_cli.index import Content, Generation, Index
from persona_cli.models import Chunk, ChunkId, Document, IndexRow, Matrix
from persona_cli.persona.languages import count_languages
from persona_cli.snapshot import Snapshot

LOCK_NAME = "writer.lock"
SIGNATURE_BYTES = 500
"""Longest signature that is read from it."""
ERASE_WAIT_S = 5.0
"""How long `forget` waits for readers of an older generation before it removes that from under them."""
REPAIR_WAIT_S = 120
"""How long a reader waits for a writer before it rebuilds a damaged index itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a store holds.

    Attributes:
        pairs: chunks that are what was asked with what was answered.
        speakers: chunks by who said them, where the files tell, most first.
        languages: chunks by language, ISO 639-1, most first.
        first_date: the earliest date at which something was said, ISO 8601; None when no file tells.
        names: what the person goes by in dialogues.
        redacted: whether what tells who somebody is gets masked.
        bytes: size of all its files; `catalog_bytes` and `index_bytes` are parts of it.
        last_ingest: when it ended, ISO 8601 in UTC.
        skipped: what could not be read then: "path", and "template" and "values" of the reason.
    """

    db: str
    documents: int
    chunks: int
    pairs: int
    speakers: Mapping[str, int]
    languages: Mapping[str, int]
    first_date: str | None
    last_date: str | None
    names: Sequence[str]
    redacted: bool
    embedding: str
    generation: int
    index_is_whole: bool
    bytes: int
    catalog_bytes: int
    index_bytes: int
    last_ingest: str
    skipped: Sequence[Mapping[str, Any]]


class Store:
    """One store's folder, for readers and for the one writer.

    Args:
        folder: where the store is.
        create: make it when it is missing.

    Raises:
        StoreError: it is missing, damaged, too new, or cannot be made.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        self.folder = folder
        self.catalog = Catalog(folder, create)
        self.index = Index(folder / "index")
        self._mutex = Lock()
        self._open: dict[int, Generation] = {}
        self._users: dict[int, int] = {}

    def close(self) -> None:
        """Close what is open; nobody may be reading."""
        for generation in self._open.values():
            generation.close()
        self._open.clear()
        self.catalog.close()

    @contextmanager
    def reading(self) -> Iterator[tuple[Snapshot, Generation]]:
        """The catalog and the generation that belongs to it, as they are now and for as long as this lasts.

        Raises:
            StoreMissing: nothing has been published yet.
            StoreError: the index is damaged and cannot be rebuilt.
        """
        for last in (False, False, True):
            with self.catalog.snapshot() as snapshot:
                number = self._published(snapshot)
                try:
                    generation = self._acquire(number)
                except IndexDamaged:
                    if last:
                        raise
                else:
                    try:
                        yield snapshot, generation
                    finally:
                        self._release(generation)
                    return
            self.repair(number)

    @contextmanager
    def writing(self, wait_s: float = 0) -> Iterator[None]:
        """Be the one writer.

        Raises:
            StoreBusy: another process is, and was after `wait_s` seconds; the message names it.
            StoreUnwritable: the folder cannot be written to.
        """
        path = self.folder / LOCK_NAME
        try:
            file = path.open("a+b", buffering=0)
        except OSError as error:
            raise StoreUnwritable("cannot write to {db!r}: {why}", db=str(self.folder), why=error.strerror) from error
        with file:
            until = time.monotonic() + wait_s
            while not _locked(file):
                if time.monotonic() >= until:
                    raise _held(file, self.folder)
                time.sleep(0.1)
            _sign(file)
            with self.catalog.snapshot() as snapshot:
                erasing, number = snapshot.fact("erasing"), snapshot.generation
            if erasing:  # whoever was at it was killed, or could not wait any longer
                with suppress(StoreBusy, StoreUnwritable):
                    self._erase(number)
            yield
            file.truncate(0)

    @contextmanager
    def taking_space(self, chunks: Sequence[Chunk], embedding: str) -> Iterator[None]:
        """While new chunks are embedded and published: where there is no space for it, say how much it takes."""
        try:
            yield
        except StoreUnwritable as error:
            with self.catalog.snapshot() as snapshot:
                vector_bytes = snapshot.vector_bytes(embedding)
            takes = _space(chunks, vector_bytes) + sum(_sizes(self.folder / "index").values())
            free = shutil.disk_usage(self.folder).free
            if free > takes:
                raise
            raise StoreUnwritable(
                "no space left for {db!r}: it takes about {takes:.1f} MB, and {free:.1f} MB are free; make room and run"
                " it again",
                db=str(self.folder),
                takes=takes / 1e6,
                free=free / 1e6,
            ) from error

    def publish(
        self,
        put: Sequence[Document],
        remove: Iterable[str],
        notes: Mapping[str, str],
        embedding: str,
        *,
        erase: bool = False,
        anew: bool = False,
    ) -> int:
        """Build the next generation from what will be in the catalog, then publish both at once; its number.

        The vectors of all chunks must be cached under the model `embedding`. Call it under `writing`.

        Args:
            erase: leave no trace in any file of texts that are in no document any more, nor of answers that may have
                been made from what goes or is replaced.
            anew: make nothing of the index from the published one.

        Raises:
            StoreUnwritable: no permission or no space; the store is as it was.
            StoreBusy: published, but somebody still reads what was to be erased.
        """
        remove = list(remove)
        with self.catalog.snapshot() as snapshot:
            number = snapshot.generation + 1
            first = int(snapshot.fact("last_chunk") or 0) + 1
            numbered: list[tuple[Document, list[ChunkId]]] = []
            for document in put:
                numbered.append((document, [ChunkId(first + i) for i in range(len(document.chunks))]))
                first += len(document.chunks)
            new = {i: chunk for document, ids in numbered for i, chunk in zip(ids, document.chunks, strict=True)}
            content = _content(snapshot, [*remove, *(document.source for document in put)], new, embedding)
            # without a change to what it is made from it is the index that is to change: it was found to be damaged
            changes = put or remove or snapshot.fact("ways")
            serves = changes and not (erase or anew) and snapshot.fact("embedding") == embedding
            with self.taking_space(list(new.values()), embedding):
                self.index.build(number, content, snapshot.generation if serves else None)
        notes = {**notes, "last_chunk": str(first - 1), "embedding": embedding, "ways": ""}
        notes |= {"erasing": "yes"} if erase else {}
        with self.taking_space(list(new.values()), embedding):
            try:
                self.catalog.publish(number, numbered, remove, notes, sessions.erase if erase else None)
            except StoreError:
                self.index.sweep(keep=number - 1)
                raise
        if erase:
            self._erase(number)
        else:
            self.index.sweep(keep=number)
        return number

    def _erase(self, number: int) -> None:
        """Leave nothing in any file of what generation `number` does not hold. Raises: StoreBusy."""
        self.catalog.flush()
        self.index.sweep(keep=number, force_after_s=ERASE_WAIT_S)
        self.catalog.set_facts({"erasing": ""})

    def replace(self, holdings: Holdings, embedding: str, notes: Mapping[str, str]) -> int:
        """Publish these holdings in place of all that there is beside sessions; the generation's number.

        All their vectors must be there or cached under the model `embedding`. Call it under `writing`. Whatever fails,
        the store stays as it was.

        Raises:
            StoreUnwritable: no permission or no space.
        """
        with self.catalog.snapshot() as snapshot:
            number, first = snapshot.generation + 1, int(snapshot.fact("last_chunk") or 0) + 1

            def texts_of(ids: Sequence[ChunkId]) -> Iterator[tuple[ChunkId, str]]:
                yield from ((i, chunk.whole) for i, (_, chunk) in zip(ids, holdings.chunks(), strict=True))

            def vectors_of(keys: Iterable[bytes]) -> Mapping[bytes, Matrix]:
                asked = list(keys)
                cached = snapshot.vectors(embedding, [key for key in asked if key not in holdings.vector_keys])
                return {**cached, **holdings.vectors([key for key in asked if key in holdings.vector_keys])}

            rows = [replace(row, id=ChunkId(first + row.id)) for row in holdings.rows]
            self.index.build(number, Content(rows, texts_of, vectors_of))
        notes = {**notes, "last_chunk": str(first + len(rows) - 1), "embedding": embedding, "ways": ""}
        try:
            self.catalog.replace(number, ChunkId(first), holdings, embedding, notes)
        except PersonaError:
            self.index.sweep(keep=number - 1)
            raise
        self.index.sweep(keep=number)
        return number

    def forget(self, sources: Sequence[str]) -> None:
        """Remove documents, and every trace of their texts in any file of the store.

        Raises:
            StoreBusy: another process writes to it, or does not stop to read what is to be erased.
            StoreUnwritable: no permission or no space; the store is as it was.
        """
        with self.writing():
            with self.catalog.snapshot() as snapshot:
                embedding = snapshot.fact("embedding") or ""
                last = _last_ingest(snapshot)
            last["skipped"] = [entry for entry in last["skipped"] if entry["path"] not in sources]
            notes = {"last_ingest": json.dumps(last, ensure_ascii=False)}
            self.publish([], sources, notes, embedding, erase=True)

    def status(self) -> Status:
        """What the store holds. Raises: StoreMissing: nothing has been published yet."""
        with self.catalog.snapshot() as snapshot:
            number = self._published(snapshot)
            said = list(snapshot.said())
            facts = {name: snapshot.fact(name) for name in ("embedding", "names", "redact")}
            documents, pairs, last = (
                len(snapshot.documents()),
                snapshot.count_chunks(pairs=True),
                _last_ingest(snapshot),
            )
        dates = sorted(date for _, _, date in said if date)
        sizes = _sizes(self.folder)
        index = self.folder / "index"
        return Status(
            db=str(self.folder),
            documents=documents,
            chunks=len(said),
            pairs=pairs,
            speakers=dict(Counter(speaker for _, speaker, _ in said if speaker).most_common()),
            languages=dict(count_languages(text for text, _, _ in said).most_common()),
            first_date=dates[0] if dates else None,
            last_date=dates[-1] if dates else None,
            names=json.loads(facts["names"] or "[]"),
            redacted=facts["redact"] == "yes",
            embedding=facts["embedding"] or "",
            generation=number,
            index_is_whole=self.index.is_whole(number),
            bytes=sum(sizes.values()),
            catalog_bytes=sum(size for path, size in sizes.items() if path.name.startswith(CATALOG_NAME)),
            index_bytes=sum(size for path, size in sizes.items() if path.is_relative_to(index)),
            last_ingest=last["at"],
            skipped=last["skipped"],
        )

    def repair(self, number: int) -> None:
        """Build the index anew from the catalog, unless generation `number` has been followed by another already."""
        with self.writing(wait_s=REPAIR_WAIT_S):
            with self.catalog.snapshot() as snapshot:
                moved_on = snapshot.generation != number
                embedding = snapshot.fact("embedding") or ""
            if not moved_on:
                self.publish([], [], {}, embedding, anew=True)

    def _published(self, snapshot: Snapshot) -> int:
        if not snapshot.generation:
            raise StoreMissing(
                "nothing has been ingested into {db!r} yet: run `persona ingest FOLDER`", db=str(self.folder)
            )
        return snapshot.generation

    def _acquire(self, number: int) -> Generation:
        with self._mutex:
            if number not in self._open:
                self._open[number] = self.index.open(number)
                self._users[number] = 0
            self._users[number] += 1
            self._close_unused(newest=max(self._open))
            return self._open[number]

    def _release(self, generation: Generation) -> None:
        with self._mutex:
            self._users[generation.number] -= 1
            self._close_unused(newest=max(self._open))

    def _close_unused(self, newest: int) -> None:
        for number in [n for n, users in self._users.items() if not users and n != newest]:
            self._open.pop(number).close()
            del self._users[number]


def _content(snapshot: Snapshot, without: Iterable[str], new: Mapping[ChunkId, Chunk], embedding: str) -> Content:
    """What the index is to hold: the catalog's chunks without those of some documents, then new ones."""

    def texts_of(ids: Sequence[ChunkId]) -> Iterator[tuple[ChunkId, str]]:
        yield from snapshot.texts(i for i in ids if i not in new)
        yield from ((i, new[i].whole) for i in ids if i in new)

    ways = snapshot.way_keys() if new else {}
    rows = [*snapshot.index_rows(without), *(IndexRow.of(i, chunk, ways) for i, chunk in new.items())]
    return Content(rows, texts_of, partial(snapshot.vectors, embedding))


def _sizes(folder: Path) -> dict[Path, int]:
    """The files in a folder with their sizes; a generation may go while we look."""
    sizes: dict[Path, int] = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            sizes[path] = path.stat().st_size if path.is_file() else 0
    return sizes


def _space(chunks: Sequence[Chunk], vector_bytes: int) -> int:
    """About how many bytes publishing new chunks takes, beside a copy of the published generation.

    A vector is kept in the catalog, in its log and in the index, and so are the texts; the index has a covariance too.
    """
    vectors = sum(2 if chunk.question else 1 for chunk in chunks)
    chars = sum(len(chunk.whole) for chunk in chunks)
    return 1_000_000 + vector_bytes**2 // 4 + vectors * (3 * vector_bytes + 1_000) + 10 * chars


def _last_ingest(snapshot: Snapshot) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(snapshot.fact("last_ingest") or '{"at": "", "skipped": []}')
    return last


def _locked(file: FileIO) -> bool:
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        return False
    return True


def _sign(file: FileIO) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    file.truncate(0)
    with suppress(OSError):  # on a full disk the lock holds all the same
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}).encode())


def _held(file: FileIO, folder: Path) -> StoreBusy:
    """Somebody else has the lock: whoever signed it."""
    file.seek(0)
    try:
        holder = json.loads(file.read(SIGNATURE_BYTES))
        return StoreBusy(
            "{db!r} is being written to by process {pid} on {host} since {since}: wait until it is done",
            db=str(folder),
            pid=holder["pid"],
            host=holder["host"],
            since=holder["since"],
        )
    except (OSError, ValueError, KeyError, TypeError):  # Windows lets nobody else read what is locked
        return StoreBusy("{db!r} is busy: another process is writing to it, try again", db=str(folder))
