"""Dialogues → the person's own words: each stretch of them with what it answers, and no more of what others said."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from persona_cli.models import Dialogue, Segment, Turn

JOIN_GAP = timedelta(minutes=5)
"""Messages of one speaker that follow each other within this are one stretch."""
JOIN_CHARS = 1_000
"""Messages are no longer joined when a stretch has become this long; it is all one talk, but no longer one thought."""
CONTEXT_GAP = timedelta(hours=1)
"""What others said longer ago than this is not what the person answers."""
CONTEXT_CHARS = 500
"""Of a long context its end is kept: a question comes last."""
INTERVIEWERS = frozenset(
    (
        *("q", "question", "interviewer", "host", "moderator", "presenter", "reporter", "journalist", "anchor"),
        *("editor", "mc", "질문", "질문자", "진행", "진행자", "인터뷰어", "기자", "사회자", "앵커", "아나운서"),
        *("리포터", "에디터", "편집자", "엠씨"),
    )
)
"""Speakers who are never the person a file is about."""


def count_speakers(dialogue: Dialogue) -> Counter[str]:
    """How many turns each speaker has, by the name the file gives them."""
    return Counter(turn.speaker for turn in dialogue.turns)


def fold_name(name: str) -> str:
    """A name in the form in which names are compared: case, white space and Unicode form make no difference."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split()).lstrip("@~")


def person_in(dialogue: Dialogue, names: Sequence[str]) -> frozenset[str] | None:
    """The folded names of the person in a dialogue.

    Args:
        names: what the person goes by; without any, whoever is the only one beside an interviewer is the person.

    Returns:
        Empty when the person does not speak in it; None when nothing tells who of several the person is.
    """
    present = {fold_name(turn.speaker) for turn in dialogue.turns}
    if names:
        return frozenset(present & {fold_name(name) for name in names})
    others = frozenset(present - INTERVIEWERS) or frozenset(present)
    return others if len(others) == 1 else None


def words_of(dialogue: Dialogue, person: frozenset[str], called: str | None = None) -> list[Segment]:
    """What the person said, in order, each stretch with the words of others that it answers as its question.

    Args:
        person: folded names of the person.
        called: the speaker's name in what is kept; None keeps the one in the file.
    """
    said: list[Segment] = []
    context: list[Turn] = []
    for stretch in _stretches(dialogue.turns):
        if fold_name(stretch[0].speaker) in person:
            said.append(_segment(stretch, _answered(stretch, context, person), dialogue, called))
            context = []
        else:
            context += stretch
    return said


def _stretches(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """Turns of one speaker that belong together."""
    for _, of_one in groupby(turns, key=lambda turn: fold_name(turn.speaker)):
        stretch: list[Turn] = []
        for turn in of_one:
            if stretch and not _go_on(stretch, turn):
                yield stretch
                stretch = []
            stretch.append(turn)
        yield stretch


def _go_on(stretch: Sequence[Turn], turn: Turn) -> bool:
    if turn.replies_to:
        return False
    if turn.date is None:
        return True  # a transcript: its paragraphs are one answer
    return sum(len(t.text) for t in stretch) < JOIN_CHARS and _gap(stretch[-1], turn) <= JOIN_GAP


def _answered(stretch: Sequence[Turn], context: Sequence[Turn], person: frozenset[str]) -> list[Turn]:
    """What others said just before, or what the stretch replies to."""
    if stretch[0].replies_to:
        return [Turn("", stretch[0].replies_to, stretch[0].first, stretch[0].first)]
    near: list[Turn] = []
    room = CONTEXT_CHARS
    for turn in reversed(context):
        if room <= 0 or _gap(turn, near[-1] if near else stretch[0]) > CONTEXT_GAP:
            break
        near.append(turn)
        room -= len(turn.text)
    return near[::-1]


def _segment(stretch: Sequence[Turn], answered: Sequence[Turn], dialogue: Dialogue, called: str | None) -> Segment:
    question = " ".join(" ".join(turn.text.split()) for turn in answered)[-CONTEXT_CHARS:].strip()
    marks = [(0, answered[0].first)] if answered else []
    text = ""
    for turn in stretch:
        text += "\n" if text else ""
        marks += [(len(text) + offset, label) for offset, label in _labels(turn, dialogue.unit)]
        text += turn.text
    return Segment(
        text,
        question=question or None,
        unit=dialogue.unit,
        marks=marks,
        heading=dialogue.title,
        speaker=called or stretch[0].speaker,
        date=stretch[0].date,
    )


def _labels(turn: Turn, unit: str) -> Iterator[tuple[int, str]]:
    """Where the places of a turn begin in its text; a turn of several lines of a file has those lines."""
    yield 0, turn.first
    if turn.last == turn.first:
        return
    if unit != "line":
        yield max(len(turn.text) - 1, 0), turn.last
        return
    for number, newline in enumerate(re.finditer("\n", turn.text), int(turn.first) + 1):
        yield newline.end(), str(number)


def _gap(earlier: Turn, later: Turn) -> timedelta:
    """Time between two turns; none when either is not dated, or only to the day."""
    if not earlier.date or not later.date:
        return timedelta(0)
    first, second = datetime.fromisoformat(earlier.date), datetime.fromisoformat(later.date)
    if (first.tzinfo is None) != (second.tzinfo is None):
        first, second = first.replace(tzinfo=None), second.replace(tzinfo=None)
    return abs(second - first)
