"""What `persona eval` shows: how well a store did, and where it did not."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persona_cli.cli.output import has_styles, plain
from persona_cli.language import say

if TYPE_CHECKING:
    from rich.console import Console

    from persona_cli.evaluation import Figures, Outcome

PIPED_COLUMNS = 120
WORD_COLUMNS = 72
MIN_WORD_COLUMNS = 20
NUMBER_COLUMNS = 36
"""What the numbers beside a passage take, with the names above them."""
MEANINGS = {
    "recall_at_1": "the first passage is a right one",
    "recall_at_5": "one of the first five is",
    "mrr_at_10": "1 / place of the right passage, on average",
    "answerable_auroc": "how well support tells those with an answer",
    "refusal_precision": "of the refused, those without an answer",
    "refusal_recall": "of those without an answer, the refused",
}


def open_console() -> "Console":
    """Standard output, wide enough for a table where no terminal sets its width."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else PIPED_COLUMNS,
        color_system="auto" if has_styles() else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def describe_miss(outcome: "Outcome") -> dict[str, Any]:
    """A question that went wrong, for programs."""
    return {
        "line": outcome.case.line,
        "question": outcome.case.question,
        "answerable": outcome.case.answerable,
        "refused": outcome.refused,
        "support": round(outcome.support, 4),
        "rank": outcome.rank,
        "passages": [
            {
                "n": n,
                "source": passage.stored.source,
                "locator": passage.stored.chunk.locator,
                "text": passage.stored.chunk.whole,
                "similarity": round(passage.similarity, 4),
                "share": round(passage.share, 4),
                "score": round(passage.score, 4),
            }
            for n, passage in enumerate(outcome.up_to_right, 1)
        ],
    }


def print_misses(outcomes: "Sequence[Outcome]", console: "Console") -> None:
    """The questions that went wrong: those with wrong passages before the right one, then the others, a line each."""
    misses = [outcome for outcome in outcomes if outcome.is_miss]
    for miss in misses:
        if miss.case.answerable and miss.rank != 1:
            _print_ranking(miss, console)
    for miss in misses:
        told = {"line": miss.case.line, "question": _cut(miss.case.question), "support": miss.support}
        if miss.case.answerable and miss.refused:
            print(say("line {line}: refused, though there is an answer (support {support:.2f}): {question}", **told))
        if not miss.case.answerable:
            print(say("line {line}: answered, though there is none (support {support:.2f}): {question}", **told))
    if misses:
        print()


def _print_ranking(outcome: "Outcome", console: "Console") -> None:
    """A question whose right passage is not the first: the passages down to that one."""
    from rich.table import Table

    print(say("line {line}: {question}", line=outcome.case.line, question=_cut(outcome.case.question)))
    if outcome.rank:
        print(
            say("the right passage is number {rank}; support {support:.2f}", rank=outcome.rank, support=outcome.support)
        )
    else:
        print(say("no right passage among these; support {support:.2f}", support=outcome.support))
    table = Table(box=None, pad_edge=False)
    for name in ("", say("similarity"), say("share"), say("score")):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(say("passage"), no_wrap=True)
    room = max(console.width - NUMBER_COLUMNS, MIN_WORD_COLUMNS)
    for n, passage in enumerate(outcome.up_to_right, 1):
        chunk = passage.stored.chunk
        words = f"{_cut(f'{passage.stored.source} · {chunk.locator}', room)}\n{_cut(chunk.whole, room)}"
        table.add_row(str(n), f"{passage.similarity:.3f}", f"{passage.share:.2f}", f"{passage.score:.2f}", words)
    console.print(table)
    print()


def print_figures(figures: "Figures", outcomes: "Sequence[Outcome]", console: "Console") -> None:
    """The figures with what each means."""
    from rich.table import Table

    from persona_cli.evaluation import refused_share

    answerable = sum(outcome.case.answerable for outcome in outcomes)
    lost = refused_share(outcomes)
    counts = say("{yes} with an answer, {no} without", yes=answerable, no=len(outcomes) - answerable)
    rows = [
        ("questions", str(figures.questions), counts),
        *((name, _spell(getattr(figures, name)), say(MEANINGS[name])) for name in MEANINGS),
        ("answerable refused", _spell(lost, ".1%"), say("of those with an answer, the refused")),
        ("latency_ms p50", _spell(figures.latency_ms["p50"], ".1f"), say("half of the questions take longer")),
        ("latency_ms p95", _spell(figures.latency_ms["p95"], ".1f"), say("one in twenty takes longer")),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _spell(figure: float | None, form: str = ".4f") -> str:
    return "-" if figure is None else format(figure, form)


def _cut(text: str, columns: int = WORD_COLUMNS) -> str:
    """The text on one line of at most so many columns, without anything that a terminal would obey."""
    from rich.cells import cell_len, set_cell_size

    line = " ".join(plain(text).split())
    return line if cell_len(line) <= columns else f"{set_cell_size(line, columns - 1).rstrip()}…"
