"""A store: the catalog, the index that is derived from it, and the lock that lets one writer in."""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

import portalocker

from persona_cli.catalog import Catalog, Snapshot
from persona_cli.errors import IndexDamaged, StoreBusy, StoreMissing, StoreUnwritable
from persona_cli.index import Generation, Index
from persona_cli.models import ChunkId, Document, IndexRow

LOCK_NAME = "writer.lock"
REPAIR_WAIT_S = 120
"""How long a reader waits for a writer before it rebuilds a damaged index itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a store holds.

    Attributes:
        pairs: chunks that are a question with its recorded answer.
        bytes: size of all its files.
        last_ingest: when it ended, ISO 8601 in UTC.
        skipped: what could not be read then: "path", and "template" and "values" of the reason.
    """

    db: str
    documents: int
    chunks: int
    pairs: int
    embedding: str
    generation: int
    index_is_whole: bool
    bytes: int
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
            file = path.open("r+" if path.exists() else "w+", encoding="utf-8")
        except OSError as error:
            raise StoreUnwritable("cannot write to {db!r}: {why}", db=str(self.folder), why=error.strerror) from error
        with file:
            until = time.monotonic() + wait_s
            while not _locked(file):
                if time.monotonic() >= until:
                    raise StoreBusy(
                        "{db!r} is being written to by {holder}: wait until it is done",
                        db=str(self.folder),
                        holder=_holder(file.read()),
                    )
                time.sleep(0.1)
            _sign(file)
            yield
            file.truncate(0)

    def publish(self, put: Sequence[Document], remove: Iterable[str], notes: Mapping[str, str], embedding: str) -> int:
        """Build the next generation from what will be in the catalog, then publish both at once; its number.

        The vectors of all chunks must be cached under the model `embedding`. Call it under `writing`.
        """
        remove = list(remove)
        with self.catalog.snapshot() as snapshot:
            number = snapshot.generation + 1
            first = int(snapshot.fact("last_chunk") or 0) + 1
            numbered: list[tuple[Document, list[ChunkId]]] = []
            for document in put:
                numbered.append((document, [ChunkId(first + i) for i in range(len(document.chunks))]))
                first += len(document.chunks)
            kept = snapshot.index_rows(without=[*remove, *(d.source for d in put)])
            new = (IndexRow.of(i, c) for document, ids in numbered for i, c in zip(ids, document.chunks, strict=True))
            self.index.build(number, chain(kept, new), partial(snapshot.vectors, embedding))
        notes = {**notes, "last_chunk": str(first - 1), "embedding": embedding}
        self.catalog.publish(number, numbered, remove, notes)
        self.index.sweep(keep=number)
        return number

    def status(self) -> Status:
        """What the store holds. Raises: StoreMissing: nothing has been published yet."""
        with self.catalog.snapshot() as snapshot:
            number = self._published(snapshot)
            last = json.loads(snapshot.fact("last_ingest") or '{"at": "", "skipped": []}')
            return Status(
                db=str(self.folder),
                documents=len(snapshot.documents()),
                chunks=snapshot.count_chunks(),
                pairs=snapshot.count_chunks(pairs=True),
                embedding=snapshot.fact("embedding") or "",
                generation=number,
                index_is_whole=self.index.is_whole(number),
                bytes=sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
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
                self.publish([], [], {}, embedding)

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


def _locked(file: TextIO) -> bool:
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        return False
    return True


def _sign(file: TextIO) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    file.truncate(0)
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": now}, file)
    file.flush()


def _holder(signature: str) -> str:
    try:
        holder = json.loads(signature)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
