"""Retrieval: a question in, the passages that may answer it out, best first.

Chroma and the postings propose candidates; their similarities are then computed from the catalog's own vectors, so
that a damaged index can cost time but never change an answer.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from persona_cli.catalog import Snapshot
from persona_cli.errors import IndexDamaged
from persona_cli.index import Generation
from persona_cli.models import ChunkId, Embedder, Passage, Vector
from persona_cli.store import Store
from persona_cli.vectors import bring_in_chroma

CANDIDATES = 100
"""Taken from each side, dense and lexical."""
LEXICAL_WEIGHT = 6.0
"""Standard deviations of similarity that matching all of the question's tokens is worth; benchmarks/retrieval.py."""
MIN_SPREAD = 0.01
"""Least standard deviation reckoned with, for stores of a few chunks that are all alike."""
TOLERANCE = 1e-3
"""How far Chroma's float32 similarity may be from ours before the index counts as damaged."""

Similarities = dict[ChunkId, float]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a question found.

    Attributes:
        passages: best first.
        similarity: the highest cosine similarity among all candidates; -1 when there are none.
        share: the highest idf share among all candidates, 0..1.
        spread: standard deviation of the question's similarity over the store.
        timings_ms: milliseconds "embed" and "search" took.
    """

    vector: Vector
    passages: Sequence[Passage]
    similarity: float
    share: float
    spread: float
    timings_ms: Mapping[str, float]


class Retriever:
    """Finds passages of one store."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self.store = store
        self.embedder = embedder

    def is_current(self) -> bool:
        """Whether the store still has the embedding model that this looks things up with."""
        with self.store.catalog.snapshot() as snapshot:
            return snapshot.fact("embedding") in (None, self.embedder.model)

    def retrieve(self, question: str, top_k: int, api_key: str | None = None) -> Retrieval:
        """The passages nearest to a question, at most `top_k`.

        Raises:
            StoreError: nothing was ingested, or the store cannot be read.
            ModelError: the embedding model failed.
        """
        start = time.perf_counter()
        bring_in_chroma()
        vector = self.embedder.embed_question(question, api_key)
        embedded = time.perf_counter()
        try:
            found = self._search(question, vector, top_k)
        except IndexDamaged as damage:
            self.store.repair(damage.values["number"])
            found = self._search(question, vector, top_k)
        passages, similarity, share, spread = found
        timings = {"embed": 1e3 * (embedded - start), "search": 1e3 * (time.perf_counter() - embedded)}
        return Retrieval(vector, passages, similarity, share, spread, timings)

    def _search(self, question: str, vector: Vector, top_k: int) -> tuple[list[Passage], float, float, float]:
        with self.store.reading() as (snapshot, generation):
            shares = generation.lexical.shares(question)
            near = generation.nearest(vector, CANDIDATES)
            ids = [ChunkId(i) for i in {*near, *generation.lexical.best(shares, CANDIDATES)}]
            keys = snapshot.hashes(ids)
            similarities = _similarities(snapshot, keys, vector, self.embedder.model)
            _check(near, similarities, generation)
            shared = {i: generation.lexical.share_of(i, shares) for i in keys}
            mean, spread = generation.usual(vector)
            spread = max(spread, MIN_SPREAD)
            ranked = fuse(similarities, shared, mean, spread)[:top_k]
            stored = snapshot.chunks([i for i, _ in ranked])
        passages = [Passage(stored[i], similarities[i], shared[i], score) for i, score in ranked]
        return passages, max(similarities.values(), default=-1.0), max(shared.values(), default=0.0), spread


def fuse(
    similarities: Mapping[ChunkId, float], shares: Mapping[ChunkId, float], mean: float, spread: float
) -> list[tuple[ChunkId, float]]:
    """Rank candidates by the z-score of their similarity plus the weighted share of matched tokens.

    Args:
        similarities: cosine similarity of each candidate.
        shares: idf share of each candidate, 0..1.
        mean: of the similarity over the whole store.
        spread: standard deviation of it, above 0.
    """
    scores = [(i, (s - mean) / spread + LEXICAL_WEIGHT * shares.get(i, 0.0)) for i, s in similarities.items()]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """The passages without those whose words an earlier one has already, as when a file lies in two folders."""
    first: dict[str, Passage] = {}
    for passage in passages:
        first.setdefault(passage.stored.chunk.whole, passage)
    return list(first.values())


def _similarities(
    snapshot: Snapshot, keys: Mapping[ChunkId, tuple[bytes, bytes | None]], vector: Vector, model: str
) -> Similarities:
    """Cosine similarity of the question with each chunk or its recorded question, whichever is nearer."""
    wanted = {key for pair in keys.values() for key in pair if key}
    vectors = snapshot.vectors(model, wanted)
    if not vectors:
        return {}
    dots = dict(zip(vectors, np.stack(list(vectors.values())) @ vector, strict=True))
    return {i: float(max(dots[whole], dots[asked] if asked else -1.0)) for i, (whole, asked) in keys.items()}


def _check(near: Mapping[int, float], similarities: Similarities, generation: Generation) -> None:
    """Compare what Chroma said with the catalog. Raises: IndexDamaged."""
    for chunk_id, similarity in near.items():
        if similarity > similarities.get(ChunkId(chunk_id), -2.0) + TOLERANCE:
            raise IndexDamaged(
                "generation {number} does not agree with the catalog on chunk {chunk}",
                number=generation.number,
                chunk=chunk_id,
            )
