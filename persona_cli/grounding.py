"""Grounding: whether the store supports an answer, from what retrieval measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from persona_cli.lexical import tokenize
from persona_cli.models import Passage

Script = Literal["hangul", "han", "other"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression of whether the store answers a question.

    Attributes:
        similarity: weight of the highest cosine similarity.
        share: weight of the highest idf share.
        crossing: added when the nearest passage is in another script: texts of two languages are less alike.
        bias: by the question's script; the model puts texts of some languages nearer together than those of others.
    """

    similarity: float
    share: float
    crossing: float
    bias: Mapping[Script, float]


CALIBRATIONS = {"local": Calibration(53.1, 0.48, 2.73, {"hangul": -46.2, "han": -47.5, "other": -45.0})}
"""By embedding model; fitted by `benchmarks/support.py`."""
UNMEASURED = Calibration(15.0, 6.0, 0.0, {"hangul": -7.0, "han": -7.0, "other": -7.0})
"""For models that were not measured: a guess from the usual range of OpenAI's."""

SAME_SIMILARITY, SAME_TOKENS = 0.94, 0.45
"""Cosine, and Dice coefficient of the tokens, from which two questions are the same; benchmarks/support.py."""

TOLD_SHARE, SOURCE_SHARE = 0.4, 0.5
"""Part of an answer's tokens that one passage holds from which it tells where the answer is from, and part of those
that another one has to hold to be a source as well."""

HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
HAN_OR_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def support(question: str, similarity: float, share: float, embedding: str, passage: str | None = None) -> float:
    """How well the store supports an answer to the question, as a probability.

    Args:
        similarity: highest cosine similarity of the question with a chunk or its recorded question.
        share: highest share of the question's idf mass that a chunk holds, 0..1.
        embedding: the store's embedding model.
        passage: text of the nearest one; None for one in the question's own script.

    Returns:
        0..1; 0.5 where answerable and unanswerable questions were equally frequent.
    """
    fitted = CALIBRATIONS.get(embedding, UNMEASURED)
    script = script_of(question)
    logit = fitted.similarity * similarity + fitted.share * share + fitted.bias[script]
    if passage is not None and script_of(passage) != script:
        logit += fitted.crossing
    return 1 / (1 + math.exp(-logit))


def script_of(text: str) -> Script:
    """The script that tells a text's language: Hangul before Han and kana before all others."""
    if HANGUL.search(text):
        return "hangul"
    return "han" if HAN_OR_KANA.search(text) else "other"


def bearing_out(output: str, passages: Sequence[Passage]) -> list[Passage]:
    """Those of the passages that a generated answer was made from, as far as its words tell.

    All of them where they do not: an answer in other words than any passage, or in another language.
    """
    said = set(tokenize(output))
    held = [len(said & set(tokenize(passage.stored.chunk.whole))) for passage in passages]
    most = max(held, default=0)
    if most < TOLD_SHARE * len(said):
        return list(passages)
    return [passage for passage, shared in zip(passages, held, strict=True) if shared >= SOURCE_SHARE * most]


def is_same_question(asked: str, recorded: str, similarity: float = 1.0, least: float = SAME_TOKENS) -> bool:
    """Whether a question asks the very thing that a recorded one does, so that its recorded answer serves as it stands.

    The two have to be near in meaning, to share most of their tokens and to name the same numbers: "새벽컵 용량" is as
    near to "새벽컵 가격" as any paraphrase.

    Args:
        similarity: cosine of the two.
        least: Dice coefficient of their tokens from which they are the same.
    """
    ours, theirs = set(tokenize(asked)), set(tokenize(recorded))
    shared = 2 * len(ours & theirs) / max(len(ours) + len(theirs), 1)
    if ours == theirs:
        return bool(ours)
    return similarity >= SAME_SIMILARITY and shared >= least and _numbers(asked) == _numbers(recorded)


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+", text))
