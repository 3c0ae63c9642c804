"""Retrieval: a question in, the passages that may answer it out, best first.

Chroma and the postings propose candidates; their similarities are then computed from the catalog's own vectors, so
that a damaged index can cost time but never change an answer.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from persona_cli.errors import IndexDamaged
from persona_cli.grounding import support
from persona_cli.index import Generation
from persona_cli.models import ChunkId, Embedder, IndexRow, Message, Passage, Vector
from persona_cli.snapshot import Snapshot
from persona_cli.store import Store
from persona_cli.vectors import bring_in_chroma
from persona_cli.wording import plain

CANDIDATES = 100
"""Taken from each side, dense and lexical."""
LEXICAL_WEIGHT = 5.0
"""Standard deviations of similarity that matching all of the question's tokens is worth; benchmarks/quality.py."""
FOLLOW_WEIGHT = 0.5
"""What a question after another one counts by itself; the rest is for both read as one."""
WAY_MARGIN = 0.02
"""Similarity that a way to ask counts less for support than recorded words: a model asked, the person was not;
benchmarks/augment.py."""
MIN_SPREAD = 0.01
"""Least standard deviation reckoned with, for stores of a few chunks that are all alike."""
TOLERANCE = 1e-3
"""How far Chroma's float32 similarity may be from ours before the index counts as damaged."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which ideas passages are looked up with; benchmarks/quality.py tells what each of them adds.

    Attributes:
        lexical: the tokens that question and passage share count beside the similarity of their vectors.
        questions: a recorded pair is also found by the vector of its question alone.
        ways: a chunk is also found by the vectors of other ways to ask for it, where a language model wrote some.
        sentences: prose is as near as the nearest of its sentences, where each has a vector.
        wording: chat spelling is read as what it stands for.
        following: a question is read together with the one before it.
    """

    lexical: bool = True
    questions: bool = True
    ways: bool = True
    sentences: bool = True
    wording: bool = True
    following: bool = True


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a question found.

    Attributes:
        vector: of the question, `(d,)`.
        passages: best first.
        support: how well the store supports an answer, 0..1.
        similarity: the highest cosine similarity among all candidates, as it counts for support; -1 without any.
        share: the highest idf share among all candidates, 0..1.
        spread: standard deviation of the question's similarity over the store, above 0.
        readings: the texts it was looked up by.
        timings_ms: milliseconds "embed" and "search" took.
    """

    vector: Vector
    passages: Sequence[Passage]
    support: float
    similarity: float
    share: float
    spread: float
    readings: Sequence[str]
    timings_ms: Mapping[str, float]


class Retriever:
    """Finds passages of one store."""

    def __init__(self, store: Store, embedder: Embedder, recipe: Recipe | None = None) -> None:
        self.store = store
        self.embedder = embedder
        self.recipe = recipe or Recipe()

    def is_current(self) -> bool:
        """Whether the store still has the embedding model that this looks things up with."""
        with self.store.catalog.snapshot() as snapshot:
            return snapshot.fact("embedding") in (None, self.embedder.model)

    def retrieve(
        self,
        question: str,
        top_k: int,
        api_key: str | None = None,
        *,
        after: str | None = None,
        as_of: str | None = None,
    ) -> Retrieval:
        """The passages nearest to a question, at most `top_k`.

        Args:
            after: the question asked before it in the same conversation, which it may go on from.
            as_of: ISO 8601 date; only what is known to have been said by then is looked at.

        Raises:
            StoreError: nothing was ingested, or the store cannot be read.
            ModelError: the embedding model failed.
        """
        start = time.perf_counter()
        bring_in_chroma()
        readings = self._readings(question, after)
        vector = np.sum([weight * self.embedder.embed_question(text, api_key) for text, weight in readings], axis=0)
        vector /= max(float(np.linalg.norm(vector)), 1e-9)
        embedded = time.perf_counter()
        try:
            found = self._search(readings, vector, top_k, as_of)
        except IndexDamaged as damage:
            self.store.repair(damage.values["number"])
            found = self._search(readings, vector, top_k, as_of)
        timings = {"embed": 1e3 * (embedded - start), "search": 1e3 * (time.perf_counter() - embedded)}
        return Retrieval(vector, *found, [text for text, _ in readings], timings)

    def _readings(self, question: str, after: str | None) -> list[tuple[str, float]]:
        """The texts a question is looked up by, and what each counts."""
        alone = plain(question) if self.recipe.wording else question
        if not (after and self.recipe.following):
            return [(alone, 1.0)]
        before = plain(after) if self.recipe.wording else after
        return [(alone, FOLLOW_WEIGHT), (f"{before} {alone}", 1 - FOLLOW_WEIGHT)]

    def _search(
        self, readings: Sequence[tuple[str, float]], vector: Vector, top_k: int, as_of: str | None
    ) -> tuple[list[Passage], float, float, float, float]:
        model = self.embedder.model
        question = readings[-1][0]
        with self.store.reading() as (snapshot, generation):
            lexical = generation.lexical
            shares: NDArray[np.float32] = sum(np.float32(weight) * lexical.shares(text) for text, weight in readings)  # type: ignore[assignment]
            allowed = None if as_of is None else snapshot.said_by(as_of)
            if allowed is not None:
                shares = lexical.within(shares, allowed)
            near = _nearest(generation, vector, allowed)
            ids = [ChunkId(i) for i in {*near, *lexical.best(shares, CANDIDATES)}]
            candidates = _candidates(snapshot, snapshot.hashes(ids), vector, model, self.recipe)
            _check(near, candidates, generation)
            shared = {i: lexical.share_of(i, shares) for i in candidates}
            mean, spread = generation.usual(vector)
            spread = max(spread, MIN_SPREAD)
            weight = LEXICAL_WEIGHT if self.recipe.lexical else 0.0
            similarities = {i: candidate.similarity for i, candidate in candidates.items()}
            ranked = fuse(similarities, shared, mean, spread, weight)[:top_k]
            nearest = max(candidates, key=lambda i: candidates[i].backing, default=None)
            stored = snapshot.chunks([*(i for i, _ in ranked), *([nearest] if nearest else [])])
        if nearest is None:
            return [], 0.0, -1.0, 0.0, spread
        passages: list[Passage] = []
        for i, score in ranked:
            candidate = candidates[i]
            alone = support(question, candidate.backing, shared[i], model, stored[i].chunk.whole)
            passages.append(
                Passage(
                    stored[i], candidate.similarity, candidate.asked, shared[i], score, alone, candidate.pieces.tolist()
                )
            )
        similarity, share = candidates[nearest].backing, max(shared.values())
        supported = support(question, similarity, share, model, stored[nearest].chunk.whole)
        return passages, supported, similarity, share, spread


def fuse(
    similarities: Mapping[ChunkId, float],
    shares: Mapping[ChunkId, float],
    mean: float,
    spread: float,
    weight: float = LEXICAL_WEIGHT,
) -> list[tuple[ChunkId, float]]:
    """Rank candidates by the z-score of their similarity plus the weighted share of matched tokens.

    Args:
        similarities: cosine similarity of each candidate.
        shares: idf share of each candidate, 0..1.
        mean: of the similarity over the whole store.
        spread: standard deviation of it, above 0.
        weight: standard deviations that a share of 1 is worth.
    """
    scores = [(i, (s - mean) / spread + weight * shares.get(i, 0.0)) for i, s in similarities.items()]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """The passages without those whose words an earlier one has already, as when a file lies in two folders."""
    first: dict[str, Passage] = {}
    for passage in passages:
        first.setdefault(passage.stored.chunk.whole, passage)
    return list(first.values())


def last_question(history: Sequence[Message]) -> str | None:
    """What was asked last in a conversation."""
    return next((message["content"] for message in reversed(history) if message["role"] == "user"), None)


def _nearest(generation: Generation, vector: Vector, allowed: Collection[int] | None) -> dict[int, float]:
    """The nearest chunks with their similarities, of those allowed as far as Chroma has them in reach."""
    count = CANDIDATES
    while True:
        near = generation.nearest(vector, count)
        if allowed is None:
            return near
        kept = {i: similarity for i, similarity in near.items() if i in allowed}
        if len(kept) >= min(CANDIDATES, len(allowed)) or count > len(near):
            return kept
        count *= 8


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Cosine similarities of a chunk with the question.

    Attributes:
        similarity: of its nearest vector, as far as the recipe takes them.
        backing: the same as it counts for support.
        asked: of its recorded question; -1 without one.
        indexed: of what stands for it in the index.
        pieces: of each piece of its text; a single one where the whole has one vector.
    """

    similarity: float
    backing: float
    asked: float
    indexed: float
    pieces: NDArray[np.float32]


def _candidates(
    snapshot: Snapshot,
    rows: Mapping[ChunkId, IndexRow],
    vector: Vector,
    model: str,
    recipe: Recipe,
) -> dict[ChunkId, _Candidate]:
    vectors = snapshot.vectors(model, {key for row in rows.values() for key in row.keys})
    if not vectors:
        return {}
    matrix = np.concatenate(list(vectors.values()))
    ends = np.cumsum([len(of_key) for of_key in vectors.values()])
    starts = np.concatenate([[0], ends[:-1]])
    dots = matrix @ vector
    nearest = dict(zip(vectors, np.maximum.reduceat(dots, starts).tolist(), strict=True))
    lengths = np.linalg.norm(np.add.reduceat(matrix, starts), axis=1)
    indexed = dict(zip(vectors, (np.add.reduceat(dots, starts) / np.maximum(lengths, 1e-9)).tolist(), strict=True))
    pieces = {key: dots[start:end] for key, start, end in zip(vectors, starts.tolist(), ends.tolist(), strict=True)}
    found: dict[ChunkId, _Candidate] = {}
    for i, row in rows.items():
        whole = row.text_hash
        asked = nearest[row.question_hash] if row.question_hash else -1.0
        written = max((nearest[way] for way in row.ways), default=-1.0)
        way = written if recipe.ways else -1.0
        alone = nearest[whole] if recipe.sentences else indexed[whole]
        recorded = max(alone, asked) if recipe.questions else alone
        found[i] = _Candidate(
            similarity=max(recorded, way),
            backing=max(recorded, way - WAY_MARGIN),
            asked=asked,
            indexed=max(indexed[whole], asked, written),
            pieces=pieces[whole],
        )
    return found


def _check(near: Mapping[int, float], candidates: Mapping[ChunkId, _Candidate], generation: Generation) -> None:
    """Compare what Chroma said with the catalog. Raises: IndexDamaged."""
    for chunk_id, similarity in near.items():
        candidate = candidates.get(ChunkId(chunk_id))
        if candidate is None or similarity > candidate.indexed + TOLERANCE:
            raise IndexDamaged(
                "generation {number} does not agree with the catalog on chunk {chunk}",
                number=generation.number,
                chunk=chunk_id,
            )
