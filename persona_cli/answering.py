"""One question on its way to its answer: what is known of it, and the ways to answer that need no language model."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from persona_cli import phrases
from persona_cli.claims import unsupported
from persona_cli.conversation import is_telling
from persona_cli.grounding import is_same_question
from persona_cli.loading.decoding import clean
from persona_cli.models import (
    Answer,
    Candidate,
    ChatModel,
    Embedder,
    Explanation,
    Message,
    Mode,
    Passage,
    Source,
    Usage,
)
from persona_cli.phrases import Register
from persona_cli.prompts import Talk
from persona_cli.quoting import nearest_words, quote, retell, versions
from persona_cli.retrieval import Retrieval, distinct
from persona_cli.smalltalk import Kind

NEAR_MISS_SUPPORT = 0.15
"""Support from which a refusal offers the nearest thing that was said."""


class Reply:
    """What a language model answers, as far as it has come."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.usage: Usage | None = None

    @property
    def text(self) -> str:
        """What has come of it."""
        return "".join(self.pieces).strip()

    async def take(self, model: ChatModel, messages: Sequence[Message], turn: "Turn") -> AsyncGenerator[str]:
        """The pieces as they come. Raises: ModelError."""
        stream = model.stream(messages, turn.api_key)
        async with aclosing(stream):
            async for piece in stream:
                if isinstance(piece, Usage):
                    self.usage = piece
                elif text := clean(piece):
                    self.pieces.append(text)
                    turn.speak()
                    yield text


@dataclass(slots=True)
class Turn:
    """One question on its way to its answer.

    Attributes:
        asked: the question as it was looked up, made whole where it went on from another.
        start: when it came, by `time.perf_counter`.
        passages: what it is to be answered from, best first; none where the conversation answers it.
        is_supported: whether the store supports an answer.
        register: in which the bot says what is nobody's recorded words.
        address: what the person calls the one who asks.
    """

    question: str
    asked: str
    found: Retrieval
    passages: Sequence[Passage]
    is_supported: bool
    embedder: Embedder
    start: float
    threshold: float
    api_key: str | None = None
    talk: Talk = field(default_factory=Talk)
    register: Register = "haeyo"
    address: str = ""
    explain: bool = False
    spoke_ms: float | None = None

    @property
    def is_talk(self) -> bool:
        """Whether what was said in the conversation answers it, or it is something to be noted there."""
        return is_telling(self.question) or bool(self.talk.told)

    @property
    def is_recorded(self) -> bool:
        """Whether the question is the one that the best passage answers."""
        best = self.passages[0]
        recorded = best.stored.chunk.question
        return recorded is not None and is_same_question(self.asked, recorded, best.asked)

    @property
    def was_asked(self) -> bool:
        """Whether somebody asked the person that very question, also where it was not taken for one."""
        asked, said = ("".join(text.split()).casefold() for text in (self.asked, self.passages[0].stored.chunk.whole))
        return self.is_recorded or asked in said

    def made_up(self, output: str, passages: Sequence[Passage]) -> list[str]:
        """Numbers, dates, names and quotations of an answer that neither passages nor conversation hold."""
        chunks = [passage.stored.chunk for passage in passages]
        evidence = [part for c in chunks for part in (c.whole, c.date, c.speaker) if part]
        said = (*self.talk.recalled, *self.talk.history)
        evidence += [self.question, self.talk.summary, *(message["content"] for message in said)]
        return list(dict.fromkeys(output[start:end] for start, end in unsupported(output, evidence)))

    def speak(self) -> None:
        """Note when the first piece of the answer came."""
        if self.spoke_ms is None:
            self.spoke_ms = 1e3 * (time.perf_counter() - self.start)

    def answer(
        self, output: str, mode: Mode, passages: Sequence[Passage], prompt: Sequence[Message] = (), **more: Any
    ) -> Answer:
        """The finished answer."""
        self.speak()
        total_ms = 1e3 * (time.perf_counter() - self.start)
        timings_ms = {**self.found.timings_ms, "first_token": self.spoke_ms or 0.0, "total": total_ms}
        return Answer(
            output=output,
            mode=mode,
            answerable=more.pop("answerable", mode != "refused"),
            support=round(self.found.support, 4),
            sources=[_source(n, passage) for n, passage in enumerate(passages, 1)],
            timings_ms={name: round(ms, 1) for name, ms in timings_ms.items()},
            explanation=self._explanation(prompt) if self.explain else None,
            **more,
        )

    def _explanation(self, prompt: Sequence[Message]) -> Explanation:
        found = self.found
        candidates = [_candidate(passage) for passage in distinct(found.passages)]
        return Explanation(found.readings, round(found.support, 4), self.threshold, candidates, prompt)


async def quoted(turn: Turn, notice: str | None = None) -> AsyncGenerator[str | Answer]:
    """In the recorded words themselves."""
    told = versions(turn.passages)
    found = turn.found
    newest = await asyncio.to_thread(
        quote, turn.question, found.vector, told[0], turn.embedder, found.spread, turn.api_key
    )
    output = retell(turn.question, newest, told)
    turn.speak()
    yield output
    yield turn.answer(output, "quoted", told, notice=notice)


async def refused(turn: Turn) -> AsyncGenerator[str | Answer]:
    """That the person never spoke about it, with the nearest thing they did say."""
    near = turn.passages[:1] if turn.found.support >= NEAR_MISS_SUPPORT else []
    nearest = nearest_words(near[0].stored.chunk) if near else None
    output = phrases.refusal(turn.question, nearest, turn.register, turn.address)
    turn.speak()
    yield output
    yield turn.answer(output, "refused", near)


async def told(turn: Turn, notice: str | None = None) -> AsyncGenerator[str | Answer]:
    """What the other side said in the conversation, told back or noted."""
    before = turn.talk.told
    output = (
        phrases.told_before(turn.question, before, turn.register)
        if before
        else phrases.noted(turn.question, turn.register)
    )
    turn.speak()
    yield output
    yield turn.answer(output, "generated", [], answerable=bool(before), notice=notice)


async def introduced(turn: Turn, name: str, description: str) -> AsyncGenerator[str | Answer]:
    """Who the person is, as far as the profile says."""
    output = f"{phrases.small_talk('who', turn.question, name or None, turn.register)} {description}".strip()
    turn.speak()
    yield output
    yield turn.answer(output, "generated", [], answerable=bool(description))


def said_at_once(output: str, mode: Mode, start: float) -> Answer:
    """What is said without looking anything up."""
    total_ms = round(1e3 * (time.perf_counter() - start), 1)
    timings_ms = {"embed": 0.0, "search": 0.0, "first_token": total_ms, "total": total_ms}
    return Answer(output, mode=mode, answerable=False, support=0.0, timings_ms=timings_ms)


def small_talk(kind: Kind, question: str, name: str, register: Register, greeting: str, start: float) -> Answer:
    """What to say to what is no question to the person."""
    own = greeting if kind == "greeting" else ""
    return said_at_once(own or phrases.small_talk(kind, question, name or None, register), "generated", start)


def _candidate(passage: Passage) -> Candidate:
    stored = passage.stored
    figures = (passage.similarity, passage.asked, passage.share, passage.score, passage.support)
    return Candidate(stored.source, stored.chunk.locator, stored.chunk.whole, *(round(value, 4) for value in figures))


def _source(n: int, passage: Passage) -> Source:
    stored, chunk = passage.stored, passage.stored.chunk
    return Source(n, stored.source, chunk.locator, chunk.speaker, chunk.date, chunk.whole, round(passage.score, 4))
