"""Fits the support score: a logistic regression on highest similarity, highest idf share and the scripts.

Questions with an answer in the store count against questions without one. A SQuAD-shaped file gives both: every other
article is ingested, and questions about the others have no answer. A folder beside a question file of its name gives
its own questions; those about the SQuAD files have no answer there, nor have its near misses.

    python benchmarks/support.py --squad KorQuAD_v1.0_dev.json --squad xquad.en.json --squad xquad.zh.json

Each set weighs the same. Prints the weights for `persona_cli.grounding.CALIBRATIONS`, then for some thresholds the part
of the answerable questions, of the far ones and of the near misses that would be refused.
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

HERE = Path(__file__).parent
QUESTIONS = 300
"""Drawn from each side of a set."""
THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
Features = NDArray[np.float64]
"""`(n, 5)` of each question: highest similarity, highest share, whether the nearest passage is in another script than
the question, whether that is in Han or kana, in neither of these nor Hangul."""
FOLDERS = [HERE.parent / "examples", *sorted((HERE / "data" / "persona").glob("*/*/"))]


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
    found, script = retriever.retrieve(question, 30), script_of(question)
    nearest = max(found.passages, key=lambda passage: passage.similarity)
    crosses = script_of(nearest.stored.chunk.whole) != script
    return found.similarity, found.share, crosses, script == "han", script == "other"


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


def fit(sets: Sequence[Sequence[Features]]) -> NDArray[np.float64]:
    """A weight for each feature and a bias, by Newton's method. Source: Hastie et al. 2009, section 4.4.1."""
    rows = np.concatenate([side for sides in sets for side in sides])
    labels = np.concatenate([np.full(len(side), float(n == 0)) for sides in sets for n, side in enumerate(sides)])
    # what has an answer weighs as much as what has none, of which near misses are as much as the far ones
    weights = np.concatenate(
        [
            np.full(len(side), 1 / len(side) / (1 if n == 0 else len(sides) - 1))
            for sides in sets
            for n, side in enumerate(sides)
        ]
    )
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    design = np.c_[(rows - mean) / deviation, np.ones(len(rows))]
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ theta))
        hessian = (design * (weights * chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(len(theta))
        theta += np.linalg.solve(hessian, design.T @ (weights * (labels - chance)))
    slopes = theta[:-1] / deviation
    return np.append(slopes, theta[-1] - slopes @ mean)


def questions(folder: Path) -> tuple[list[str], list[str]]:
    """The answerable questions about a folder, and its near misses; none that need what was said before."""
    file = folder.with_suffix(".jsonl") if folder.name != "examples" else HERE / "data" / "examples.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    lines = [line for line in lines if "history" not in line and line.get("kind") != "smalltalk"]
    sides: tuple[list[str], list[str]] = ([], [])
    for line in lines:
        sides[not line.get("answerable", True)].append(line["question"])
    return sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squad", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    sets: dict[str, list[Features]] = {}
    foreign: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for file in arguments.squad:
            inside, outside = halves(file, Path(scratch) / file.stem)
            foreign += outside[:50]
            sets[file.stem] = features(Path(scratch) / file.stem, Path(scratch) / f"{file.stem}-store", inside, outside)
        for folder in FOLDERS:
            inside, near = questions(folder)
            sets[folder.name] = features(folder, Path(scratch) / f"{folder.name}-store", inside, foreign, near)
    theta = fit(list(sets.values()))
    biases = {"hangul": theta[5], "han": theta[5] + theta[3], "other": theta[5] + theta[4]}
    print(
        f"weight of similarity {theta[0]:.1f}, of share {theta[1]:.2f}, of crossing {theta[2]:.2f}, bias",
        {script: round(float(bias), 1) for script, bias in biases.items()},
    )
    print("| refused below |", " | ".join(sets), "|")
    print("|---|" + "---|" * len(sets))
    for threshold in THRESHOLDS:
        cells = (" / ".join(f"{refused(side, theta, threshold):.2f}" for side in sides) for sides in sets.values())
        print(f"| {threshold} |", " | ".join(cells), "|")


def refused(side: Features, theta: NDArray[np.float64], threshold: float) -> float:
    return float(np.mean(1 / (1 + np.exp(-(side @ theta[:-1] + theta[-1]))) < threshold))


if __name__ == "__main__":
    main()
