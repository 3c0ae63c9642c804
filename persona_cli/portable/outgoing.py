"""What goes out: the archive of a store, the same bytes for the same content."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from persona_cli import __version__
from persona_cli.catalog import VOICE
from persona_cli.errors import ArchiveError, StoreMissing
from persona_cli.models import text_hash
from persona_cli.persona.profile import FILE_NAME
from persona_cli.portable.archive import MAX_BYTES, Member, write_archive
from persona_cli.portable.contents import (
    ABOUT,
    ASSETS,
    CARD,
    CHUNKS,
    DOCUMENTS,
    EVALUATION,
    FILES,
    FORMAT,
    KEY,
    KEYS,
    MAX_CHUNKS,
    PICTURE,
    VECTORS,
    are_unit,
    count_questions,
    name_of,
    too_many,
)
from persona_cli.portable.incoming import Summary
from persona_cli.portable.records import BadRecord, Entry, chunk_line, document_line
from persona_cli.snapshot import Snapshot, pages
from persona_cli.speaking import read_voice, voice_of
from persona_cli.store import Store


def keep_evaluation(store: Store, text: str) -> None:
    """Let a store remember a set of questions that `evaluation.read_cases` takes. Raises: StoreError."""
    data = text.encode()
    with store.catalog.snapshot() as snapshot:
        held = snapshot.assets([EVALUATION]).get(EVALUATION)
    if held != data:
        store.catalog.set_assets({EVALUATION: data})


def export(store: Store, file: Path, *, embeddings: bool = True, force: bool = False) -> Summary:
    """Write a store's persona to a file, as it is at one moment, whoever writes to the store meanwhile.

    Args:
        embeddings: put the vectors in.
        force: replace a file that is there.

    Raises:
        ArchiveError: the file is there, cannot be written, or could not be read again.
        StoreError: the store cannot be read, or there is nothing in it.
    """
    with suppress(StoreMissing):
        voice_of(store)  # so that one is kept
    with store.catalog.snapshot() as snapshot:
        if not snapshot.generation:
            raise StoreMissing(
                "nothing has been ingested into {db!r} yet: run `persona ingest FOLDER`", db=str(store.folder)
            )
        content = _Content(snapshot, str(file), embeddings)
        content.check_size()
        size = write_archive(file, content.about, list(content.members()), force)
        return content.summary(size)


class _Content:
    """What goes into an archive.

    Args:
        file: what to call the archive in messages.
    """

    def __init__(self, snapshot: Snapshot, file: str, embeddings: bool) -> None:
        self._snapshot, self._file = snapshot, file
        self._embedding = snapshot.fact("embedding") or ""
        self._names: list[str] = json.loads(snapshot.fact("names") or "[]")
        assets = snapshot.assets([name for name in snapshot.asset_names() if name in ASSETS or name.startswith(FILES)])
        kept = snapshot.assets([VOICE]).get(VOICE)
        voice = read_voice(kept, snapshot.generation) if kept else None
        self._assets = {**assets, **({VOICE: voice.to_json()} if voice else {})}
        rows = list(snapshot.index_rows())
        self._chunks, self._vectors = len(rows), sum(len(row.keys) for row in rows)
        self._dimension, self._packed_keys, self._keys = 0, b"", list[bytes]()
        if embeddings:
            self._find_vectors(dict.fromkeys(key for row in rows for key in row.keys))

    @cached_property
    def about(self) -> dict[str, Any]:
        """The manifest, without the members."""
        return {
            "format": FORMAT,
            "name": name_of(self._assets, self._names, self._file),
            "created_by": __version__,
            "documents": sum(1 for _ in self._snapshot.all_documents()),
            "chunks": self._chunks,
            "embedding": self._embedding,
            "dimension": self._dimension,
            "names": self._names,
            "redacted": self._snapshot.fact("redact") == "yes",
        }

    def check_size(self) -> None:
        """Raises ArchiveError for what is more than is taken, and for a name that is none."""
        if self._chunks > MAX_CHUNKS or 4 * self._vectors * self._dimension > MAX_BYTES:
            raise too_many(self._file, self._chunks)
        for key in (key for key, is_good in ABOUT.items() if not is_good(self.about[key])):
            raise ArchiveError("{file} cannot be made: {key} holds what no archive may", file=self._file, key=key)

    def members(self) -> Iterator[Member]:
        """The files of the archive."""
        for name in (FILE_NAME, CARD, PICTURE, VOICE, EVALUATION):
            if name in self._assets:
                yield self._asset(name)
        yield from (self._asset(name) for name in sorted(self._assets) if name.startswith(FILES))
        yield Member(DOCUMENTS, lambda: map(b"".join, pages(self._documents())))
        yield Member(CHUNKS, lambda: map(b"".join, pages(self._entries())))
        if self._dimension:
            yield Member(KEYS, lambda: [self._packed_keys], is_dense=True)
            yield Member(VECTORS, self._vector_bytes, is_dense=True)

    def summary(self, size: int) -> Summary:
        """What there is of it all, in an archive of so many bytes."""
        about = self.about
        return Summary(
            name=about["name"],
            documents=about["documents"],
            chunks=about["chunks"],
            questions=count_questions(self._assets, self._file),
            embedding=about["embedding"],
            vectors=len(self._keys),
            embedded=0,
            created_by=about["created_by"],
            bytes=size,
        )

    def _asset(self, name: str) -> Member:
        return Member(name, lambda: [self._assets[name]], is_dense=name == PICTURE)

    def _documents(self) -> Iterator[bytes]:
        for document in self._snapshot.all_documents():
            try:
                yield document_line(document)
            except BadRecord as bad:
                raise _unfit(document.source, bad) from bad

    def _entries(self) -> Iterator[bytes]:
        places = {document.source: place for place, document in enumerate(self._snapshot.all_documents())}
        ways, augmented = self._snapshot.ways(), self._snapshot.augmented()
        for stored in self._snapshot.all_chunks():
            key = text_hash(stored.chunk.whole)
            entry = Entry(places[stored.source], stored.chunk, tuple(ways.pop(key, ())), augmented.pop(key, None))
            try:
                yield chunk_line(entry)
            except BadRecord as bad:
                raise _unfit(stored.source, bad) from bad

    def _find_vectors(self, keys: Iterable[bytes]) -> None:
        """Note which keys have vectors that another store would take, and of which dimension."""
        packed: list[bytes] = []
        for page in pages(keys):
            found = self._snapshot.vectors(self._embedding, page)
            for key in (key for key in page if key in found):
                vectors = found[key]
                self._dimension = self._dimension or vectors.shape[1]
                if vectors.shape[1] == self._dimension and are_unit(vectors):
                    self._keys.append(key)
                    packed.append(KEY.pack(key, len(vectors)))
        self._packed_keys = b"".join(packed)

    def _vector_bytes(self) -> Iterator[bytes]:
        for page in pages(self._keys):
            found = self._snapshot.vectors(self._embedding, page)
            yield b"".join(found[key].astype("<f4").tobytes() for key in page)


def _unfit(source: str, bad: BadRecord) -> ArchiveError:
    return ArchiveError(
        "{source!r} cannot be exported, for no archive may hold its {key}: change the file and ingest it again, or"
        " `persona forget` it",
        source=source,
        key=bad.key,
    )
