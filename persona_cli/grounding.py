"""Grounding: whether the store supports an answer, from what retrieval measured."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Script = Literal["hangul", "han", "other"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression of whether the store answers a question.

    Attributes:
        similarity: weight of the highest cosine similarity.
        share: weight of the highest idf share.
        bias: by the question's script; the model puts texts of some languages nearer together than those of others.
    """

    similarity: float
    share: float
    bias: Mapping[Script, float]


CALIBRATIONS = {"local": Calibration(127.9, 8.3, {"hangul": -111.1, "han": -113.7, "other": -108.5})}
"""By embedding model; fitted by `benchmarks/support.py`."""
UNMEASURED = Calibration(15.0, 6.0, {"hangul": -7.0, "han": -7.0, "other": -7.0})
"""For models that were not measured: a guess from the usual range of OpenAI's."""

HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
HAN_OR_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def support(question: str, similarity: float, share: float, embedding: str) -> float:
    """How well the store supports an answer to the question, as a probability.

    Args:
        similarity: highest cosine similarity of the question with a chunk or its recorded question.
        share: highest share of the question's idf mass that a chunk holds, 0..1.
        embedding: the store's embedding model.

    Returns:
        0..1; 0.5 where answerable and unanswerable questions were equally frequent.
    """
    fitted = CALIBRATIONS.get(embedding, UNMEASURED)
    logit = fitted.similarity * similarity + fitted.share * share + fitted.bias[script_of(question)]
    return 1 / (1 + math.exp(-logit))


def script_of(text: str) -> Script:
    """The script that tells a text's language: Hangul before Han and kana before all others."""
    if HANGUL.search(text):
        return "hangul"
    return "han" if HAN_OR_KANA.search(text) else "other"


def refuse(question: str, nearest: str | None) -> str:
    """What to say when the store does not support an answer, in the question's language.

    Args:
        nearest: the nearest thing that was said, to offer instead.
    """
    if script_of(question) == "hangul":
        offer = f" 비슷한 이야기라면 이런 게 있어요: {nearest}" if nearest else ""
        return f"그건 제가 아직 이야기한 적이 없어요.{offer}"
    offer = f" The nearest I have come to it: {nearest}" if nearest else ""
    return f"I have not talked about that.{offer}"
