"""Sentences of a text in Korean, English, Chinese or Japanese, and the pieces of it that are embedded."""

import re
from collections.abc import Iterator
from itertools import chain

from rich.cells import cell_len

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
PIECE_COLUMNS = 24
"""A shorter sentence is embedded together with the next one: alone it says too little."""


def split_sentences(text: str) -> list[str]:
    """Sentences and lines of a text, none of them empty."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
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


def piece_spans(text: str) -> list[tuple[int, int]]:
    """Where the pieces of a passage of prose start and end: its sentences, the shortest joined to their neighbours."""
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if spans and cell_len(text[slice(*spans[-1])]) < PIECE_COLUMNS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    if len(spans) > 1 and cell_len(text[slice(*spans[-1])]) < PIECE_COLUMNS:
        (_, end), spans = spans[-1], spans[:-1]
        spans[-1] = (spans[-1][0], end)
    return spans or [(0, len(text))]


def split_pieces(text: str) -> list[str]:
    """What is embedded of a passage of prose, each for itself; at least one."""
    return [text[start:end] for start, end in piece_spans(text)]
