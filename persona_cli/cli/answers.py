"""How an answer is shown beside its text: what to know about it, and where it is from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.models import Answer, Source


def notes(answer: "Answer") -> Iterator[str]:
    """What the reader should know about the answer, a line each."""
    yield from filter(None, (answer.notice, answer.disclosure))


def doubts(answer: "Answer") -> str:
    """A line that names what no passage bears out; empty when there is nothing of that kind."""
    return say("no passage says: {spans}", spans=", ".join(answer.unsupported)) if answer.unsupported else ""


def about(source: "Source") -> str:
    """Where a passage is from, who said it and when: "chat.txt · lines 3-5 · Minji · 2024-03-05"."""
    date = (source.date or "").replace("T", " ")[:16]  # to the minute
    told = " · ".join(filter(None, (source.source, source.locator, source.speaker, date)))
    return " ".join(told.split())  # a speaker's name in a JSON file may have lines


def gist(source: "Source", output: str) -> str:
    """What the passage says, on one line; in a dialogue its text begins with what somebody else said."""
    is_quoted = source.speaker and source.text.endswith(output)
    return " ".join((output if is_quoted else source.text).split())
