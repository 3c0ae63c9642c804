"""One consistent view of the catalog."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import sqlalchemy as sa

from persona_cli.models import Chunk, ChunkId, Document, IndexRow, Matrix, StoredChunk, question_hash
from persona_cli.schema import assets, augmented, chunks, documents, embeddings, facts, ways

PAGE = 1_000
"""Rows asked for or written at once; SQLite takes 32,766 values in a statement."""

T = TypeVar("T")


def pages(items: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


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
