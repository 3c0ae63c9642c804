"""Fits the support score: a logistic regression on highest similarity, highest idf share and the question's script.

Questions with an answer in the store count against questions without one. A SQuAD-shaped file gives both: every other
article is ingested, and questions about the others have no answer. A folder with a question file gives its own
answerable ones, and the questions about the SQuAD files as unanswerable ones.

    python benchmarks/support.py --squad KorQuAD_v1.0_dev.json --squad xquad.en.json --squad xquad.zh.json \
        --folder examples benchmarks/data/examples.jsonl

Each set weighs the same. Prints the weights for `persona_cli.grounding.SUPPORT`, then for some thresholds the part of
the answerable and of the unanswerable questions that would be refused.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from persona_cli import assembly
from persona_cli.embedding import LOCAL
from persona_cli.grounding import script_of
from persona_cli.ingestion import ingest
from persona_cli.retrieval import Retriever
from persona_cli.settings import Settings

QUESTIONS = 300
"""Drawn from each side of a set."""
THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
Features = NDArray[np.float64]
"""`(n, 4)` of each question: highest similarity, highest share, whether it is in Han or kana, in another script."""


def features(folder: Path, store: Path, *asked: Sequence[str]) -> list[Features]:
    """Ingest a folder and look up each list of questions."""
    settings = Settings(db=store)
    opened = assembly.open_store(settings, create=True)
    ingest([folder], opened, lambda name: assembly.build_embedder(name, settings), LOCAL)
    retriever: Retriever = assembly.build_retriever(opened, settings)
    found = [np.array([row(retriever, question) for question in questions]) for questions in asked]
    opened.close()
    return found


def row(retriever: Retriever, question: str) -> tuple[float, ...]:
    found, script = retriever.retrieve(question, 1), script_of(question)
    return found.similarity, found.share, script == "han", script == "other"


def halves(file: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Write every other article's paragraphs to files; questions about those, and about the rest."""
    folder.mkdir()
    sides: tuple[list[str], list[str]] = ([], [])
    for number, article in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"][:70]):
        for place, paragraph in enumerate(article["paragraphs"]):
            sides[number % 2].extend(qa["question"] for qa in paragraph["qas"])
            if number % 2 == 0:
                (folder / f"{number:03}-{place:03}.txt").write_text(paragraph["context"], encoding="utf-8")
    draw = random.Random(0)
    return draw.sample(sides[0], min(QUESTIONS, len(sides[0]))), draw.sample(sides[1], min(QUESTIONS, len(sides[1])))


def fit(sets: Sequence[tuple[Features, Features]]) -> NDArray[np.float64]:
    """A weight for each feature and a bias, by Newton's method. Source: Hastie et al. 2009, section 4.4.1."""
    rows = np.concatenate([side for pair in sets for side in pair])
    labels = np.concatenate([np.full(len(side), 1.0 - n) for pair in sets for n, side in enumerate(pair)])
    weights = np.concatenate([np.full(len(side), 1 / len(side)) for pair in sets for side in pair])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    design = np.c_[(rows - mean) / deviation, np.ones(len(rows))]
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ theta))
        hessian = (design * (weights * chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(len(theta))
        theta += np.linalg.solve(hessian, design.T @ (weights * (labels - chance)))
    slopes = theta[:-1] / deviation
    return np.append(slopes, theta[-1] - slopes @ mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squad", type=Path, action="append", default=[])
    parser.add_argument("--folder", type=Path, nargs=2, metavar=("FOLDER", "QUESTIONS"))
    arguments = parser.parse_args()
    sets: dict[str, tuple[Features, Features]] = {}
    foreign: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for file in arguments.squad:
            inside, outside = halves(file, Path(scratch) / file.stem)
            foreign += outside[:100]
            with_answer, without = features(
                Path(scratch) / file.stem, Path(scratch) / f"{file.stem}-store", inside, outside
            )
            sets[file.stem] = (with_answer, without)
        if arguments.folder:
            folder, file = arguments.folder
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            inside = [line["question"] for line in lines if line.get("answerable", True)]
            near = [line["question"] for line in lines if not line.get("answerable", True)]
            with_answer, without, close = features(folder, Path(scratch) / "store", inside, foreign, near)
            sets[folder.name] = (with_answer, without)
    theta = fit(list(sets.values()))
    biases = {"hangul": theta[4], "han": theta[4] + theta[2], "other": theta[4] + theta[3]}
    print(
        f"weight of similarity {theta[0]:.1f}, of share {theta[1]:.1f}, bias",
        {script: round(float(bias), 1) for script, bias in biases.items()},
    )

    def refused(side: Features, threshold: float) -> float:
        return float(np.mean(1 / (1 + np.exp(-(side @ theta[:-1] + theta[-1]))) < threshold))

    for threshold in THRESHOLDS:
        row = "  ".join(f"{n} {refused(a, threshold):.3f} {refused(u, threshold):.3f}" for n, (a, u) in sets.items())
        print(
            f"refused below {threshold:.2f}:  {row}",
            f" near misses {refused(close, threshold):.3f}" if arguments.folder else "",
        )


if __name__ == "__main__":
    main()
