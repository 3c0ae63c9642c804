"""The core: a question in, an answer in the person's words out. The command line and the server add nothing to it."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from pydantic import SecretStr

from persona_cli import assembly, prompts
from persona_cli.claims import unsupported
from persona_cli.errors import ModelBusy, ModelError, ModelUnavailable, QuestionError, SettingsError
from persona_cli.grounding import bearing_out, is_same_question, refuse
from persona_cli.language import say
from persona_cli.loading.dates import parse_date
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
from persona_cli.quoting import nearest_words, quote, retell, versions
from persona_cli.retrieval import Retrieval, Retriever, distinct, last_question
from persona_cli.settings import Settings, load_settings
from persona_cli.smalltalk import Kind, kind_of, reply

T = TypeVar("T")
SOURCE_SUPPORT = 0.5
"""Part of the threshold for refusal that a passage must reach by itself to be answered from."""
TWINS = 3
"""Passages looked up for each that is used, since the same words may stand in several documents."""
NEAR_MISS_SUPPORT = 0.1
"""Support from which a refusal offers the nearest thing that was said."""
MAX_REWRITTEN_CHARS = 500
"""A question that a model made longer than this is no question."""


class PersonaChatbot:
    """Talks with one person from one store.

    Args:
        api_key: key of the language model's endpoint; None takes the environment's.
        db_path: folder of the store, made by `persona ingest`; it may be made later than this object.
        settings: everything else; None reads the environment.
        retriever: what finds passages; None opens the store when the first question comes.
        model: the language model; None builds the one that is set.

    Raises:
        SettingsError: the environment holds a setting that cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        db_path: str | Path = "vector_store/",
        *,
        settings: Settings | None = None,
        retriever: Retriever | None = None,
        model: ChatModel | None = None,
    ) -> None:
        settings = settings or load_settings()
        own = {"db": Path(db_path), **({"openai_api_key": SecretStr(api_key)} if api_key else {})}
        self.settings = settings.model_copy(update=own)
        self._has_model = model is not None or self.settings.has_model
        self._model = model
        self._retriever = retriever
        self._opening = Lock()

    @property
    def has_store(self) -> bool:
        """Whether there is a store where this is to answer from."""
        return assembly.has_store(self.settings)

    def chat(self, prompt: str) -> str:
        """The answer's text."""
        return self.ask(prompt).output

    def ask(
        self,
        prompt: str,
        *,
        top_k: int | None = None,
        history: Sequence[Message] = (),
        as_of: str | None = None,
        explain: bool = False,
    ) -> Answer:
        """The whole answer with its sources; for the arguments see `stream`.

        Raises:
            PersonaError: the question, the store or a model cannot be used.
        """

        async def collect() -> Answer:
            try:
                async for part in self.stream(prompt, top_k=top_k, history=history, as_of=as_of, explain=explain):
                    if isinstance(part, Answer):
                        return part
                raise AssertionError("a stream ends with its answer")
            finally:
                await self.aclose()

        return _run(collect())

    async def stream(
        self,
        prompt: str,
        *,
        top_k: int | None = None,
        api_key: str | None = None,
        history: Sequence[Message] = (),
        as_of: str | None = None,
        explain: bool = False,
    ) -> AsyncGenerator[str | Answer]:
        """Pieces of the answer's text as they come, then the whole `Answer`, which is always last.

        Args:
            prompt: the question.
            top_k: passages to answer from; None takes the setting's.
            api_key: the caller's own key, used for this question and kept nowhere.
            history: what was said before, oldest first, which the question may go on from.
            as_of: a date; the answer is made from what is known to have been said by then.
            explain: tell in the answer how it came about.

        Raises:
            PersonaError: the question, the store or a model cannot be used.
        """
        start = time.perf_counter()
        question = self._question(prompt)
        day = _day(as_of)
        count = self.settings.top_k if top_k is None else top_k
        if count < 1:
            raise SettingsError(
                "{name} cannot be {value!r}: {why}", name="top_k", value=count, why="it is not positive"
            )
        retriever = await asyncio.to_thread(self.open)
        if kind := kind_of(question):
            talk = await asyncio.to_thread(_small_talk, kind, question, retriever, start)
            yield talk.output
            yield talk
            return
        asked, after = question, last_question(history)
        if after and (self._has_model or api_key):
            whole = await self._rewritten(question, history, api_key)
            asked, after = (whole, None) if whole else (question, after)
        found = await asyncio.to_thread(retriever.retrieve, asked, TWINS * count, api_key, after=after, as_of=day)
        ranked = distinct(found.passages)
        least = SOURCE_SUPPORT * self.settings.refuse_below
        supporting = [passage for passage in ranked if passage.support >= least][:count]
        turn = _Turn(
            question=question,
            found=found,
            passages=supporting or ranked[:1],
            embedder=retriever.embedder,
            start=start,
            threshold=self.settings.refuse_below,
            api_key=api_key,
            history=history,
            explain=explain,
        )
        if found.support < self.settings.refuse_below or not supporting:
            parts = _refused(turn)
        elif (self._has_model or api_key) and not (self.settings.verbatim and turn.is_recorded(asked)):
            parts = self._generated(turn)
        else:
            parts = _quoted(turn)
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def aclose(self) -> None:
        """Let go of the connections that the running event loop holds."""
        if self._model:
            await self._model.aclose()

    def _question(self, prompt: str) -> str:
        question = clean(prompt).strip()
        if not question:
            raise QuestionError("the question is empty: ask something")
        if len(question) > self.settings.max_question_chars:
            raise QuestionError(
                "the question has {chars} characters, at most {most} are taken: shorten it",
                chars=len(question),
                most=self.settings.max_question_chars,
            )
        return question

    def open(self) -> Retriever:
        """Open the store now, rather than with the first question. Raises: StoreError, PartMissing."""
        with self._opening:
            if self._retriever is None:
                self._retriever = assembly.build_retriever(assembly.open_store(self.settings), self.settings)
            elif not self._retriever.is_current():
                self._retriever = assembly.build_retriever(self._retriever.store, self.settings)
            return self._retriever

    def _language_model(self) -> ChatModel:
        with self._opening:
            if self._model is None:
                self._model = assembly.build_model(self.settings)
            return self._model

    async def _rewritten(self, question: str, history: Sequence[Message], api_key: str | None) -> str | None:
        """A question made whole by the language model; None when that failed."""
        try:
            model = await asyncio.to_thread(self._language_model)
            pieces: list[str] = []
            stream = model.stream(prompts.rewrite(question, history), api_key)
            async with aclosing(stream):
                async for piece in stream:
                    pieces += [piece] if isinstance(piece, str) else []
        except ModelError:  # the answer meets the same, and says so
            return None
        whole = " ".join("".join(pieces).split())
        return whole if 0 < len(whole) <= MAX_REWRITTEN_CHARS else None

    async def _generated(self, turn: "_Turn") -> AsyncGenerator[str | Answer]:
        """An answer by the language model; in the recorded words when it cannot be reached, or insists on more."""
        model = await asyncio.to_thread(self._language_model)  # the first time, it imports for a second
        passages = prompts.within_budget(turn.passages)
        messages = prompts.build(turn.question, passages, turn.history)
        drawn = _Reply()
        try:
            async with aclosing(drawn.take(model, messages, turn)) as pieces:
                async for piece in pieces:
                    if not self.settings.strict:
                        yield piece
            claims = turn.made_up(drawn.text, passages)
            if claims and self.settings.strict:
                messages = prompts.correct(messages, drawn.text, claims)
                drawn = _Reply()
                async for _ in drawn.take(model, messages, turn):
                    pass
                claims = turn.made_up(drawn.text, passages)
        except (ModelUnavailable, ModelBusy) as error:
            if drawn.pieces and not self.settings.strict:
                raise
            notice = say("{why}; these are the recorded words", why=say(error.template, **error.values))
            async for part in _quoted(turn, notice):
                yield part
            return
        if claims and self.settings.strict:
            async for part in _quoted(turn, say("the model told more than was said; these are the recorded words")):
                yield part
            return
        if self.settings.strict:
            yield drawn.text
        more = {"model": model.model, "usage": drawn.usage, "unsupported": claims}
        yield turn.answer(drawn.text, "generated", bearing_out(drawn.text, passages), prompt=messages, **more)


class _Reply:
    """What a language model answers, as far as it has come."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    async def take(self, model: ChatModel, messages: Sequence[Message], turn: "_Turn") -> AsyncGenerator[str]:
        """The pieces as they come. Raises: ModelError."""
        stream = model.stream(messages, turn.api_key)
        async with aclosing(stream):
            async for piece in stream:
                if isinstance(piece, Usage):
                    self.usage = piece
                else:
                    self.pieces.append(piece)
                    turn.speak()
                    yield piece


@dataclass(slots=True)
class _Turn:
    """One question on its way to its answer."""

    question: str
    found: Retrieval
    passages: Sequence[Passage]
    embedder: Embedder
    start: float
    threshold: float
    api_key: str | None
    history: Sequence[Message]
    explain: bool
    spoke_ms: float | None = None

    def is_recorded(self, asked: str) -> bool:
        """Whether the question is the one that the best passage answers."""
        best = self.passages[0]
        recorded = best.stored.chunk.question
        return recorded is not None and is_same_question(asked, recorded, best.asked)

    def made_up(self, output: str, passages: Sequence[Passage]) -> list[str]:
        """Numbers, dates, names and quotations of an answer that neither passages nor conversation hold."""
        chunks = [passage.stored.chunk for passage in passages]
        evidence = [part for c in chunks for part in (c.whole, c.date, c.speaker) if part]
        evidence += [self.question, *(message["content"] for message in self.history)]
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
            answerable=mode != "refused",
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


async def _quoted(turn: _Turn, notice: str | None = None) -> AsyncGenerator[str | Answer]:
    told = versions(turn.passages)
    found = turn.found
    newest = await asyncio.to_thread(
        quote, turn.question, found.vector, told[0], turn.embedder, found.spread, turn.api_key
    )
    output = retell(turn.question, newest, told)
    turn.speak()
    yield output
    yield turn.answer(output, "quoted", told, notice=notice)


async def _refused(turn: _Turn) -> AsyncGenerator[str | Answer]:
    near = turn.passages[:1] if turn.found.support >= NEAR_MISS_SUPPORT else []
    output = refuse(turn.question, nearest_words(near[0].stored.chunk) if near else None)
    turn.speak()
    yield output
    yield turn.answer(output, "refused", near)


def _small_talk(kind: Kind, text: str, retriever: Retriever, start: float) -> Answer:
    """What to say to what is no question to the person; nothing is looked up for it."""
    with retriever.store.catalog.snapshot() as snapshot:
        names = json.loads(snapshot.fact("names") or "[]")
    output = reply(kind, text, names[0] if names else None)
    total_ms = round(1e3 * (time.perf_counter() - start), 1)
    timings_ms = {"embed": 0.0, "search": 0.0, "first_token": total_ms, "total": total_ms}
    return Answer(output, mode="generated", answerable=False, support=0.0, timings_ms=timings_ms)


def _day(as_of: str | None) -> str | None:
    """A date in ISO 8601. Raises: SettingsError: it is none."""
    if as_of is None:
        return None
    day = parse_date(as_of)
    if day is None:
        raise SettingsError(
            "{name} cannot be {value!r}: {why}", name="as_of", value=as_of, why="it is no date such as 2024-01-31"
        )
    return day


def _candidate(passage: Passage) -> Candidate:
    stored = passage.stored
    figures = (passage.similarity, passage.asked, passage.share, passage.score, passage.support)
    return Candidate(stored.source, stored.chunk.locator, stored.chunk.whole, *(round(value, 4) for value in figures))


def _source(n: int, passage: Passage) -> Source:
    stored, chunk = passage.stored, passage.stored.chunk
    return Source(n, stored.source, chunk.locator, chunk.speaker, chunk.date, chunk.whole, round(passage.score, 4))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
