"""Small stores for tests, made with the real embedder and a real Chroma."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.models import Chunk, Document, Vector, question_hash, text_hash
from persona_cli.store import Store

FAQ = [
    Chunk(
        "내 템포대로 못 쳤어요. 다음에는 천천히 하려고요.",
        "line 1",
        "유퀴즈하고 아쉬웠던 점은 무엇인가요?",
        date="2024-03-05",
    ),
    Chunk("보류예요. 병원 접수대에서 정해졌어요.", "line 3", "고양이 이름이 뭐예요?"),
    Chunk("화요일, 목요일, 토요일 밤 아홉 시요.", "line 5", "방송은 언제 하나요?"),
]
POST = [
    Chunk(
        "I moved the studio in November. The old room was damp and the upstairs neighbour practised the trombone. "
        "The new one is above a bakery, so I gain two kilos a month.",
        "Why I moved, lines 3-5",
    ),
]


@cache
def embed(text: str, asked: bool = False) -> Vector:
    """The real vector of a text or of a recorded question, computed once in a test run."""
    embedder = LocalEmbedder()
    vectors = embedder.embed_questions([text]) if asked else embedder.embed_texts([text])
    vector: Vector = vectors[0]
    return vector


def make_store(folder: Path, documents: Mapping[str, Sequence[Chunk]] | None = None) -> Path:
    """Publish chunks by source as the next generation of a store; where it is."""
    put = [
        Document(source, f"{len(pieces)}", 1, "text/1", pieces)
        for source, pieces in (documents or {"faq.txt": FAQ, "post.md": POST}).items()
    ]
    chunks = [chunk for document in put for chunk in document.chunks]
    vectors = {text_hash(chunk.whole): embed(chunk.whole) for chunk in chunks}
    vectors |= {question_hash(c.question): embed(c.question, asked=True) for c in chunks if c.question}
    store = Store(folder, create=True)
    with store.catalog.snapshot() as snapshot:
        missing = [key for key in vectors if key not in snapshot.cached(LOCAL, vectors)]
    if missing:
        store.catalog.cache_vectors(LOCAL, missing, np.stack([vectors[key] for key in missing]))
    with store.writing():
        store.publish(put, [], {}, LOCAL)
    store.close()
    return folder
