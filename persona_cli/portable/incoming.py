"""The persona in a file that `persona export` wrote, checked from end to end, and put into a store.

Whoever made the file decides what is said in the persona's name, as whoever writes a document does. Nothing else is
theirs: every value is checked before the store is touched, keys of vectors are made from the texts, nothing is run.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from persona_cli.catalog import VOICE, Holdings
from persona_cli.errors import ArchiveError, StoreError
from persona_cli.ingestion import embed
from persona_cli.models import Chunk, ChunkId, Document, Embedder, IndexRow, Matrix, Progress, question_hash, text_hash
from persona_cli.persona.voice import Voice
from persona_cli.portable.archive import MAX_BYTES, Archive
from persona_cli.portable.contents import (
    ABOUT,
    ASSETS,
    CHUNKS,
    DIMENSIONS,
    DOCUMENTS,
    FILES,
    FORMAT,
    KEY,
    KEYS,
    MAX_CHUNKS,
    VECTORS,
    are_unit,
    count_questions,
    name_of,
    read_assets,
    too_many,
)
from persona_cli.portable.records import BadRecord, Entry, read_chunk, read_document
from persona_cli.snapshot import pages
from persona_cli.speaking import write_voice
from persona_cli.store import Store


@dataclass(frozen=True, slots=True)
class Summary:
    """What went into an archive or came out of one.

    Attributes:
        name: the persona's, as far as it is known.
        questions: of the evaluation set.
        embedding: the store's embedding model.
        vectors: texts that came with their vectors.
        embedded: texts that had to be embedded.
        created_by: the version of persona that wrote it.
        bytes: of the archive.
    """

    name: str
    documents: int
    chunks: int
    questions: int
    embedding: str
    vectors: int
    embedded: int
    created_by: str
    bytes: int


class Incoming:
    """An archive that was checked through and through and can be imported.

    Args:
        file: where it is; it must stay as it is until `close`.
        embeddings: take the vectors in it; without, all texts are to be embedded.

    Attributes:
        embedding: the model of its vectors, or of the store that it was made from.

    Raises:
        ArchiveError, ProfileError, CardError, EvaluationError: it cannot be used.
    """

    def __init__(self, file: Path, embeddings: bool = True) -> None:
        self._name = str(file)
        self._bytes = 0
        self._archive = Archive(file, FORMAT)
        try:
            self._check(file, embeddings)
        except BaseException:
            self._archive.close()
            raise

    def _check(self, file: Path, embeddings: bool) -> None:
        self._bytes = file.stat().st_size
        self._about = self._checked_about()
        self.embedding: str = self._about["embedding"]
        self._dimension: int = self._about["dimension"]
        self._assets = read_assets(self._archive)
        self._places = self._checked_places() if embeddings else {}
        self._read = self._archive.reader(VECTORS) if self._places else lambda place, size: bytes(size)
        self._documents = self._checked_documents()
        self._found = self._checked_chunks()

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()

    @property
    def has_vectors(self) -> bool:
        """Whether any vectors come with the texts."""
        return bool(self._places)

    @property
    def missing(self) -> int:
        """How many texts are still to be embedded."""
        return len(self._found.texts) + len(self._found.asked)

    def settle(
        self,
        store: Store,
        embedder_of: Callable[[str], Embedder],
        embedding: str,
        progress: Progress,
        *,
        force: bool = False,
    ) -> Summary:
        """Make a store hold what this holds, at once; its sessions stay.

        Args:
            embedder_of: builds the embedder of a model's name; called only when something is to be embedded.
            embedding: the embedding model the store is to have; that of the vectors, if there are any.
            force: replace the documents there are.

        Raises:
            StoreError: there are documents in it and nobody said `force`, or it cannot be written.
            ModelError: the embedding model failed.
        """
        with store.writing():
            refuse_to_replace(store, force)
            embedded = embed(self._found.texts, self._found.asked, store, embedder_of, embedding, progress)
            self._check_dimensions(store, embedding)
            with store.catalog.snapshot() as snapshot:
                generation = snapshot.generation + 1
            progress("publish", 0, 1)
            store.replace(self._holdings(generation), embedding, self._notes())
            progress("publish", 1, 1)
        return Summary(
            name=name_of(self._assets, self._about["names"], self._name),
            documents=len(self._documents),
            chunks=len(self._found.rows),
            questions=count_questions(self._assets, self._name),
            embedding=embedding,
            vectors=len(self._places),
            embedded=embedded,
            created_by=self._about["created_by"],
            bytes=self._bytes,
        )

    def _holdings(self, generation: int) -> Holdings:
        voice = {VOICE: write_voice(Voice.from_json(self._assets[VOICE]), generation)} if VOICE in self._assets else {}
        return Holdings(
            self._documents,
            lambda: ((entry.document, entry.chunk) for entry in self._entries()),
            self._found.rows,
            self._places,
            self._vectors,
            self._found.ways,
            self._found.augmented,
            {**self._assets, **voice},
        )

    def _notes(self) -> dict[str, str]:
        return {
            "names": json.dumps(self._about["names"], ensure_ascii=False),
            "redact": "yes" if self._about["redacted"] else "no",
            "last_ingest": json.dumps({"at": "", "skipped": []}),
        }

    def _vectors(self, keys: Iterable[bytes]) -> dict[bytes, Matrix]:
        found: dict[bytes, Matrix] = {}
        for key in keys:
            first, pieces = self._places[key]
            data = self._read(4 * first * self._dimension, 4 * pieces * self._dimension)
            found[key] = np.frombuffer(data, "<f4").reshape(pieces, self._dimension)
        return found

    def _check_dimensions(self, store: Store, embedding: str) -> None:
        """Raises ArchiveError where vectors of this store's own have another dimension than those that came."""
        with store.catalog.snapshot() as snapshot:
            missing = pages([*self._found.texts, *self._found.asked])
            sizes = {m.shape[1] for page in missing for m in snapshot.vectors(embedding, page).values()}
        if len(sizes | ({self._dimension} if self._places else set())) > 1:
            raise self._archive.hostile(VECTORS)

    def _checked_about(self) -> dict[str, Any]:
        about = self._archive.about
        if about.keys() != ABOUT.keys() or not all(is_good(about[key]) for key, is_good in ABOUT.items()):
            raise self._archive.damaged()
        known = {*ASSETS, VOICE, DOCUMENTS, CHUNKS, KEYS, VECTORS}
        for name in self._archive.names:
            if name not in known and not name.startswith(FILES):
                raise self._archive.hostile(name)
        if DOCUMENTS not in self._archive or CHUNKS not in self._archive:
            raise self._archive.damaged()
        return about

    def _checked_places(self) -> dict[bytes, tuple[int, int]]:
        """Of the vectors, by key: the first, and how many they are."""
        if not self._dimension or KEYS not in self._archive or VECTORS not in self._archive:
            if self._dimension or KEYS in self._archive or VECTORS in self._archive:
                raise self._archive.damaged()
            return {}
        if self._dimension != DIMENSIONS.get(self.embedding, self._dimension):
            raise self._archive.hostile(VECTORS)
        if self._archive.size(KEYS) > 2 * MAX_CHUNKS * KEY.size:
            raise too_many(self._name, self._about["chunks"])
        packed, stride = self._archive.read(KEYS), 4 * self._dimension
        if len(packed) % KEY.size or self._archive.size(VECTORS) % stride:
            raise self._archive.damaged()
        places: dict[bytes, tuple[int, int]] = {}
        first = 0
        for key, pieces in KEY.iter_unpack(packed):
            if key in places or not pieces:
                raise self._archive.hostile(KEYS)
            places[key] = (first, pieces)
            first += pieces
        if first * stride != self._archive.size(VECTORS):
            raise self._archive.damaged()
        rest = b""
        for part in self._archive.parts(VECTORS):
            whole = len(rest + part) // stride * stride
            block, rest = (rest + part)[:whole], (rest + part)[whole:]
            if not are_unit(np.frombuffer(block, "<f4").reshape(-1, self._dimension)):
                raise self._archive.hostile(VECTORS)
        return places

    def _checked_documents(self) -> list[Document]:
        documents: list[Document] = []
        for number, line in enumerate(self._archive.lines(DOCUMENTS), 1):
            try:
                documents.append(read_document(line))
            except BadRecord as bad:
                raise self._unusable(DOCUMENTS, number, bad) from bad
            if number > self._about["documents"]:
                break
        if len(documents) != self._about["documents"] or len({d.source for d in documents}) < len(documents):
            raise self._archive.damaged()
        return documents

    def _entries(self) -> Iterator[Entry]:
        for number, line in enumerate(self._archive.lines(CHUNKS), 1):
            try:
                yield read_chunk(line, len(self._documents))
            except BadRecord as bad:
                raise self._unusable(CHUNKS, number, bad) from bad

    def _checked_chunks(self) -> "_Found":
        found, hashes = _Found(), list[tuple[bytes, bytes | None]]()
        for number, entry in enumerate(self._entries(), 1):
            if number > MAX_CHUNKS:
                raise too_many(self._name, number)
            text, question = text_hash(entry.chunk.whole), entry.chunk.question
            asked = question_hash(question) if question else None
            hashes.append((text, asked))
            if text not in self._places:
                found.texts[text] = entry.chunk
            if question and asked and asked not in self._places:
                found.asked[asked] = question
            if (entry.ways and text in found.ways) or (entry.asked_for is not None and text in found.augmented):
                raise self._unusable(CHUNKS, number, BadRecord("ways"))
            if entry.ways:
                found.ways[text] = entry.ways
                found.asked |= {k: way for way in entry.ways if (k := question_hash(way)) not in self._places}
            if entry.asked_for is not None:
                found.augmented[text] = entry.asked_for
        keys = {text: tuple(map(question_hash, asked)) for text, asked in found.ways.items()}
        found.rows = [IndexRow(ChunkId(i), *pair, keys.get(pair[0], ())) for i, pair in enumerate(hashes)]
        if len(found.rows) != self._about["chunks"]:
            raise self._archive.damaged()
        if self._places.keys() - {key for row in found.rows for key in row.keys}:
            raise self._archive.hostile(KEYS)
        if 4 * self._dimension * sum(len(row.keys) for row in found.rows) > MAX_BYTES:
            raise too_many(self._name, len(found.rows))
        return found

    def _unusable(self, member: str, line: int, bad: BadRecord) -> ArchiveError:
        return ArchiveError(
            "{file}: {member}, line {line}: {key} cannot be used: get the file again, or do not use it",
            file=self._name,
            member=member,
            line=line,
            key=bad.key or "JSON",
        )


@dataclass(slots=True)
class _Found:
    """What the lines of chunks tell.

    Attributes:
        rows: ids from 0.
        texts: those without vectors, by key.
        asked: questions without vectors, by key.
    """

    rows: list[IndexRow] = field(default_factory=list)
    texts: dict[bytes, Chunk] = field(default_factory=dict)
    asked: dict[bytes, str] = field(default_factory=dict)
    ways: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    augmented: dict[bytes, int] = field(default_factory=dict)


def refuse_to_replace(store: Store, force: bool) -> None:
    """Raises StoreError for a store with documents, unless they are to be replaced."""
    with store.catalog.snapshot() as snapshot:
        count = len(snapshot.documents())
    if count and not force:
        raise StoreError(
            "{db!r} holds {count} documents already: import into another folder with --db DIR, or replace them with"
            " --force",
            db=str(store.folder),
            count=count,
        )
