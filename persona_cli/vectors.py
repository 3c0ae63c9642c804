"""The vectors of an index in Chroma: ids and vectors only, never text, never an embedding function.

Chroma keeps an embedding function's configuration in the collection, and a reader would build it and send its own key
where that says; with explicit embeddings on both sides that code never runs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from chromadb import PersistentClient
from chromadb.api import ClientAPI
from chromadb.config import Settings

from persona_cli.models import Matrix, Vector

COLLECTION = "vectors"
HNSW = {"space": "ip", "ef_search": 200, "sync_threshold": 2, "batch_size": 2}
"""Inner product is cosine on vectors of unit length. A threshold of 2, the least Chroma takes, writes every batch out
to the index files before `close`, so that readers find nothing to replay and leave those files as they are."""


def _client(folder: Path) -> ClientAPI:
    return PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def write_vectors(folder: Path, batches: Iterable[tuple[list[str], Matrix]]) -> None:
    """Make a Chroma directory of `(ids, (n, d) vectors)` batches; a batch holds at most 5,000."""
    client: Any = _client(folder)
    try:
        collection = client.create_collection(COLLECTION, embedding_function=None, configuration={"hnsw": HNSW})
        for ids, vectors in batches:
            collection.add(ids=ids, embeddings=vectors)
            if len(ids) == 1:  # a single record is below the threshold and would stay unwritten
                collection.upsert(ids=ids, embeddings=vectors)
    finally:
        client.close()


class VectorIndex:
    """A Chroma directory opened for reading."""

    def __init__(self, folder: Path) -> None:
        self._client: Any = _client(folder)
        self._collection: Any = self._client.get_collection(COLLECTION, embedding_function=None)
        self._count: int = self._collection.count()

    def __len__(self) -> int:
        return self._count

    def nearest(self, question: Vector, count: int) -> list[tuple[str, float]]:
        """Ids and cosine similarities of the nearest vectors, nearest first."""
        if not self._count:
            return []
        found = self._collection.query(
            query_embeddings=[np.asarray(question)], n_results=min(count, self._count), include=["distances"]
        )
        # Chroma's inner-product distance is 1 - similarity
        return [(key, 1.0 - distance) for key, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def close(self) -> None:
        """Let go of the directory."""
        self._client.close()
