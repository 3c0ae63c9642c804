"""What `persona ingest --augment` adds: how well passages are found and unanswerable questions refused.

    python benchmarks/augment.py --squad KorQuAD_v1.0_dev.json --squad xquad.en.json    # ten minutes

The ways to ask are those of `data/ways.jsonl`, three for each passage of the potter, written by a large language model
that had seen the passages and none of the questions. Of them, none, half or all are exchanged for another passage's, as
a bad model might write. Questions about the SQuAD files have no answer. With `--folder` and `--questions` (as for
`persona eval`) the language model that is set writes the ways to ask for that folder instead.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from support import QUESTIONS

from persona_cli import assembly, augmentation
from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.evaluation import Case, auroc, measure, read_cases, refused_share, run
from persona_cli.ingestion import ingest
from persona_cli.models import ChatModel, Message, Usage
from persona_cli.retrieval import Retriever
from persona_cli.settings import load_settings
from persona_cli.store import Store

DATA = Path(__file__).parent / "data"
POTTER = DATA / "persona" / "ko" / "potter"
COUNT = 3
CHECKS = (1, 3, augmentation.RANKS, 10_000)
"""Among how many passages a way to ask has to find its own; the last is no check."""
EXCHANGED = (0.0, 0.5, 1.0)
REFUSED_BELOW = 0.3


class FromFile:
    """A model that writes what stands in a file, some of it to the wrong passage."""

    model = "file"

    def __init__(self, exchanged: float) -> None:
        lines = [json.loads(line) for line in (DATA / "ways.jsonl").read_text(encoding="utf-8").splitlines()]
        draw = random.Random(0)
        every = [way for line in lines for way in line["ways"]]
        self._ways = {
            line["passage"]: [draw.choice(every) if draw.random() < exchanged else way for way in line["ways"]]
            for line in lines
        }

    async def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        sent = messages[-1]["content"]
        yield next("\n".join(ways) for passage, ways in self._ways.items() if passage in sent)

    async def aclose(self) -> None:
        pass


def row(name: str, folder: Path, cases: Sequence[Case], far: Sequence[Case], model: ChatModel | None) -> str:
    """A line of the table: a store of the folder, augmented by the model if there is one."""
    embedder = LocalEmbedder()
    kept = "0"
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "store", create=True)
        ingest([folder], store, lambda _: embedder, LOCAL)
        if model:
            done = asyncio.run(_augment(store, embedder, model))
            kept = f"{done.kept} of {done.kept + done.rejected}"
        retriever = Retriever(store, embedder)
        outcomes = list(run(cases, retriever, REFUSED_BELOW))
        others = list(run(far, retriever, REFUSED_BELOW))
        store.close()
    figures = measure(outcomes)
    supported = [outcome.support for outcome in outcomes if outcome.case.answerable]
    cells = [
        figures.mrr_at_10,
        figures.recall_at_5,
        refused_share(outcomes),
        figures.refusal_recall,
        measure(others).refusal_recall if others else None,
        auroc(supported, [outcome.support for outcome in others]),
    ]
    return f"| {name} | {kept} | " + " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells) + " |"


async def _augment(store: Store, embedder: LocalEmbedder, model: ChatModel) -> augmentation.Augmented:
    try:
        return await augmentation.augment(store, embedder, model, COUNT, None, lambda *_: None)
    finally:
        await model.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squad", type=Path, action="append", default=[])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--questions", type=Path)
    arguments = parser.parse_args()
    far: list[Case] = []
    for file in arguments.squad:
        articles = json.loads(file.read_text(encoding="utf-8"))["data"]
        asked = [qa["question"] for article in articles for part in article["paragraphs"] for qa in part["qas"]]
        far += [Case(question, answerable=False) for question in random.Random(0).sample(asked, QUESTIONS)]
    file = arguments.questions or POTTER.with_suffix(".jsonl")
    cases = read_cases(file.read_text(encoding="utf-8"), file.name, 4_000)
    columns = ("MRR@10", "recall@5", "answerable refused", "near misses refused", "far refused", "AUROC far")
    print("| ways to ask | kept |", " | ".join(columns), "|")
    print("|---" * (2 + len(columns)) + "|")
    print(row("none", arguments.folder or POTTER, cases, far, None))
    if arguments.folder:
        model = assembly.build_model(load_settings())
        print(row(model.model, arguments.folder, cases, far, model))
        return
    for exchanged in EXCHANGED:
        for ranks in CHECKS:
            augmentation.RANKS, augmentation.RANK_SHARE = ranks, 1.0
            check = f"found within {ranks}" if ranks < max(CHECKS) else "unchecked"
            name = f"{exchanged:.0%} exchanged, {check}"
            print(row(name, POTTER, cases, far, FromFile(exchanged)), flush=True)


if __name__ == "__main__":
    main()
