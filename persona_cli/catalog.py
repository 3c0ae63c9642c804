"""The catalog: the SQL database that is the truth of a store."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import Any, TypeVar
from weakref import finalize

import numpy as np
import sqlalchemy as sa

from persona_cli.errors import StoreBusy, StoreDamaged, StoreError, StoreMissing, StoreTooNew, StoreUnwritable
from persona_cli.models import Chunk, ChunkId, Document, IndexRow, Matrix, StoredChunk, Vector, question_hash
from persona_cli.schema import VERSION, assets, augmented, chunks, documents, embeddings, facts, metadata, ways

FILE_NAME = "catalog.sqlite3"
VOICE = "voice.json"
"""The asset that is measured of each generation anew."""
PAGE = 1_000
"""Rows asked for or written at once; SQLite takes 32,766 values in a statement."""
BUSY_TIMEOUT_S = 10

T = TypeVar("T")
Eraser = Callable[[sa.Connection, Collection[str], Collection[bytes]], None]
"""Called in the transaction in which documents go, with their sources and the hashes of the texts that go with them."""


def pages(items: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that a store is to hold beside its sessions, from elsewhere.

    Attributes:
        documents: without their chunks.
        chunks: gives the chunks, each after the place of its document among these; the same ones with each call.
        rows: of the chunks, their ids counted from 0.
        vector_keys: of the vectors that come with them; the others are cached in the catalog already.
        vectors: gives the `(k, d)` vectors under such keys.
        ways: to ask, by text.
        augmented: for how many ways to ask a language model was asked, by text.
        assets: what makes the persona, by name.
    """

    documents: Sequence[Document]
    chunks: Callable[[], Iterable[tuple[int, Chunk]]]
    rows: Sequence[IndexRow]
    vector_keys: Collection[bytes]
    vectors: Callable[[Iterable[bytes]], Mapping[bytes, Matrix]]
    ways: Mapping[bytes, Sequence[str]]
    augmented: Mapping[bytes, int]
    assets: Mapping[str, bytes]


class Snapshot:
    """One consistent view of the catalog, for as long as its connection's transaction lasts."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def fact(self, name: str) -> str | None:
        """A fact about the store, or None."""
        return self._connection.scalar(sa.select(facts.c.value).where(facts.c.name == name))

    @property
    def generation(self) -> int:
        """The published generation; 0 before the first."""
        return int(self.fact("generation") or 0)

    def documents(self) -> dict[str, Document]:
        """All documents by source, without their chunks."""
        rows = self._connection.execute(
            sa.select(documents.c.source, documents.c.sha256, documents.c.size, documents.c.loader)
        )
        return {row.source: Document(*row) for row in rows}

    def all_documents(self) -> Iterator[Document]:
        """All documents in the order in which they were put in, without their chunks."""
        d = documents.c
        for row in self._connection.execute(sa.select(d.source, d.sha256, d.size, d.loader).order_by(d.id)):
            yield Document(*row)

    def all_chunks(self) -> Iterator[StoredChunk]:
        """All chunks by id."""
        c = chunks.c
        query = sa.select(c.id, documents.c.source, c.text, c.locator, c.question, c.speaker, c.date).join(documents)
        for row in self._connection.execute(query.order_by(c.id)):
            yield StoredChunk(row.id, row.source, Chunk(*row[2:]))

    def chunk_counts(self) -> dict[str, int]:
        """How many chunks each document has, by source."""
        rows = self._connection.execute(
            sa.select(documents.c.source, sa.func.count(chunks.c.id)).outerjoin(chunks).group_by(documents.c.source)
        )
        return {row[0]: row[1] for row in rows}

    def said(self) -> Iterator[tuple[str, str | None, str | None]]:
        """Text, speaker and date of every chunk."""
        yield from map(tuple, self._connection.execute(sa.select(chunks.c.text, chunks.c.speaker, chunks.c.date)))

    def sample(self, count: int) -> list[tuple[str, str, str | None, str, str]]:
        """Text, locator, date, loader and source of at most so many chunks, evenly from the first to the last."""
        c = chunks.c
        ids = self._connection.scalars(sa.select(c.id).order_by(c.id)).all()
        taken = [ids[at * len(ids) // count] for at in range(count)] if len(ids) > count else ids
        query = (
            sa.select(c.text, c.locator, c.date, documents.c.loader, documents.c.source).join(documents).order_by(c.id)
        )
        return [tuple(row) for page in pages(taken) for row in self._connection.execute(query.where(c.id.in_(page)))]

    def count_chunks(self, pairs: bool = False) -> int:
        """How many chunks there are, or how many of them are question-and-answer pairs."""
        counted = chunks.c.question if pairs else chunks.c.id
        return self._connection.scalar(sa.select(sa.func.count(counted))) or 0

    def chunks(self, ids: Iterable[ChunkId]) -> dict[ChunkId, StoredChunk]:
        """The chunks with these ids; unknown ids are left out."""
        c = chunks.c
        query = sa.select(c.id, documents.c.source, c.text, c.locator, c.question, c.speaker, c.date).join(documents)
        found: dict[ChunkId, StoredChunk] = {}
        for page in pages(ids):
            for row in self._connection.execute(query.where(c.id.in_(page))):
                found[row.id] = StoredChunk(row.id, row.source, Chunk(*row[2:]))
        return found

    def index_rows(self, without: Iterable[str] = ()) -> Iterator[IndexRow]:
        """What the index holds, by id, leaving out the documents with these sources."""
        left_out = set(without)
        way_keys = self.way_keys()
        c = chunks.c
        columns = (c.id, c.text_hash, c.question_hash, documents.c.source)
        for row in self._connection.execute(sa.select(*columns).join(documents).order_by(c.id)):
            if row.source not in left_out:
                yield IndexRow(row.id, row.text_hash, row.question_hash, way_keys.get(row.text_hash, ()))

    def texts(self, ids: Iterable[ChunkId]) -> Iterator[tuple[ChunkId, str]]:
        """Id and whole text of these chunks, whose ids ascend; unknown ids are left out."""
        c = chunks.c
        query = sa.select(c.id, c.question, c.text).order_by(c.id)
        for page in pages(ids):
            for row in self._connection.execute(query.where(c.id.in_(page))):
                yield row.id, Chunk(row.text, "", row.question).whole

    def said_by(self, date: str) -> set[ChunkId]:
        """The chunks that are known to have been said by the end of a day, ISO 8601."""
        c = chunks.c
        return set(self._connection.scalars(sa.select(c.id).where(sa.func.substr(c.date, 1, len(date)) <= date)))

    def hashes(self, ids: Iterable[ChunkId]) -> dict[ChunkId, IndexRow]:
        """The keys of the vectors of these chunks."""
        c = chunks.c
        query = sa.select(c.id, c.text_hash, c.question_hash)
        rows = [row for page in pages(ids) for row in self._connection.execute(query.where(c.id.in_(page)))]
        way_keys = self.way_keys({row.text_hash for row in rows})
        return {row.id: IndexRow(*row, way_keys.get(row.text_hash, ())) for row in rows}

    def way_keys(self, texts: Iterable[bytes] | None = None) -> dict[bytes, tuple[bytes, ...]]:
        """The keys of the vectors of the ways to ask for these texts, or for all; texts without any are left out."""
        return {text: tuple(map(question_hash, asked)) for text, asked in self.ways(texts).items()}

    def ways(self, texts: Iterable[bytes] | None = None) -> dict[bytes, list[str]]:
        """The ways to ask for each of these texts, or for all, oldest first; texts without are left out."""
        w = ways.c
        query = sa.select(w.text_hash, w.question).order_by(w.id)
        queries = [query] if texts is None else [query.where(w.text_hash.in_(page)) for page in pages(texts)]
        found: dict[bytes, list[str]] = {}
        for row in (row for each in queries for row in self._connection.execute(each)):
            found.setdefault(row.text_hash, []).append(row.question)
        return found

    def augmented(self) -> dict[bytes, int]:
        """For how many ways to ask a language model was asked, by text."""
        return dict(map(tuple, self._connection.execute(sa.select(augmented.c.text_hash, augmented.c.asked_for))))

    def vectors(self, model: str, hashes: Iterable[bytes]) -> dict[bytes, Matrix]:
        """The cached `(k, d)` vectors under each of these keys; those not cached are left out."""
        e = embeddings.c
        query = sa.select(e.hash, e.vector, e.pieces).where(e.model == model)
        return {
            row.hash: np.frombuffer(row.vector, "<f4").reshape((int(row.pieces), -1))
            for page in pages(hashes)
            for row in self._connection.execute(query.where(e.hash.in_(page)))
        }

    def vector_bytes(self, model: str) -> int:
        """Size of a cached vector; 0 when there is none yet."""
        e = embeddings.c
        query = sa.select(sa.func.length(e.vector) / e.pieces).where(e.model == model).limit(1)
        return self._connection.scalar(query) or 0

    def assets(self, names: Sequence[str]) -> dict[str, bytes]:
        """What makes the persona, by name; what is not there is left out."""
        query = sa.select(assets.c.name, assets.c.data).where(assets.c.name.in_(names))
        return {row.name: row.data for row in self._connection.execute(query)}

    def asset_names(self) -> list[str]:
        """The names of all that makes the persona."""
        return list(self._connection.scalars(sa.select(assets.c.name).order_by(assets.c.name)))

    def cached(self, model: str, hashes: Iterable[bytes]) -> set[bytes]:
        """Those of the keys whose vectors are cached."""
        e = embeddings.c
        query = sa.select(e.hash).where(e.model == model)
        return {found for page in pages(hashes) for found in self._connection.scalars(query.where(e.hash.in_(page)))}


class Catalog:
    """The database of one store.

    Args:
        folder: the store's folder.
        create: make the folder and the database when they are missing.

    Raises:
        StoreMissing: there is no catalog, and none is to be made.
        StoreDamaged, StoreTooNew, StoreUnwritable: it cannot be opened.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        self.folder = folder
        path = folder / FILE_NAME
        if create:
            _make_folder(folder)
        elif not _may_be_there(path):
            raise StoreMissing("nothing has been ingested into {db!r} yet: run `persona ingest FOLDER`", db=str(folder))
        self._engine = _engine(sa.URL.create("sqlite", database=str(path)))
        finalize(self, self._engine.dispose)
        self._writer = self._engine.execution_options(persona_begin="IMMEDIATE")
        self._unlocked: sa.Engine | None = None
        try:
            self._migrate()
        except StoreUnwritable:
            if create:
                raise
            # to lock a catalog even a reader must write beside it
            url = sa.URL.create("sqlite", database=path.absolute().as_uri(), query={"immutable": "1", "uri": "true"})
            self._unlocked = _engine(url, poolclass=sa.NullPool)
            self._migrate()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One consistent view, which later changes do not touch."""
        with self._reading() as connection:
            yield Snapshot(connection)

    def cache_vectors(self, model: str, hashes: Sequence[bytes], vectors: Iterable[Matrix | Vector]) -> None:
        """Keep the `(k, d)` vectors, or the `(d,)` one, of each key for good; the keys must not be cached yet."""
        rows = [_vector_row(model, key, of_key) for key, of_key in zip(hashes, vectors, strict=True)]
        with self._translated(), self._writer.begin() as connection:
            connection.execute(sa.insert(embeddings), rows)

    def keep_ways(self, found: Mapping[bytes, Sequence[str]], asked_for: int) -> None:
        """Keep the new ways to ask for each of these texts, and that a model was asked for so many of each.

        Their vectors must be cached. They count in the index with the next publication.
        """
        rows = [
            {"text_hash": text, "question": question, "question_hash": question_hash(question)}
            for text, questions in found.items()
            for question in questions
        ]
        with self._translated(), self._writer.begin() as connection:
            connection.execute(sa.delete(augmented).where(augmented.c.text_hash.in_(list(found))))
            connection.execute(sa.insert(augmented), [{"text_hash": text, "asked_for": asked_for} for text in found])
            if rows:
                connection.execute(sa.insert(ways), rows)
                _set_facts(connection, {"ways": "unpublished"})

    def set_facts(self, values: Mapping[str, str]) -> None:
        """Note facts about the store."""
        with self._translated(), self._writer.begin() as connection:
            _set_facts(connection, values)

    def set_assets(self, values: Mapping[str, bytes | None]) -> None:
        """Keep what makes the persona, each under its name; None takes it out. The fact `persona` then changes."""
        with self._translated(), self._writer.begin() as connection:
            connection.execute(sa.delete(assets).where(assets.c.name.in_(list(values))))
            rows = [{"name": name, "data": data} for name, data in values.items() if data is not None]
            if rows:
                connection.execute(sa.insert(assets), rows)
            _set_facts(connection, {"persona": token_hex(8)})

    def keep_derived(self, name: str, data: bytes, generation: int) -> None:
        """Keep an asset that was made from a generation, unless another one has followed."""
        with self._translated(), self._writer.begin() as connection:
            if Snapshot(connection).generation == generation:
                connection.execute(sa.delete(assets).where(assets.c.name == name))
                connection.execute(sa.insert(assets), {"name": name, "data": data})

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One for what keeps tables of its own in this database. Raises: StoreError."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """The same for reading only. Raises: StoreError."""
        with self._reading() as connection:
            yield connection

    def publish(
        self,
        generation: int,
        put: Sequence[tuple[Document, Sequence[ChunkId]]],
        remove: Iterable[str],
        notes: Mapping[str, str],
        erase: Eraser | None = None,
    ) -> None:
        """Make a generation the published one, together with the documents it was built from, in one transaction.

        Args:
            put: documents that are new or changed, each with the ids of its chunks.
            remove: sources of documents that are gone.
            notes: facts to note with it.
            erase: drop vectors of, and ways to ask for, all texts that are in no document any more, and have this erase
                what was made from them.
        """
        replaced = [*remove, *(document.source for document, _ in put)]
        with self._translated(), self._writer.begin() as connection:
            held = _text_hashes(connection, replaced) if erase else set()
            for page in pages(replaced):
                connection.execute(sa.delete(documents).where(documents.c.source.in_(page)))
            _insert(connection, put)
            connection.execute(sa.delete(assets).where(assets.c.name == VOICE))  # it quotes what may be gone
            if erase:
                for table in (ways, augmented):
                    connection.execute(sa.delete(table).where(table.c.text_hash.not_in(sa.select(chunks.c.text_hash))))
                connection.execute(sa.delete(embeddings).where(embeddings.c.hash.not_in(_hashes_in_use())))
                erase(connection, set(replaced), held.difference(connection.scalars(sa.select(chunks.c.text_hash))))
            _set_facts(connection, {**notes, "generation": str(generation)})

    def replace(
        self, generation: int, first: ChunkId, holdings: Holdings, embedding: str, notes: Mapping[str, str]
    ) -> None:
        """Make a generation the published one, with these holdings for all that there was beside sessions.

        Args:
            first: id of the first chunk; those of the others follow.
            embedding: the model of the vectors; those of other models go.
            notes: facts to note with it.
        """
        document_rows = (_document_row(key, document) for key, document in enumerate(holdings.documents, 1))
        chunk_rows = (_chunk_row(1 + n, ChunkId(first + i), c) for i, (n, c) in enumerate(holdings.chunks()))
        way_rows = (
            {"text_hash": key, "question": question, "question_hash": question_hash(question)}
            for key, questions in holdings.ways.items()
            for question in questions
        )
        augmented_rows = ({"text_hash": key, "asked_for": count} for key, count in holdings.augmented.items())
        asset_rows = ({"name": name, "data": data} for name, data in holdings.assets.items())
        all_rows: list[tuple[sa.Table, Iterable[dict[str, Any]]]] = [
            (documents, document_rows),
            (chunks, chunk_rows),
            (ways, way_rows),
            (augmented, augmented_rows),
            (assets, asset_rows),
        ]
        e = embeddings.c
        with self._translated(), self._writer.begin() as connection:
            for table, rows in all_rows:
                connection.execute(sa.delete(table))
                for page in pages(rows):
                    connection.execute(sa.insert(table), page)
            connection.execute(sa.delete(embeddings).where((e.model != embedding) | e.hash.not_in(_hashes_in_use())))
            for keys in pages(holdings.vector_keys):
                connection.execute(sa.delete(embeddings).where(e.hash.in_(keys)))
                found = holdings.vectors(keys)
                connection.execute(sa.insert(embeddings), [_vector_row(embedding, *item) for item in found.items()])
            _set_facts(connection, {**notes, "generation": str(generation), "persona": token_hex(8)})

    def flush(self) -> None:
        """Leave nothing in the files of what was deleted.

        The write-ahead log still holds pages as they were before. And where SQLite moved rows from page to page, copies
        stay in the gaps, which `secure_delete` does not reach: the file must be written anew.

        Raises:
            StoreBusy: a reader did not let go of the log within the time-out.
            StoreUnwritable: no space for a second copy of the catalog.
        """
        with self._translated(), closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute("VACUUM")
            blocked, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if blocked:
            raise StoreBusy(
                "{db!r} is being read: what was removed is still in {file} until nobody reads it",
                db=str(self.folder),
                file=f"{FILE_NAME}-wal",
            )

    def _migrate(self) -> None:
        """Bring the schema up to date; the number of its version is SQLite's `user_version`."""
        with self._reading() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version > VERSION:
            raise StoreTooNew(
                "{db!r} was written by a newer persona (schema {version}, this one knows {known}): upgrade persona",
                db=str(self.folder),
                version=version,
                known=VERSION,
            )
        if version < VERSION:
            with self._translated(), self._writer.begin() as connection:
                metadata.create_all(connection)
                if version == 1:
                    connection.exec_driver_sql("ALTER TABLE embeddings ADD COLUMN pieces INTEGER NOT NULL DEFAULT 1")
                connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """A transaction; without locks it is one that fails where the catalog was written to meanwhile."""
        path = self.folder / FILE_NAME
        if not self._unlocked or _stamp(path.with_name(f"{FILE_NAME}-wal"))[0]:  # a writer's log has locks for all
            with self._translated(), self._engine.begin() as connection:
                yield connection
            return
        before = _stamp(path)
        try:
            with self._translated(), self._unlocked.begin() as connection:
                yield connection
        finally:
            if _stamp(path) != before:
                raise StoreBusy("{db!r} is busy: another process is writing to it, try again", db=str(self.folder))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            raise _store_error(getattr(error, "orig", error), self.folder) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable("cannot make the store {db!r}: {why}", db=str(folder), why=error.strerror) from error


def _may_be_there(path: Path) -> bool:
    """Whether it is a file, or lies where we may not look."""
    try:
        return S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    """Size of a file and time of its last change; zeros if it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _engine(url: sa.URL, **more: Any) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **more)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    """Leave transactions to us (the driver begins none for a SELECT, which would be no snapshot) and set the pragmas.

    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('persona_begin', 'DEFERRED')}")


def _hashes_in_use() -> sa.CompoundSelect[tuple[bytes]]:
    c = chunks.c
    asked = sa.select(c.question_hash).where(c.question_hash.is_not(None))
    return sa.union_all(sa.select(c.text_hash), asked, sa.select(ways.c.question_hash))


def _text_hashes(connection: sa.Connection, sources: Iterable[str]) -> set[bytes]:
    """Of the chunks of documents."""
    query = sa.select(chunks.c.text_hash).join(documents)
    return {h for page in pages(sources) for h in connection.scalars(query.where(documents.c.source.in_(page)))}


def _set_facts(connection: sa.Connection, values: Mapping[str, str]) -> None:
    connection.execute(sa.delete(facts).where(facts.c.name.in_(list(values))))
    connection.execute(sa.insert(facts), [{"name": name, "value": value} for name, value in values.items()])


def _insert(connection: sa.Connection, put: Sequence[tuple[Document, Sequence[ChunkId]]]) -> None:
    """In statements of many rows: one for each document takes nine times as long."""
    first = 1 + (connection.scalar(sa.select(sa.func.max(documents.c.id))) or 0)
    numbered = [(key, document, ids) for key, (document, ids) in enumerate(put, first)]
    document_rows = (_document_row(key, document) for key, document, _ in numbered)
    chunk_rows = (
        _chunk_row(key, chunk_id, chunk)
        for key, document, ids in numbered
        for chunk_id, chunk in zip(ids, document.chunks, strict=True)
    )
    for table, rows in ((documents, document_rows), (chunks, chunk_rows)):
        for page in pages(rows):
            connection.execute(sa.insert(table), page)


def _document_row(key: int, document: Document) -> dict[str, Any]:
    return {
        "id": key,
        "source": document.source,
        "sha256": document.sha256,
        "size": document.size,
        "loader": document.loader,
    }


def _vector_row(model: str, key: bytes, vectors: Matrix | Vector) -> dict[str, Any]:
    return {
        "model": model,
        "hash": key,
        "vector": vectors.astype("<f4").tobytes(),
        "pieces": vectors.size // vectors.shape[-1],
    }


def _chunk_row(document_key: int, chunk_id: ChunkId, chunk: Chunk) -> dict[str, Any]:
    row = IndexRow.of(chunk_id, chunk)
    return {
        "id": chunk_id,
        "document_id": document_key,
        "text": chunk.text,
        "question": chunk.question,
        "locator": chunk.locator,
        "speaker": chunk.speaker,
        "date": chunk.date,
        "text_hash": row.text_hash,
        "question_hash": row.question_hash,
    }


def _store_error(error: BaseException, folder: Path) -> StoreError:
    """What a database error means for whoever uses the store."""
    name = getattr(error, "sqlite_errorname", "")
    db = str(folder)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy("{db!r} is busy: another process is writing to it, try again", db=db)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnwritable("{db!r} cannot be written to: check its permissions", db=db)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StoreUnwritable("no space left for {db!r}: free some and run it again", db=db)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamaged(
            "the catalog of {db!r} is damaged: put back a copy of {file}, or move the folder away and ingest again",
            db=db,
            file=FILE_NAME,
        )
    return StoreDamaged("the catalog of {db!r} cannot be used: {why}", db=db, why=str(error))
