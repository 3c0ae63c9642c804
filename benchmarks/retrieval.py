"""How well persona finds the passage that answers a question.

SQuAD-shaped files (KorQuAD, XQuAD): each paragraph becomes a text file, the files are ingested as a user would, and
each question is looked up by the product's own retrieval. A passage is right when it is from the question's paragraph.

    python benchmarks/retrieval.py squad KorQuAD_v1.0_dev.json --articles 70 --questions 1000

Folders with a question file of lines `{"question", "contains": text or list, "answerable": bool}`: a passage is right
when it holds one of the texts, white space folded.

    python benchmarks/retrieval.py folder examples benchmarks/data/examples.jsonl

The rows `dense` and `lexical` rank the same candidates by one half of the score: the floors persona must beat.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persona_cli import assembly
from persona_cli.grounding import support
from persona_cli.ingestion import ingest
from persona_cli.models import Passage
from persona_cli.retrieval import Retriever
from persona_cli.settings import Settings

DEPTH = 10
Case = tuple[str, Callable[[Passage], bool], bool]
"""A question, what passage is right for it, and whether the store can answer it."""


def squad(file: Path, folder: Path, articles: int | None, questions: int, seed: int) -> list[Case]:
    """Write each paragraph to a file of its own; the questions about them."""
    cases: list[Case] = []
    data = json.loads(file.read_text(encoding="utf-8"))["data"][:articles]
    for number, paragraph in enumerate(p for article in data for p in article["paragraphs"]):
        name = f"{number:04}.txt"
        (folder / name).write_text(paragraph["context"], encoding="utf-8")
        cases += [(qa["question"], from_file(name), True) for qa in paragraph["qas"]]
    return random.Random(seed).sample(cases, min(questions, len(cases)))


def from_file(name: str) -> Callable[[Passage], bool]:
    return lambda passage: passage.stored.source.endswith(name)


def question_file(file: Path) -> list[Case]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(line["question"], holding(line.get("contains", [])), line.get("answerable", True)) for line in lines]


def holding(contains: str | list[str]) -> Callable[[Passage], bool]:
    spans = [" ".join(span.split()) for span in ([contains] if isinstance(contains, str) else contains)]
    return lambda passage: any(span in " ".join(passage.stored.chunk.whole.split()) for span in spans)


def rank(passages: Sequence[Passage], right: Callable[[Passage], bool]) -> int | None:
    """Place of the first right passage, from 1, or None when none is among the first ten."""
    return next((n for n, passage in enumerate(passages[:DEPTH], 1) if right(passage)), None)


def scores(ranks: Sequence[int | None]) -> dict[str, float]:
    n = len(ranks)
    return {
        "mrr@10": sum(1 / r for r in ranks if r) / n,
        "recall@1": sum(r == 1 for r in ranks) / n,
        "recall@5": sum(r is not None and r <= 5 for r in ranks) / n,
    }


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Chance that an answerable question has more support than an unanswerable one. Source: Mann & Whitney 1947."""
    wins = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return float(np.mean(wins)) if wins else float("nan")


def measure(retriever: Retriever, cases: Sequence[Case]) -> Iterator[tuple[str, dict[str, Any]]]:
    orders: dict[str, Callable[[Passage], float]] = {
        "persona": lambda p: p.score,
        "dense": lambda p: p.similarity,
        "lexical": lambda p: p.share,
    }
    ranks: dict[str, list[int | None]] = {name: [] for name in orders}
    supports: dict[bool, list[float]] = {True: [], False: []}
    for question, right, answerable in cases:
        found = retriever.retrieve(question, 200)
        supports[answerable].append(support(question, found.similarity, found.share, retriever.embedder.model))
        for name, key in orders.items():
            if answerable:
                ranks[name].append(rank(sorted(found.passages, key=key, reverse=True), right))
    for name in orders:
        yield name, scores(ranks[name])
    least = Settings().refuse_below
    yield (
        "support",
        {
            "auroc": auroc(supports[True], supports[False]),
            "answerable refused": float(np.mean(np.array(supports[True]) < least)),
            "unanswerable refused": float(np.mean(np.array(supports[False]) < least))
            if supports[False]
            else float("nan"),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    by_squad = kinds.add_parser("squad")
    by_squad.add_argument("file", type=Path)
    by_squad.add_argument("--articles", type=int)
    by_squad.add_argument("--questions", type=int, default=1_000)
    by_squad.add_argument("--seed", type=int, default=0)
    by_folder = kinds.add_parser("folder")
    by_folder.add_argument("folder", type=Path)
    by_folder.add_argument("file", type=Path)
    for sub in (by_squad, by_folder):
        sub.add_argument("--store", type=Path, help="keep the store here, and with it the embeddings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.kind == "squad":
            cases = squad(arguments.file, folder, arguments.articles, arguments.questions, arguments.seed)
        else:
            folder, cases = arguments.folder, question_file(arguments.file)
        settings = Settings(db=arguments.store or Path(scratch) / "store")
        store = assembly.open_store(settings, create=True)
        embedding = assembly.choose_embedding(store, settings)
        report = ingest([folder], store, lambda name: assembly.build_embedder(name, settings), embedding)
        print(
            f"{sum(a for *_, a in cases)} questions with an answer, {sum(not a for *_, a in cases)} without;", end=" "
        )
        print(f"{report.chunks} chunks, {len(report.skipped)} files skipped, embedding {embedding}")
        for name, figures in measure(assembly.build_retriever(store, settings), cases):
            print(f"{name:8}", *(f"{label} {value:.3f}" for label, value in figures.items()), sep="  ")
        store.close()


if __name__ == "__main__":
    main()
