"""The core: a question in, an answer in the person's words out. The command line and the server add nothing to it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from pydantic import SecretStr

from persona_cli import assembly, prompts
from persona_cli.errors import ModelBusy, ModelUnavailable, QuestionError, SettingsError
from persona_cli.grounding import refuse, support
from persona_cli.language import say
from persona_cli.loading.decoding import clean
from persona_cli.models import Answer, ChatModel, Embedder, Mode, Passage, Source, Usage
from persona_cli.quoting import nearest_words, quote
from persona_cli.retrieval import Retrieval, Retriever, distinct
from persona_cli.settings import Settings, load_settings

T = TypeVar("T")
SOURCE_SUPPORT = 0.5
"""Part of the threshold for refusal that a passage must reach by itself to be shown to a model."""
TWINS = 3
"""Passages looked up for each that is used, since the same words may stand in several documents."""
NEAR_MISS_SUPPORT = 0.1
"""Support from which a refusal offers the nearest thing that was said."""


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

    def ask(self, prompt: str, *, top_k: int | None = None) -> Answer:
        """The whole answer with its sources.

        Raises:
            PersonaError: the question, the store or a model cannot be used.
        """

        async def collect() -> Answer:
            try:
                async for part in self.stream(prompt, top_k=top_k):
                    if isinstance(part, Answer):
                        return part
                raise AssertionError("a stream ends with its answer")
            finally:
                await self.aclose()

        return _run(collect())

    async def stream(
        self, prompt: str, *, top_k: int | None = None, api_key: str | None = None
    ) -> AsyncGenerator[str | Answer]:
        """Pieces of the answer's text as they come, then the whole `Answer`, which is always last.

        Args:
            prompt: the question.
            top_k: passages to answer from; None takes the setting's.
            api_key: the caller's own key, used for this question and kept nowhere.

        Raises:
            PersonaError: the question, the store or a model cannot be used.
        """
        start = time.perf_counter()
        question = self._question(prompt)
        count = self.settings.top_k if top_k is None else top_k
        if count < 1:
            raise SettingsError(
                "{name} cannot be {value!r}: {why}", name="top_k", value=count, why="it is not positive"
            )
        retriever = await asyncio.to_thread(self.open)
        found = await asyncio.to_thread(retriever.retrieve, question, TWINS * count, api_key)
        turn = _Turn(question, found, distinct(found.passages)[:count], retriever.embedder, api_key, start)
        if turn.support < self.settings.refuse_below or not turn.passages:
            parts = _refused(turn)
        elif self._has_model or api_key:
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

    async def _generated(self, turn: "_Turn") -> AsyncGenerator[str | Answer]:
        """An answer by the language model; in the recorded words when it cannot be reached."""
        model = await asyncio.to_thread(self._language_model)  # the first time, it imports for a second
        least = SOURCE_SUPPORT * self.settings.refuse_below
        passages = prompts.within_budget(turn.supporting(least))
        pieces: list[str] = []
        usage = None
        stream = model.stream(prompts.build(turn.question, passages), turn.api_key)
        try:
            async with aclosing(stream):
                async for piece in stream:
                    if isinstance(piece, Usage):
                        usage = piece
                    else:
                        pieces.append(piece)
                        turn.speak()
                        yield piece
        except (ModelUnavailable, ModelBusy) as error:
            if pieces:
                raise
            notice = say("{why}; these are the recorded words", why=say(error.template, **error.values))
            async for part in _quoted(turn, notice):
                yield part
        else:
            yield turn.answer("".join(pieces).strip(), "generated", passages, model=model.model, usage=usage)


class _Turn:
    """One question on its way to its answer."""

    def __init__(
        self,
        question: str,
        found: Retrieval,
        passages: Sequence[Passage],
        embedder: Embedder,
        api_key: str | None,
        start: float,
    ) -> None:
        self.question = question
        self.api_key = api_key
        self.found = found
        self.passages = passages
        self.embedder = embedder
        self.support = support(question, found.similarity, found.share, embedder.model)
        self._start = start
        self._timings = dict(found.timings_ms)

    def supporting(self, least: float) -> list[Passage]:
        """The best passage, and those of the others that support an answer by themselves."""
        best, *others = self.passages
        model = self.embedder.model
        return [best, *(p for p in others if support(self.question, p.similarity, p.share, model) >= least)]

    def speak(self) -> None:
        """Note when the first piece of the answer came."""
        self._timings.setdefault("first_token", 1e3 * (time.perf_counter() - self._start))

    def answer(self, output: str, mode: Mode, passages: Sequence[Passage], **more: Any) -> Answer:
        """The finished answer."""
        self.speak()
        self._timings["total"] = 1e3 * (time.perf_counter() - self._start)
        return Answer(
            output=output,
            mode=mode,
            answerable=mode != "refused",
            support=round(self.support, 4),
            sources=[_source(n, passage) for n, passage in enumerate(passages, 1)],
            timings_ms={name: round(ms, 1) for name, ms in self._timings.items()},
            **more,
        )


async def _quoted(turn: _Turn, notice: str | None = None) -> AsyncGenerator[str | Answer]:
    best = turn.passages[0]
    found = turn.found
    output = await asyncio.to_thread(
        quote, turn.question, found.vector, best, turn.embedder, found.spread, turn.api_key
    )
    turn.speak()
    yield output
    yield turn.answer(output, "quoted", [best], notice=notice)


async def _refused(turn: _Turn) -> AsyncGenerator[str | Answer]:
    near = turn.passages[:1] if turn.support >= NEAR_MISS_SUPPORT else []
    output = refuse(turn.question, nearest_words(near[0].stored.chunk) if near else None)
    turn.speak()
    yield output
    yield turn.answer(output, "refused", near)


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
