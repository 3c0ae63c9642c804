"""Evaluation: questions whose right passages are known in, how well a store finds them and refuses the rest out."""

import json
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persona_cli.errors import EvaluationError
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import clean
from persona_cli.models import Message, Passage
from persona_cli.retrieval import Retriever, distinct, last_question
from persona_cli.smalltalk import kind_of

DEPTH = 10
"""Passages among which the right one is looked for."""
TWINS = 3
"""Passages looked up for each of those, since the same words may stand in several documents."""
ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and what would be right.

    Attributes:
        line: of the file, 1-based.
        sources: ends of sources, one of which the right passage has; empty for any.
        contains: folded texts, one of which the right passage holds; empty for any.
        answerable: whether the store holds an answer at all.
        history: what was said before the question, oldest first.
        as_of: ISO 8601 date on which the question is asked; None for now.
        is_draft: whether the question is still the one that `--make` put there to be replaced.
    """

    question: str
    line: int = 0
    sources: Sequence[str] = ()
    contains: Sequence[str] = ()
    answerable: bool = True
    history: Sequence[Message] = ()
    as_of: str | None = None
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case got.

    Attributes:
        passages: the first ten, best first, each text once.
        rank: place of the first right one among them, from 1; None when it is not there.
        support: how well the store supports an answer, 0..1.
        refused: whether the question would have been refused.
        ms: milliseconds that looking it up took.
    """

    case: Case
    passages: Sequence[Passage]
    rank: int | None
    support: float
    refused: bool
    ms: float

    @property
    def is_miss(self) -> bool:
        """Whether a right passage is not the first, or the question was refused or answered wrongly."""
        return self.refused == self.case.answerable or (self.case.answerable and self.rank != 1)

    @property
    def up_to_right(self) -> Sequence[Passage]:
        """The passages down to the first right one; of an unanswerable question, for which none is, the nearest."""
        return self.passages[: self.rank] if self.case.answerable else self.passages[:1]


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a store did, 0..1 each; None for what the cases do not tell.

    Attributes:
        recall_at_1: part of the answerable questions whose first passage is a right one.
        recall_at_5: the same for the first five.
        mrr_at_10: mean of 1 / rank over the answerable questions, 0 for those without a right passage among ten.
        answerable_auroc: chance that an answerable question has more support than an unanswerable one, ties half.
        refusal_precision: part of the refused questions that are unanswerable.
        refusal_recall: part of the unanswerable questions that were refused.
        latency_ms: milliseconds a question took, by percentile: "p50", "p95".
    """

    questions: int
    recall_at_1: float | None
    recall_at_5: float | None
    mrr_at_10: float | None
    answerable_auroc: float | None
    refusal_precision: float | None
    refusal_recall: float | None
    latency_ms: Mapping[str, float]


def read_cases(text: str, file: str, most_chars: int) -> list[Case]:
    """The cases in a file with a JSON object on each line.

    Args:
        file: what to call it in complaints.
        most_chars: longest question taken.

    Raises:
        EvaluationError: a line cannot be used, or there is none.
    """
    lines = enumerate(text.split("\n"), 1)
    cases = [_case(line, {"file": file, "line": number}, most_chars) for number, line in lines if line.strip()]
    if not cases:
        raise EvaluationError("{file} holds no questions: draft some with `persona eval --make 20`", file=file)
    return cases


def run(cases: Iterable[Case], retriever: Retriever, refuse_below: float) -> Iterator[Outcome]:
    """Look up each case; the first is looked up twice, since it also waits for the store to be opened.

    Args:
        refuse_below: support under which a question is refused.

    Raises:
        PersonaError: the store or the embedding model cannot be used.
    """
    for number, case in enumerate(cases):
        if number == 0:
            _look_up(case, retriever)
        start = time.perf_counter()
        passages, found_support = _look_up(case, retriever)
        ms = 1e3 * (time.perf_counter() - start)
        refused = found_support < refuse_below or not passages
        yield Outcome(case, distinct(passages)[:DEPTH], rank(case, passages), found_support, refused, ms)


def _look_up(case: Case, retriever: Retriever) -> tuple[Sequence[Passage], float]:
    """The passages nearest to a question, and how well they support an answer, just as an answer is made from them."""
    if kind_of(case.question) not in (None, "who"):
        return (), 0.0
    found = retriever.retrieve(case.question, TWINS * DEPTH, after=last_question(case.history), as_of=case.as_of)
    return found.passages, found.support


def rank(case: Case, passages: Sequence[Passage]) -> int | None:
    """Place of the first right passage, from 1; None when it is not among the first ten.

    The same words take one place however many documents they stand in, as they do in an answer.
    """
    places: dict[str, int] = {}
    for passage in passages:
        places.setdefault(passage.stored.chunk.whole, len(places) + 1)
    right = [places[passage.stored.chunk.whole] for passage in passages if is_right(case, passage)]
    best = min(right, default=DEPTH + 1)
    return best if best <= DEPTH else None


def is_right(case: Case, passage: Passage) -> bool:
    """Whether a passage is from one of the sources of an answerable case and holds one of its texts."""
    source = unicodedata.normalize("NFC", passage.stored.source)
    text = fold(passage.stored.chunk.whole)
    return (
        case.answerable
        and (not case.sources or source.endswith(tuple(case.sources)))
        and (not case.contains or any(part in text for part in case.contains))
    )


def fold(text: str) -> str:
    """The text in NFC with each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def measure(outcomes: Sequence[Outcome]) -> Figures:
    """The figures of at least one outcome, to four decimals, and its times to a tenth of a millisecond."""
    answerable = [o for o in outcomes if o.case.answerable]
    unanswerable = [o for o in outcomes if not o.case.answerable]
    ranks = [o.rank or np.inf for o in answerable]
    p50, p95 = np.percentile([o.ms for o in outcomes], [50, 95])
    return Figures(
        questions=len(outcomes),
        recall_at_1=_mean(r <= 1 for r in ranks),
        recall_at_5=_mean(r <= 5 for r in ranks),
        mrr_at_10=_mean(1 / r for r in ranks),
        answerable_auroc=auroc([o.support for o in answerable], [o.support for o in unanswerable]),
        refusal_precision=_mean(not o.case.answerable for o in outcomes if o.refused),
        refusal_recall=_mean(o.refused for o in unanswerable),
        latency_ms={"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
    )


def refused_share(outcomes: Iterable[Outcome]) -> float | None:
    """Part of the answerable questions that were refused; None when there are none."""
    return _mean(o.refused for o in outcomes if o.case.answerable)


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Chance that a positive value is above a negative one, ties half; None when either side is empty.

    Source: Mann & Whitney 1947, https://doi.org/10.1214/aoms/1177730491.
    """
    if not positive or not negative:
        return None
    below = np.sort(negative)
    wins = np.searchsorted(below, positive, "left") + np.searchsorted(below, positive, "right")
    return round(float(wins.mean()) / (2 * len(below)), 4)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else None


def _case(text: str, where: Mapping[str, Any], most_chars: int) -> Case:
    value = _object(text, where)
    question = value.get("question")
    question = clean(question).strip() if isinstance(question, str) else ""
    if not question:
        raise EvaluationError('{file}, line {line}: "question" must be a text that is not empty', **where)
    if len(question) > most_chars:
        raise EvaluationError(
            "{file}, line {line}: the question has {chars} characters, at most {most} are taken: shorten it",
            **where,
            chars=len(question),
            most=most_chars,
        )
    sources, contains = (_texts(value, key, where) for key in ("source", "contains"))
    answerable = value.get("answerable", True)
    if not isinstance(answerable, bool):
        raise EvaluationError('{file}, line {line}: "answerable" must be true or false', **where)
    if answerable and not sources and not contains:
        raise EvaluationError(
            '{file}, line {line}: nothing tells which passage is right: give "source" or "contains", or "answerable":'
            " false",
            **where,
        )
    return Case(
        question,
        where["line"],
        sources,
        [fold(part) for part in contains],
        answerable,
        _history(value, where),
        _as_of(value, where),
        is_draft=value.get("draft") is True,
    )


def _object(text: str, where: Mapping[str, Any]) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_int=float)  # an int may have too many digits for Python
    except json.JSONDecodeError as error:
        raise EvaluationError(
            "{file}, line {line}: not valid JSON at column {column} ({reason}): write one object on each line",
            **where,
            column=error.colno,
            reason=error.msg,
        ) from error
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise EvaluationError('{file}, line {line}: not a JSON object with a "question" in it', **where)
    return value


def _texts(value: Mapping[str, Any], key: str, where: Mapping[str, Any]) -> list[str]:
    given = value.get(key) or []
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) and clean(text).strip() for text in texts):
        raise EvaluationError(
            "{file}, line {line}: {key!r} must be a text or a list of texts, none of them empty", **where, key=key
        )
    return [clean(text).strip() for text in texts]


def _history(value: Mapping[str, Any], where: Mapping[str, Any]) -> list[Message]:
    given = value.get("history") or []
    if not isinstance(given, list) or not all(map(_is_message, given)):
        raise EvaluationError(
            '{file}, line {line}: "history" must be a list of messages, each with a "role", user or assistant, and a'
            ' "content"',
            **where,
        )
    return [{"role": message["role"], "content": clean(message["content"])} for message in given]


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


def _as_of(value: Mapping[str, Any], where: Mapping[str, Any]) -> str | None:
    given = value.get("as_of")
    as_of = parse_date(given) if isinstance(given, str) else None
    if given is not None and as_of is None:
        raise EvaluationError('{file}, line {line}: "as_of" must be a date such as "2024-01-31"', **where)
    return as_of
