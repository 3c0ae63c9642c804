"""The catalog: the SQL database that is the truth of a store."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from weakref import finalize

import sqlalchemy as sa

from persona_cli.database import FILE_NAME, engine, make_folder, may_be_there, stamp, store_error
from persona_cli.errors import StoreBusy, StoreMissing, StoreTooNew, StoreUnwritable
from persona_cli.models import Chunk, ChunkId, Document, IndexRow, Matrix, Vector, question_hash
from persona_cli.schema import VERSION, assets, augmented, chunks, documents, embeddings, facts, metadata, ways
from persona_cli.snapshot import Snapshot, pages

VOICE = "voice.json"
"""The asset that is measured of each generation anew."""

Eraser = Callable[[sa.Connection, Collection[str], Collection[bytes]], None]
"""Called in the transaction in which documents go, with their sources and the hashes of the texts that go with them."""


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
            make_folder(folder)
        elif not may_be_there(path):
            raise StoreMissing("nothing has been ingested into {db!r} yet: run `persona ingest FOLDER`", db=str(folder))
        self._engine = engine(sa.URL.create("sqlite", database=str(path)))
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
            self._unlocked = engine(url, poolclass=sa.NullPool)
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
        if not self._unlocked or stamp(path.with_name(f"{FILE_NAME}-wal"))[0]:  # a writer's log has locks for all
            with self._translated(), self._engine.begin() as connection:
                yield connection
            return
        before = stamp(path)
        try:
            with self._translated(), self._unlocked.begin() as connection:
                yield connection
        finally:
            if stamp(path) != before:
                raise StoreBusy("{db!r} is busy: another process is writing to it, try again", db=str(self.folder))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            raise store_error(getattr(error, "orig", error), self.folder) from error


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
