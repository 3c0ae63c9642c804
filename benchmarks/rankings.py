"""The usual rankings of chunks, to hold persona's beside: BM25, cosine similarity, and both fused."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from persona_cli.lexical import tokenize
from persona_cli.models import Embedder, Matrix

K1, B = 0.9, 0.4
"""Of BM25, as in Pyserini."""
FUSED, DAMPING = 100, 60
"""Of RRF: how many of each side it takes, and the constant that it adds to a rank."""

Scores = NDArray[np.float64]
Scorer = Callable[[str], Scores]
"""A question in, a score for each chunk out; only those above 0 are found at all."""


def bm25(texts: Sequence[str]) -> Scorer:
    """Over persona's lexical tokens. Source: Robertson & Zaragoza 2009, doi:10.1561/1500000019."""
    counts = [Counter(tokenize(text)) for text in texts]
    lengths = np.array([count.total() for count in counts])
    norms = K1 * (1 - B + B * lengths / lengths.mean())
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, count in enumerate(counts):
        for token, times in count.items():
            postings[token].append((row, times))

    def score(question: str) -> Scores:
        scores = np.zeros(len(texts))
        for token in tokenize(question):
            if token in postings:
                rows, times = np.array(postings[token]).T
                idf = np.log1p((len(texts) - len(rows) + 0.5) / (len(rows) + 0.5))
                scores[rows] += idf * times * (K1 + 1) / (times + norms[rows])
        return scores

    return score


def dense(matrix: Matrix, embedder: Embedder) -> Scorer:
    """Cosine similarity."""
    return lambda question: (matrix @ embedder.embed_question(question)).astype(np.float64)


def rrf(*sides: Scorer) -> Scorer:
    """Reciprocal rank fusion. Source: Cormack et al. 2009, doi:10.1145/1571941.1572114."""

    def score(question: str) -> Scores:
        found = [side(question) for side in sides]
        fused = np.zeros(len(found[0]))
        for scores in found:
            order = best(scores, FUSED)
            fused[order] += 1 / (DAMPING + 1 + np.arange(len(order)))
        return fused

    return score


def best(scores: Scores, count: int) -> NDArray[np.int64]:
    """Rows with the highest scores, best first, none of them without a score."""
    order = np.argsort(-scores, kind="stable")[:count]
    return order[scores[order] > 0]
