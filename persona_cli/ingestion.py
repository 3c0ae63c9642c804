"""Ingest: folders and files in, the next generation of a store out.

Files are read and compared first; what changed is embedded, and kept as it is embedded; one transaction then publishes
documents and index together. A run that is killed leaves the store as it was, and its embeddings for the next run.
"""

import json
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from persona_cli.comparison import Change, Plan, Skipped, compare, is_under, source_of
from persona_cli.errors import SourceUnknown
from persona_cli.models import Chunk, Document, Embedder, Matrix, Progress, question_hash, text_hash
from persona_cli.reading import Memory, Rules
from persona_cli.sentences import split_pieces
from persona_cli.store import Store
from persona_cli.vectors import bring_in_chroma

COMMIT_S = 1.0
"""Embeddings are kept at least this often, in seconds: what a killed run has to embed again."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest did.

    Attributes:
        documents: how many were added, updated, unchanged, removed, skipped.
        changes: what was done, a document each; one that was renamed counts as added and removed.
        chunks: how many the store now holds.
        embedding: the store's embedding model.
        embedded: how many texts were embedded, rather than found in the cache.
        generation: the published one.
        seconds: how long it took.
        augmented: texts that got ways to ask for them, ways kept and lines rejected; None when none were wanted.
    """

    documents: Mapping[str, int]
    changes: Sequence[Change]
    chunks: int
    skipped: Sequence[Skipped]
    embedding: str
    embedded: int
    generation: int
    seconds: float
    augmented: Mapping[str, int] | None = None


def _silent(phase: str, done: int, total: int) -> None:
    pass


def ingest(
    paths: Sequence[Path],
    store: Store,
    embedder_of: Callable[[str], Embedder],
    embedding: str,
    *,
    rules: Rules | None = None,
    prune: bool = True,
    memory: Memory | None = None,
    lenient: bool = False,
    progress: Progress = _silent,
) -> Report:
    """Bring a store in step with files and folders.

    Args:
        embedder_of: builds the embedder of a model's name; called only when something is to be embedded.
        embedding: the embedding model the store is to have.
        rules: how files are read; None takes the usual ones.
        prune: documents that are gone from an ingested folder leave the store.
        lenient: skip a file when nobody said who of its speakers the person is, rather than stop.
        memory: what earlier calls of this process know of the files.

    Raises:
        SpeakerNeeded: several people speak in a file, and the rules do not tell who the person is.
        StoreMissing: there was nothing to read.
        StoreError: the store cannot be written.
        ModelError: the embedding model failed; what was embedded until then is kept.
    """
    start = time.perf_counter()
    rules = rules or Rules()
    with store.writing():
        with store.catalog.snapshot() as snapshot:
            known, generation = snapshot.documents(), snapshot.generation
            remembered = snapshot.fact("embedding")
            unpublished = snapshot.fact("ways")  # a run that was to augment the store was killed
            unmasked = rules.redact and snapshot.fact("redact") != "yes" and bool(known)
        plan = compare(
            paths,
            store.folder,
            known,
            rules,
            prune=prune,
            memory=memory or Memory(),
            lenient=lenient,
            progress=progress,
        )
        notes = {**_notes(plan.skipped), **rules_as_facts(rules)}
        embedded = 0
        stale = remembered not in (None, embedding)
        if plan.put or plan.remove or stale or unmasked or unpublished or not store.index.is_whole(generation):
            with store.taking_space([chunk for document in plan.put for chunk in document.chunks], embedding):
                embedded = _embed(plan.put, stale, store, embedder_of, embedding, progress)
            progress("publish", 0, 1)
            generation = store.publish(plan.put, plan.remove, notes, embedding, erase=unmasked)
            progress("publish", 1, 1)
        else:
            store.catalog.set_facts(notes)
            store.index.sweep(keep=generation)  # what was leased, or half made, when it should have gone
        with store.catalog.snapshot() as snapshot:
            chunks = snapshot.count_chunks()
    return _report(plan, chunks, embedding, embedded, generation, start)


def preview(
    paths: Sequence[Path],
    folder: Path,
    store: Store | None,
    embedding: str,
    *,
    rules: Rules | None = None,
    prune: bool = True,
    progress: Progress = _silent,
) -> Report:
    """What `ingest` would do to the store in a folder, which need not be there yet.

    Raises:
        SpeakerNeeded, StoreMissing, StoreError: as `ingest` does.
    """
    start = time.perf_counter()
    known: Mapping[str, Document] = {}
    sizes: Mapping[str, int] = {}
    generation = 0
    if store:
        with store.catalog.snapshot() as snapshot:
            known, sizes, generation = snapshot.documents(), snapshot.chunk_counts(), snapshot.generation
    plan = compare(
        paths, folder, known, rules or Rules(), prune=prune, memory=Memory(), lenient=False, progress=progress
    )
    replaced = {*plan.remove, *(document.source for document in plan.put)}
    chunks = sum(size for source, size in sizes.items() if source not in replaced)
    chunks += sum(len(document.chunks) for document in plan.put)
    return _report(plan, chunks, embedding, 0, generation, start)


def sources_named(store: Store, name: str) -> list[str]:
    """The documents that somebody means by a name: a source, the path of a file or folder, or how a source ends.

    Raises:
        SourceUnknown: there is no such document, or several end like that.
    """
    with store.catalog.snapshot() as snapshot:
        known = sorted(snapshot.documents())
    if not name.strip():
        raise SourceUnknown("an empty name is no document's: name one of the sources")
    name = unicodedata.normalize("NFC", name)
    for wanted in (name, source_of(Path(os.path.realpath(name)), store.folder)):
        if wanted in known:
            return [wanted]
        if inside := [source for source in known if is_under(source, [wanted])]:
            return inside
    alike = [source for source in known if source.endswith("/" + name.lstrip("/"))]
    if len(alike) == 1:
        return alike
    if alike:
        raise SourceUnknown("several documents are called {name!r}: {sources}", name=name, sources=", ".join(alike))
    nearest = get_close_matches(name, known, n=1, cutoff=0.75)
    if nearest:
        raise SourceUnknown("there is no document {name!r}: did you mean {nearest}?", name=name, nearest=nearest[0])
    raise SourceUnknown("there is no document {name!r} in {db!r}", name=name, db=str(store.folder))


def rules_as_facts(rules: Rules) -> dict[str, str]:
    """What a store remembers of how its files are read, so that the next ingest need not be told."""
    return {"names": json.dumps(rules.names, ensure_ascii=False), "redact": "yes" if rules.redact else "no"}


def _embed(
    put: Sequence[Document],
    everything: bool,
    store: Store,
    embedder_of: Callable[[str], Embedder],
    embedding: str,
    progress: Progress,
) -> int:
    """Embed what of these documents, or of the whole store too, is not in the cache yet; how many texts that were."""
    with store.catalog.snapshot() as snapshot:
        chunks: list[Chunk] = [c for document in put for c in document.chunks]
        if everything:
            ids = [row.id for row in snapshot.index_rows()]
            chunks += [stored.chunk for stored in snapshot.chunks(ids).values()]
        texts = {text_hash(c.whole): c for c in chunks}
        asked = {question_hash(c.question): c.question for c in chunks if c.question}
        asked |= {question_hash(way): way for of_text in snapshot.ways(texts).values() for way in of_text}
    return embed(texts, asked, store, embedder_of, embedding, progress)


def embed(
    texts: Mapping[bytes, Chunk],
    asked: Mapping[bytes, str],
    store: Store,
    embedder_of: Callable[[str], Embedder],
    embedding: str,
    progress: Progress = _silent,
) -> int:
    """Embed what is not in the cache yet and keep it; how many texts that were. Progress counts characters.

    Args:
        texts: the chunks by the keys of their vectors.
        asked: recorded questions, and ways to ask, by theirs.

    Raises:
        StoreError, ModelError: as `ingest` does.
    """
    with store.catalog.snapshot() as snapshot:
        cached = snapshot.cached(embedding, [*texts, *asked])
    if not (texts.keys() | asked.keys()) - cached:
        return 0
    embedder = embedder_of(embedding)
    bring_in_chroma()
    missing = [_Missing(key, _parts(chunk, embedder), False) for key, chunk in texts.items() if key not in cached]
    missing += [_Missing(key, [question], True) for key, question in asked.items() if key not in cached]
    done, total = 0, sum(entry.chars for entry in missing)
    fresh: dict[bytes, Matrix] = {}
    kept = time.monotonic()
    try:
        for batch in _batches(missing, embedder.batch_chars):
            progress("embed", done, total)
            to_vectors = embedder.embed_questions if batch[0].is_question else embedder.embed_texts
            vectors = to_vectors([text for entry in batch for text in entry.texts])
            ends = np.cumsum([len(entry.texts) for entry in batch])
            fresh |= zip((entry.key for entry in batch), np.split(vectors, ends[:-1]), strict=True)
            done += sum(entry.chars for entry in batch)
            if time.monotonic() - kept > COMMIT_S:
                _keep(fresh, store, embedding)
                kept = time.monotonic()
    finally:  # also when it is interrupted or the model fails
        _keep(fresh, store, embedding)
    progress("embed", total, total)
    return len(missing)


def _parts(chunk: Chunk, embedder: Embedder) -> list[str]:
    """The texts whose vectors a chunk is found by: a recorded pair is one, prose may be one for each sentence."""
    return split_pieces(chunk.text) if embedder.by_sentence and not chunk.question else [chunk.whole]


def _keep(fresh: dict[bytes, Matrix], store: Store, embedding: str) -> None:
    """Put what was embedded into the cache, and forget it here."""
    if fresh:
        store.catalog.cache_vectors(embedding, list(fresh), fresh.values())
        fresh.clear()


@dataclass(frozen=True, slots=True)
class _Missing:
    """What is to be embedded under a key."""

    key: bytes
    texts: Sequence[str]
    is_question: bool

    @property
    def chars(self) -> int:
        return sum(map(len, self.texts))


def _batches(missing: Sequence[_Missing], most_chars: int) -> Iterator[list[_Missing]]:
    """Texts, or questions, that are embedded in one call."""
    batch: list[_Missing] = []
    chars = 0
    for entry in missing:
        if batch and (entry.is_question != batch[0].is_question or chars + entry.chars > most_chars):
            yield batch
            batch, chars = [], 0
        batch.append(entry)
        chars += entry.chars
    if batch:
        yield batch


def _notes(skipped: Iterable[Skipped]) -> dict[str, str]:
    """What `persona status` tells of the last ingest."""
    listed = [{"path": s.path, "template": s.reason.template, "values": s.reason.values} for s in skipped]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"last_ingest": json.dumps({"at": now, "skipped": listed}, default=str, ensure_ascii=False)}


def _report(plan: Plan, chunks: int, embedding: str, embedded: int, generation: int, start: float) -> Report:
    seconds = round(time.perf_counter() - start, 3)
    return Report(plan.counts(), plan.changes(), chunks, plan.skipped, embedding, embedded, generation, seconds)
