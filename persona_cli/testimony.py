"""Dialogues → the person's own words: each stretch of them with what it answers, and no more of what others said."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
_SENTENCES = re.compile(r"(?<=[.!?…。！？])\s+|\n")
_ASKS = re.compile(r"[?？][^\w\s]*$")
INTERVIEWERS = frozenset(
    (
        *("?", "q", "question", "interviewer", "host", "moderator", "presenter", "reporter", "journalist", "anchor"),
        *("editor", "mc", "질문", "질문자", "진행", "진행자", "인터뷰어", "기자", "사회자", "앵커", "아나운서"),
        *("리포터", "에디터", "편집자", "엠씨"),
    )
)
"""Speakers who are never the person a file is about."""
TITLES = frozenset(
    (
        "님",
        "씨",
        "대표",
        "대표님",
        "작가",
        "작가님",
        "교수",
        "교수님",
        "감독",
        "감독님",
        "선수",
        "배우",
        "박사",
        "의원",
        "원장",
        "선생님",
    )
)
"""What may follow the person's name in the transcript of an interview."""
ONESELF = "me"
"""The one speaker of a file that holds its owner's messages alone and does not tell their name."""


def count_speakers(dialogue: Dialogue) -> Counter[str]:
    """How many turns each speaker has, by the name the file gives them."""
    return Counter(turn.speaker for turn in dialogue.turns)


def fold_name(name: str) -> str:
    """A name in the form in which names are compared.

    Case, white space, Unicode form, marks of direction and the sign of a mention or of an unknown number make no
    difference.
    """
    seen = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return " ".join(seen.casefold().lstrip("@~ ").split())


def person_in(dialogue: Dialogue, names: Sequence[str]) -> frozenset[str] | None:
    """The folded names of the person in a dialogue.

    Args:
        names: what the person goes by; without any, whoever is the only one beside an interviewer is the person.

    Returns:
        Empty when the person does not speak in it; None when nothing tells who of several the person is.
    """
    present = {fold_name(speaker) for speaker in count_speakers(dialogue)}
    if names and present != {ONESELF}:
        own = [fold_name(name) for name in names]
        return frozenset(name for name in present for o in own if name == o or _is_titled(name, o))
    others = frozenset(present - INTERVIEWERS) or frozenset(present)
    return others if len(others) == 1 else None


def _is_titled(speaker: str, name: str) -> bool:
    """Whether a folded name is another with a title after it, "박서점 대표"."""
    return speaker.startswith(name) and speaker.removeprefix(name).strip() in TITLES


def words_of(dialogue: Dialogue, person: frozenset[str], called: str | None = None) -> list[Segment]:
    """What the person said, in order, each stretch with the words of others that it answers as its question.

    Args:
        person: folded names of the person.
        called: the speaker's name in what is kept; None keeps the one in the file.
    """
    said: list[Segment] = []
    context: list[Turn] = []
    for stretch in _stretches(dialogue.turns):
        if context and context[-1].chat != stretch[0].chat:
            context = []
        if fold_name(stretch[0].speaker) in person:
            said.append(_segment(stretch, _answered(stretch, context), dialogue, called))
            context = []
        else:
            context += stretch
    return said


def _stretches(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """Turns of one speaker that belong together."""
    for _, of_one in groupby(turns, key=lambda turn: (turn.chat, fold_name(turn.speaker))):
        stretch: list[Turn] = []
        chars = 0
        for turn in of_one:
            if stretch and not _goes_on(stretch[-1], turn, chars):
                yield stretch
                stretch, chars = [], 0
            stretch.append(turn)
            chars += len(turn.text)
        yield stretch


def _goes_on(last: Turn, turn: Turn, chars: int) -> bool:
    """Whether a turn belongs to the stretch of `chars` characters before it."""
    if turn.replies_to:
        return False
    if turn.date is None:
        return True  # a transcript: its paragraphs are one answer
    return chars < JOIN_CHARS and _gap(last, turn) <= JOIN_GAP


def _answered(stretch: Sequence[Turn], context: Sequence[Turn]) -> Turn | None:
    """What the stretch replies to, or the last that others asked just before, or else the last that they said.

    What they told beside it is left out: it is not the person's, and would find the person's words by others'.
    """
    if stretch[0].replies_to:
        return Turn("", stretch[0].replies_to, stretch[0].first, stretch[0].first)
    near: list[Turn] = []
    for turn in reversed(context):
        if _gap(turn, near[-1] if near else stretch[0]) > CONTEXT_GAP:
            break
        near.append(turn)
    asked: list[Turn] = []
    for turn in near:
        text = " ".join(sentence for sentence in _SENTENCES.split(turn.text) if _ASKS.search(sentence))
        if text and (not asked or turn.speaker == asked[-1].speaker):
            asked.append(replace(turn, text=text))
        elif asked:
            break
    if asked:
        return replace(asked[-1], text=" ".join(turn.text for turn in reversed(asked)))
    return near[0] if near else None


def _segment(stretch: Sequence[Turn], answered: Turn | None, dialogue: Dialogue, called: str | None) -> Segment:
    question = " ".join(answered.text.split())[-CONTEXT_CHARS:].strip() if answered else ""
    marks = [(0, answered.first)] if answered and question else []
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
        heading=" > ".join(filter(None, (dialogue.title, stretch[0].chat))) or None,
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
    """Time between two turns; none when either is not dated, and whole days when one is dated only to the day."""
    if not earlier.date or not later.date:
        return timedelta(0)
    day = len("2026-03-05")
    end = day if day in (len(earlier.date), len(later.date)) else None
    first, second = datetime.fromisoformat(earlier.date[:end]), datetime.fromisoformat(later.date[:end])
    if (first.tzinfo is None) != (second.tzinfo is None):
        first, second = first.replace(tzinfo=None), second.replace(tzinfo=None)
    return abs(second - first)
