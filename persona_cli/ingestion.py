"""Ingest: folders and files in, the next generation of a store out.

Files are read and compared first; what changed is embedded, and kept as it is embedded; one transaction then publishes
documents and index together. A run that is killed leaves the store as it was, and its embeddings for the next run.
"""

import json
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from persona_cli.catalog import Snapshot
from persona_cli.chunking import chunk
from persona_cli.errors import LoadError, StoreMissing
from persona_cli.loading import load, loader_name
from persona_cli.loading.discovery import discover
from persona_cli.models import Chunk, Document, Embedder, Progress, question_hash, text_hash
from persona_cli.store import Store

EMBED_BATCH = 32
"""Texts embedded between two looks at the progress, and between two commits of what was embedded."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, and why."""

    path: str
    reason: LoadError


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest did.

    Attributes:
        documents: how many were added, updated, unchanged, removed, skipped.
        chunks: how many the store now holds.
        embedding: the store's embedding model.
        embedded: how many texts were embedded, rather than found in the cache.
        generation: the published one.
        seconds: how long it took.
    """

    documents: Mapping[str, int]
    chunks: int
    skipped: Sequence[Skipped]
    embedding: str
    embedded: int
    generation: int
    seconds: float


@dataclass(slots=True)
class _Plan:
    """How the store differs from the folders."""

    put: list[Document] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    added: int = 0
    unchanged: int = 0


def ingest(
    paths: Sequence[Path],
    store: Store,
    embedder_of: Callable[[str], Embedder],
    embedding: str,
    *,
    prune: bool = True,
    dry_run: bool = False,
    progress: Progress = lambda phase, done, total: None,
) -> Report:
    """Bring a store in step with files and folders.

    Args:
        embedder_of: builds the embedder of a model's name; called only when something is to be embedded.
        embedding: the embedding model the store is to have.
        prune: documents that are gone from an ingested folder leave the store.
        dry_run: find out what would be done, and do none of it.

    Raises:
        StoreMissing: there was nothing to read, and nothing had been read before.
        StoreError: the store cannot be written.
        ModelError: the embedding model failed; what was embedded until then is kept.
    """
    start = time.perf_counter()
    with store.writing():
        with store.catalog.snapshot() as snapshot:
            plan = _plan(paths, store.folder, snapshot, prune, progress)
            current, count = snapshot.generation, snapshot.count_chunks()
            stale = snapshot.fact("embedding") not in (None, embedding)
        if not current and not plan.put:
            raise StoreMissing("nothing to read in {paths}", paths=", ".join(map(str, paths)))
        embedded, generation = 0, current
        if not dry_run and (plan.put or plan.remove or stale or not store.index.is_whole(current)):
            embedded = _embed(plan.put, stale, store, embedder_of, embedding, progress)
            progress("publish", 0, 1)
            generation = store.publish(plan.put, plan.remove, _notes(plan), embedding)
            progress("publish", 1, 1)
        elif not dry_run:
            store.catalog.set_facts(_notes(plan))
        with store.catalog.snapshot() as snapshot:
            count = snapshot.count_chunks()
    documents = {
        "added": plan.added,
        "updated": len(plan.put) - plan.added,
        "unchanged": plan.unchanged,
        "removed": len(plan.remove),
        "skipped": len(plan.skipped),
    }
    seconds = round(time.perf_counter() - start, 3)
    return Report(documents, count, plan.skipped, embedding, embedded, generation, seconds)


def source_of(path: Path, store: Path) -> str:
    """The name a file goes by: its path from the folder the store is in, or the whole path when it is elsewhere.

    It is the same from whichever folder `persona` is run. A name that is no valid Unicode gets U+FFFD in those places.
    """
    home = Path(os.path.realpath(store)).parent
    path = path.relative_to(home) if path.is_relative_to(home) else path
    name = os.fsencode(path).decode("utf-8", "replace").replace(os.sep, "/")
    return unicodedata.normalize("NFC", name)


def _plan(paths: Sequence[Path], folder: Path, snapshot: Snapshot, prune: bool, progress: Progress) -> _Plan:
    found = discover(paths, exclude=[folder])
    plan = _Plan(skipped=[Skipped(source_of(path, folder), reason) for path, reason in found.problems])
    known = snapshot.documents()
    seen = {skipped.path for skipped in plan.skipped}
    for done, path in enumerate(found.files):
        progress("read", done, len(found.files))
        source = source_of(path, folder)
        seen.add(source)
        try:
            document = _read(path, source, known.get(source))
        except LoadError as reason:
            plan.skipped.append(Skipped(source, reason))
            continue
        if document is None:
            plan.unchanged += 1
        else:
            plan.put.append(document)
            plan.added += source not in known
    progress("read", len(found.files), len(found.files))
    if prune:
        folders = [source_of(Path(os.path.realpath(path)), folder) for path in paths if path.is_dir()]
        unread = [skipped.path for skipped in plan.skipped]
        plan.remove = [s for s in known if s not in seen and _is_under(s, folders) and not _is_under(s, unread)]
    return plan


def _is_under(source: str, folders: Iterable[str]) -> bool:
    return any(folder == "." or source.startswith(folder.rstrip("/") + "/") for folder in folders)


def _read(path: Path, source: str, known: Document | None) -> Document | None:
    """The document in a file, or None when the store knows it as it is.

    Raises:
        LoadError: it cannot be read, or there are no words in it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadError("cannot be opened: {why}", why=error.strerror or str(error)) from error
    loader = loader_name(path.name)
    digest = sha256(data).hexdigest()
    if known and (known.sha256, known.loader) == (digest, loader):
        return None
    chunks = chunk(load(path.name, data))
    if not chunks:
        raise LoadError("there are no words in it")
    return Document(source, digest, len(data), loader, chunks)


def _embed(
    put: Sequence[Document],
    everything: bool,
    store: Store,
    embedder_of: Callable[[str], Embedder],
    embedding: str,
    progress: Progress,
) -> int:
    """Embed what is not in the cache yet and keep it; how many texts that were."""
    with store.catalog.snapshot() as snapshot:
        chunks: list[Chunk] = [c for document in put for c in document.chunks]
        if everything:
            ids = [row.id for row in snapshot.index_rows()]
            chunks += [stored.chunk for stored in snapshot.chunks(ids).values()]
        texts = {text_hash(c.whole): c.whole for c in chunks}
        questions = {question_hash(c.question): c.question for c in chunks if c.question}
        cached = snapshot.cached(embedding, [*texts, *questions])
    missing = [(key, text, False) for key, text in texts.items() if key not in cached]
    missing += [(key, question, True) for key, question in questions.items() if key not in cached]
    if not missing:
        return 0
    embedder = embedder_of(embedding)
    for start in range(0, len(missing), EMBED_BATCH):
        progress("embed", start, len(missing))
        for asked, embed in ((False, embedder.embed_texts), (True, embedder.embed_questions)):
            batch = [(key, text) for key, text, kind in missing[start : start + EMBED_BATCH] if kind is asked]
            if batch:
                vectors = embed([text for _, text in batch])
                store.catalog.cache_vectors(embedding, [key for key, _ in batch], vectors)
    progress("embed", len(missing), len(missing))
    return len(missing)


def _notes(plan: _Plan) -> dict[str, str]:
    """What `persona status` tells of the last ingest."""
    skipped = [{"path": s.path, "template": s.reason.template, "values": s.reason.values} for s in plan.skipped]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"last_ingest": json.dumps({"at": now, "skipped": skipped}, default=str, ensure_ascii=False)}
