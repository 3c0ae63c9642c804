"""`persona eval`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persona_cli.cli.boundary import FAILED, complain
from persona_cli.cli.figures import describe_miss, open_console, print_figures, print_misses
from persona_cli.cli.output import Db, Json, print_json
from persona_cli.errors import EvaluationError, LoadError, StoreMissing
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.evaluation import Case, Figures, Outcome
    from persona_cli.settings import Settings
    from persona_cli.store import Store

Least = Annotated[
    float | None, typer.Option(min=0, max=1, metavar="X", help=say("Exit with 1 when the figure is below X."))
]


def evaluate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE|-", help=say("Questions with their right passages, a JSON object on each line.")),
    ] = None,
    db: Db = None,
    show_misses: Annotated[
        bool, typer.Option("--show-misses", help=say("List the questions that went wrong, with what came instead."))
    ] = False,
    min_mrr: Least = None,
    min_recall_at_1: Least = None,
    min_recall_at_5: Least = None,
    min_auroc: Least = None,
    min_refusal_precision: Least = None,
    min_refusal_recall: Least = None,
    max_p95_ms: Annotated[
        float | None,
        typer.Option(min=0, metavar="MS", help=say("Exit with 1 when one question in twenty takes longer.")),
    ] = None,
    make: Annotated[
        int | None,
        typer.Option(
            "--make", min=1, metavar="N", help=say("Draft such a file of at most N questions from the store.")
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how well a store finds the right passages and refuses the rest."""
    least = {
        "recall_at_1": min_recall_at_1,
        "recall_at_5": min_recall_at_5,
        "mrr_at_10": min_mrr,
        "answerable_auroc": min_auroc,
        "refusal_precision": min_refusal_precision,
        "refusal_recall": min_refusal_recall,
    }
    if make and (file or show_misses or as_json or {*least.values(), max_p95_ms} != {None}):
        raise typer.BadParameter(say("--make goes with --db alone"))
    if not make and not file:
        raise typer.BadParameter(say("which questions? Give a FILE, - for standard input, or --make 20 to draft one"))
    from dataclasses import asdict

    from persona_cli import assembly, evaluation
    from persona_cli.settings import load_settings

    settings = load_settings(db=db)
    if not file:
        asyncio.run(_make(make or 0, settings))
        return
    cases = _read_cases(file, settings.max_question_chars)
    retriever = assembly.build_retriever(_open_store(settings), settings)
    found = evaluation.run(cases, retriever, settings.refuse_below)
    outcomes = list(_with_progress(found, len(cases)))
    figures = evaluation.measure(outcomes)
    if as_json:
        misses = {"misses": [describe_miss(outcome) for outcome in outcomes if outcome.is_miss]} if show_misses else {}
        print_json({**asdict(figures), **misses})
    else:
        console = open_console()
        if show_misses:
            print_misses(outcomes, console)
        print_figures(figures, outcomes, console)
    missed = [*_below(figures, least), *_above(figures, max_p95_ms)]
    for complaint in missed:
        complain(complaint)
    if missed:
        raise typer.Exit(FAILED)


def _read_cases(file: Path, most_chars: int) -> "list[Case]":
    from persona_cli.evaluation import read_cases
    from persona_cli.loading.decoding import decode

    is_standard = str(file) == "-"
    name = say("standard input") if is_standard else str(file)
    try:
        cases = read_cases(decode(sys.stdin.buffer.read() if is_standard else file.read_bytes()), name, most_chars)
    except OSError as error:
        raise EvaluationError("{file} cannot be read: {why}", file=name, why=error.strerror or str(error)) from error
    except LoadError as error:
        why = say(error.template, **error.values)
        raise EvaluationError("{file} cannot be read: {why}", file=name, why=why) from error
    if drafts := sum(case.is_draft for case in cases):
        complain(
            say(
                '{count} lines still say "draft": true: their questions are the passages\' own words, and flatter the'
                " figures; write real ones",
                count=drafts,
            )
        )
    return cases


def _open_store(settings: "Settings") -> "Store":
    from persona_cli import assembly

    store = assembly.open_store(settings)
    with store.catalog.snapshot() as snapshot:
        if not snapshot.count_chunks():
            raise StoreMissing(
                "nothing has been ingested into {db!r} yet: run `persona ingest FOLDER`", db=str(settings.db)
            )
    return store


def _with_progress(found: "Iterator[Outcome]", total: int) -> "Iterator[Outcome]":
    """The same, with a bar on a terminal."""
    if not sys.stderr.isatty():
        return found
    from rich.console import Console
    from rich.progress import track

    return iter(track(found, say("asking"), total=total, console=Console(stderr=True), transient=True))


def _below(figures: "Figures", least: Mapping[str, float | None]) -> Iterator[str]:
    """What to say of each figure that is not as high as it is to be."""
    for name, wanted in least.items():
        value = getattr(figures, name)
        if wanted is None or (value is not None and value >= wanted):
            continue
        if value is not None:
            yield say("{figure} is {value:g}, at least {least:g} was asked for", figure=name, value=value, least=wanted)
        elif name == "refusal_precision":
            yield say("{figure} cannot be told: no question was refused", figure=name)
        else:
            yield say(
                "{figure} cannot be told: the file needs questions with an answer, and for refusals some without",
                figure=name,
            )


def _above(figures: "Figures", most_ms: float | None) -> Iterator[str]:
    p95 = figures.latency_ms["p95"]
    if most_ms is not None and not p95 <= most_ms:
        yield say("latency_ms p95 is {value:g}, at most {most:g} was asked for", value=p95, most=most_ms)


async def _make(count: int, settings: "Settings") -> None:
    """Draft a file of questions to standard output, line by line."""
    from persona_cli import assembly, drafting

    with _open_store(settings).catalog.snapshot() as snapshot:
        chosen = drafting.choose(snapshot, count)
    if not chosen:
        raise EvaluationError("{db!r} holds nothing long enough to ask about", db=str(settings.db))
    model = assembly.build_model(settings) if settings.has_model else None
    if model:
        complain(say("{model!r} writes questions, and is sent the passages for that", model=model.model))
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    kinds: Counter[str] = Counter()
    try:
        async with aclosing(drafting.draft(chosen, model)) as lines:
            async for line in lines:
                print(json.dumps(line, ensure_ascii=not is_utf8), flush=True)
                kinds[line.get("kind", "draft")] += 1
    finally:
        if model:
            await model.aclose()
    _advise(kinds)


def _advise(kinds: Mapping[str, int]) -> None:
    """Say what is left to do before a draft measures anything."""
    if kinds["recorded"]:
        complain(say("questions as they were recorded are found easily: reword them as people really ask"))
    if kinds["draft"]:
        complain(
            say(
                'to {count} lines with "draft": true write a question that "passage" answers, and take the mark away',
                count=kinds["draft"],
            )
        )
    complain(say('add questions without an answer in the store, "answerable": false, which cannot be drafted for you'))
