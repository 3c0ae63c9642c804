"""Quoting: an answer in the recorded words alone, when no language model is there to make one."""

from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len

from persona_cli.grounding import is_same_question, script_of
from persona_cli.lexical import tokenize
from persona_cli.models import Chunk, Embedder, Passage, Vector
from persona_cli.sentences import piece_spans, split_sentences

MAX_SENTENCES = 40
"""Sentences of a passage that are embedded to be compared, where that was not done when it was ingested."""
QUOTE_COLUMNS = 360
"""Longest quotation from prose, in columns of a terminal: a Hangul syllable takes two."""
MARGIN = 2.0
"""How far below the best sentence, in standard deviations of similarity, its neighbours may be to be quoted too. On
400 questions of KorQuAD and 300 each of XQuAD en and zh, with a spread of 0.03, the quotation from the right paragraph
holds the answer to 84, 86 and 91 % of them; with 1.0 it was 82, 85 and 86 %, in 7, 4 and 17 % fewer columns."""
SAME_WORDING = 0.8
"""Dice coefficient of the tokens of two recorded questions from which they are one, asked twice."""
TOKEN_WEIGHT = 4.0
"""Standard deviations that holding all of the question's tokens is worth within a passage."""


def quote(
    question: str, vector: Vector, passage: Passage, embedder: Embedder, spread: float, api_key: str | None = None
) -> str:
    """The recorded answer of a pair, or the sentences of a prose passage that answer the question.

    Args:
        vector: the question's, `(d,)`.
        spread: standard deviation of the question's similarity over the store, above 0.
        api_key: the caller's own key for the embedding model, if there is one.

    Raises:
        ModelError: the embedding model failed.
    """
    chunk = passage.stored.chunk
    if chunk.question:
        return chunk.text
    spans = piece_spans(chunk.text)
    if len(spans) < 2:
        return chunk.text
    stored = len(passage.pieces) == len(spans)
    spans = spans if stored else spans[:MAX_SENTENCES]
    sentences = [chunk.text[start:end] for start, end in spans]
    similarities = np.array(passage.pieces) if stored else embedder.embed_texts(sentences, api_key) @ vector
    asked = set(tokenize(question))
    held = np.array([len(asked & set(tokenize(s))) / max(len(asked), 1) for s in sentences])
    first, last = best_run(similarities / spread + TOKEN_WEIGHT * held, [cell_len(s) for s in sentences])
    return chunk.text[spans[first][0] : spans[last][1]]


def versions(passages: Sequence[Passage]) -> list[Passage]:
    """The best passage with those that answer the same recorded question on another date, the newest first."""
    best = passages[0]
    chunk = best.stored.chunk
    if not (chunk.question and chunk.date):
        return [best]
    found = {chunk.date: best}
    for passage in passages[1:]:
        other = passage.stored.chunk
        if (
            other.question
            and other.date
            and other.text != chunk.text
            and is_same_question(chunk.question, other.question, least=SAME_WORDING)
        ):
            found.setdefault(other.date, passage)
    return [found[date] for date in sorted(found, reverse=True)]


def retell(question: str, newest: str, told: Sequence[Passage]) -> str:
    """The newest of several answers, with when each was given, in the question's language.

    Args:
        told: the passages, newest first.
    """
    if len(told) < 2:
        return newest
    (date, _), *older = [((passage.stored.chunk.date or "")[:10], passage.stored.chunk.text) for passage in told]
    if script_of(question) == "hangul":
        before = " ".join(f"{day}에는 이렇게 말했어요: “{text}”" for day, text in older)
        return f"{newest}\n\n({date}에 한 이야기예요. {before})"
    before = " ".join(f"On {day}: “{text}”" for day, text in older)
    return f"{newest}\n\n(Said on {date}. {before})"


def best_run(scores: Sequence[float] | np.ndarray, lengths: Sequence[int]) -> tuple[int, int]:
    """First and last of the run of sentences around the best one that score nearly as well and fit a quotation.

    Args:
        scores: of each sentence, in standard deviations.
        lengths: of each sentence, in columns.
    """
    first = last = int(np.argmax(scores))
    least, room = scores[first] - MARGIN, QUOTE_COLUMNS - lengths[first]
    grown = True
    while grown:
        grown = False
        for at in (last + 1, first - 1):
            if 0 <= at < len(scores) and scores[at] >= least and lengths[at] <= room:
                first, last, room, grown = min(first, at), max(last, at), room - lengths[at], True
    return first, last


def nearest_words(chunk: Chunk) -> str:
    """What to name of a passage that does not quite answer: its recorded question, or its first sentence.

    In a dialogue what was asked is somebody else's words, and not to be told as the person's.
    """
    asked = None if chunk.speaker else chunk.question
    return asked or next(iter(split_sentences(chunk.text)), chunk.text)
