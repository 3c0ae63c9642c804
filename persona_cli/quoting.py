"""Quoting: an answer in the recorded words alone, when no language model is there to make one."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
from rich.cells import cell_len

from persona_cli.lexical import tokenize
from persona_cli.models import Chunk, Embedder, Passage, Vector

SENTENCE_END = re.compile(r"""(?P<marks>[.!?…。！？]+)(?P<closed>["'”’)\]」』》）]*)(?P<space>\s*)|\n+""")
UNSPACED_END = re.compile("[。！？]")
"""Marks that end a sentence without a space after them."""
TELLS_ON = re.compile(r"[a-z]|이?라고|이?라는|이?라며|이?라면|하고|하며|하는|했|고 |는 ")
"""How a sentence goes on after speech that it quotes."""
ABBREVIATION = re.compile(r"(?<![\w.])(?:Mr|Mrs|Ms|Mx|Dr|Prof|Rev|St|Mt|vs|cf|(?:[A-Za-z]\.)+[A-Za-z]|[A-HJ-Z])$")
BEFORE_NUMBER = re.compile(r"(?:\d|(?<!\w)(?:Nos?|Figs?|Vol|Ch|Sec|Art|pp?))$", re.IGNORECASE)
DATE = re.compile(r"\d{4}\.\s?\d{1,2}(?:\.\s?\d{1,2})?$")
LIST_ITEM = re.compile(r"[-*+•·>#|]|\d+[.)]")
LOOK_BACK = 16
"""Characters before a full stop that tell what it is."""
WRAP_COLUMNS = 60
"""A line at least this wide was broken by its width, not because something ended there."""
MAX_SENTENCES = 40
"""Sentences of a passage that are looked at; a chunk seldom has more."""
QUOTE_COLUMNS = 360
"""Longest quotation from prose, in columns of a terminal: a Hangul syllable takes two."""
MARGIN = 2.0
"""How far below the best sentence, in standard deviations of similarity, its neighbours may be to be quoted too. On
400 questions of KorQuAD and 300 each of XQuAD en and zh, with a spread of 0.03, the quotation from the right paragraph
holds the answer to 84, 86 and 91 % of them; with 1.0 it was 82, 85 and 86 %, in 7, 4 and 17 % fewer columns."""
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
    spans = list(islice(_spans(chunk.text), MAX_SENTENCES))
    if len(spans) < 2:
        return chunk.text
    sentences = [chunk.text[start:end] for start, end in spans]
    similarities = embedder.embed_texts(sentences, api_key) @ vector
    asked = set(tokenize(question))
    held = np.array([len(asked & set(tokenize(s))) / max(len(asked), 1) for s in sentences])
    first, last = best_run(similarities / spread + TOKEN_WEIGHT * held, [cell_len(s) for s in sentences])
    return chunk.text[spans[first][0] : spans[last][1]]


def split_sentences(text: str) -> list[str]:
    """Sentences and lines of a text, none of them empty."""
    return [text[start:end] for start, end in _spans(text)]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence starts and ends, without the space around it."""
    start = 0
    for match in chain(SENTENCE_END.finditer(text), [None]):
        if match and not _ends_sentence(text, start, match):
            continue
        end = match.end() if match else len(text)
        part = text[start:end]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
        start = end


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends where there are marks or a new line."""
    after = text[match.end() : match.end() + LOOK_BACK]
    marks, closed, space = match["marks"], match["closed"], match["space"]
    if marks is None:
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        return len(match[0]) > 1 or cell_len(line) < WRAP_COLUMNS or bool(LIST_ITEM.match(after))
    if not (space or UNSPACED_END.search(marks)):
        return False
    if closed:
        return not TELLS_ON.match(after)
    if marks != ".":
        return True
    before = text[max(start, match.start() - LOOK_BACK) : match.start()]
    is_item_number = text[start : match.start()].strip().isdecimal()
    is_before_number = after[:1].isdecimal() and BEFORE_NUMBER.search(before)
    return not (is_item_number or is_before_number or ABBREVIATION.search(before) or DATE.search(before))


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
