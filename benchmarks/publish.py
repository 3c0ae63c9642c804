"""How long a store takes to publish a change, made from the generation before and made anew, and what it finds then.

    python benchmarks/publish.py [--chunks 1000 10000 100000] [--runs 5]

Documents of five chunks of made-up Korean, every second chunk a recorded pair with a vector for its question, the
others prose of six sentences with a vector each; vectors are drawn around one centre a topic, so nothing is embedded.
`anew` publishes all of it with no change, `changed` after one document was replaced; both are whole calls of
`Store.publish`. Then documents are replaced until almost as much is deleted as a generation may carry, and 200
questions are looked up among 100 nearest vectors beside brute force, before and after the index is made anew;
`question p50` is a whole retrieval, of eight words, without embedding them.
"""

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from persona_cli.index import DELETED_SHARE, direction
from persona_cli.models import Chunk, Document, Matrix, Vector, question_hash, text_hash
from persona_cli.retrieval import Retriever
from persona_cli.store import Store

MODEL = "made-up"
DIMENSIONS = 384
TOPICS = 200
SENTENCES = 6
SPREAD = 0.7
CHUNKS_A_DOCUMENT = 5
STEPS = 20
"""Publishes in which documents are replaced before questions are looked up."""
QUESTIONS, NEAREST = 200, 100
SYLLABLES = (
    "가고기나내너누다대도동라로리마만머모무미바보부비사상서선수시아안어여오우원이인일자장전정제조주지진차하학한해행호화"
)
ENDINGS = [
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "에서",
    "에",
    "도",
    "으로",
    "했어요",
    "입니다",
    "하고",
    "였죠",
    "",
    "네요.",
]


class Writer:
    """Makes up documents and their vectors."""

    def __init__(self) -> None:
        self._draw = random.Random(0)
        self._numbers = np.random.default_rng(0)
        self._centres = self._numbers.standard_normal((TOPICS, DIMENSIONS))
        self._stems = ["".join(self._draw.choices(SYLLABLES, k=self._draw.randint(1, 3))) for _ in range(20_000)]
        self._frequencies = list(itertools.accumulate(1 / rank for rank in range(3, 20_003)))  # Zipf's law

    def document(self, source: str) -> Document:
        """A document of five chunks about 350 characters long, every second one a pair."""
        chunks = [
            Chunk(self._words(90), f"line {n}", self._words(6) + "?" if n % 2 else None)
            for n in range(CHUNKS_A_DOCUMENT)
        ]
        return Document(source, "0", 1, "text/1", chunks)

    def vectors(self, count: int) -> Matrix:
        """`(count, 384)`, around centres that are drawn one each."""
        spread = SPREAD * self._numbers.standard_normal((count, DIMENSIONS), np.float32)
        vectors: Matrix = self._centres[self._numbers.integers(0, TOPICS, count)].astype(np.float32) + spread
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def question(self) -> str:
        """Eight words."""
        return self._words(8) + "?"

    def _words(self, count: int) -> str:
        stems = self._draw.choices(self._stems, cum_weights=self._frequencies, k=count)
        return " ".join(stem + self._draw.choice(ENDINGS) for stem in stems)


class Drawn:
    """Stands in for an embedder: a vector for each question, in no time."""

    model, batch_chars, by_sentence = MODEL, 1, False

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        return self._writer.vectors(len(texts))

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        return self._writer.vectors(len(questions))

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        vector: Vector = self._writer.vectors(1)[0]
        return vector


def publish(store: Store, writer: Writer, sources: Sequence[str]) -> float:
    """Put new documents under these names; the seconds it took to publish them."""
    documents = [writer.document(source) for source in sources]
    chunks = [chunk for document in documents for chunk in document.chunks]
    sizes = {text_hash(chunk.whole): 1 if chunk.question else SENTENCES for chunk in chunks}
    sizes |= {question_hash(chunk.question): 1 for chunk in chunks if chunk.question}
    with store.catalog.snapshot() as snapshot:
        missing = list(sizes.keys() - snapshot.cached(MODEL, sizes))
    if missing:
        store.catalog.cache_vectors(MODEL, missing, (writer.vectors(sizes[key]) for key in missing))
    start = time.perf_counter()
    with store.writing():
        store.publish(documents, [], {}, MODEL)
    return time.perf_counter() - start


def recall(store: Store, questions: Matrix) -> tuple[float, float, float]:
    """Share of the truly nearest that is found, median milliseconds to find them, megabytes of index files."""
    with store.reading() as (snapshot, generation):
        rows = list(snapshot.index_rows())
        named = [(row.id, row.text_hash) for row in rows]
        named += [(row.id, row.question_hash) for row in rows if row.question_hash]
        stored = snapshot.vectors(MODEL, [key for _, key in named])
        matrix = np.stack([direction(stored[key]) for _, key in named])
        found, times = 0.0, []
        for question in questions:
            nearest = {named[at][0] for at in np.argpartition(-(matrix @ question), NEAREST)[:NEAREST]}
            start = time.perf_counter()
            got = generation.nearest(question, NEAREST)
            times.append(1e3 * (time.perf_counter() - start))
            found += len(nearest & got.keys()) / len(nearest)
        files = (store.folder / "index" / str(generation.number)).rglob("*")
        size = sum(path.stat().st_size for path in files if path.is_file())
    return found / len(questions), statistics.median(times), size / 1e6


def measure(chunks: int, runs: int, folder: Path) -> Iterator[str]:
    """The cells of a row."""
    writer = Writer()
    store = Store(folder, create=True)
    sources = [f"{n}.txt" for n in range(chunks // CHUNKS_A_DOCUMENT)]
    publish(store, writer, sources)
    yield f"{chunks:,}"
    anew = publish(store, writer, [])
    yield f"{anew:.2f} s"
    changed = statistics.median(publish(store, writer, [sources[n]]) for n in range(runs))
    yield f"{changed:.2f} s"
    yield f"{anew / changed:.0f}"
    replaced = sources[runs : int(0.95 * DELETED_SHARE / (1 + DELETED_SHARE) * len(sources))]
    for step in range(STEPS):
        publish(store, writer, replaced[step::STEPS])
    questions = writer.vectors(QUESTIONS)
    worn = recall(store, questions)
    publish(store, writer, [])
    for before, after, unit in zip(worn, recall(store, questions), ("", " ms", " MB"), strict=True):
        yield f"{before:.3g}{unit} / {after:.3g}{unit}"
    retriever = Retriever(store, Drawn(writer))
    searches = [retriever.retrieve(writer.question(), 12).timings_ms["search"] for _ in range(QUESTIONS)]
    yield f"{statistics.median(searches):.1f} ms"
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    heads = "chunks|anew|changed|ratio|recall worn / anew|query worn / anew|index worn / anew|question p50"
    print("|", heads.replace("|", " | "), "|")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for chunks in arguments.chunks:
        with tempfile.TemporaryDirectory() as scratch:
            print("|", " | ".join(measure(chunks, arguments.runs, Path(scratch) / "store")), "|", flush=True)


if __name__ == "__main__":
    main()
