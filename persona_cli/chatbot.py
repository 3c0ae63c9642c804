"""The core: a question in, an answer in the person's words out. The command line and the server add nothing to it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from pydantic import SecretStr

from persona_cli import assembly, conversation, prompts
from persona_cli.answering import Reply, Turn, introduced, quoted, refused, said_at_once, small_talk, told
from persona_cli.budget import shorten
from persona_cli.errors import ModelBusy, ModelError, ModelUnavailable, QuestionError, SessionUnknown
from persona_cli.grounding import bearing_out
from persona_cli.identity import Identity, revision_of
from persona_cli.language import say
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import clean
from persona_cli.models import Answer, ChatModel, Message
from persona_cli.phrases import avoided
from persona_cli.prompts import Talk
from persona_cli.recording import NEW, Record
from persona_cli.retrieval import Retriever, distinct, last_question
from persona_cli.sessions import Sessions
from persona_cli.settings import Settings, load_settings
from persona_cli.smalltalk import Kind, kind_of
from persona_cli.store import Store

T = TypeVar("T")
SOURCE_SUPPORT = 0.5
"""Part of the threshold for refusal that a passage must reach by itself to be answered from."""
TWINS = 3
"""Passages looked up for each that is used, since the same words may stand in several documents."""
MAX_REWRITTEN_CHARS = 500
"""A question that a model made longer than this is no question."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """A question with all that comes with it.

    Attributes:
        count: passages to answer from.
        day: ISO 8601, or None.
        history: what was said before, oldest first.
        note: what the caller's program adds to the persona.
        start: when it came, by `time.perf_counter`.
    """

    question: str
    count: int
    day: str | None
    api_key: str | None
    history: Sequence[Message]
    note: str
    explain: bool
    start: float


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
        self._identity: Identity | None = None
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
        session: str | None = None,
    ) -> Answer:
        """The whole answer with its sources; for the arguments see `stream`.

        Raises:
            PersonaError: the question, the store or a model cannot be used.
        """

        async def collect() -> Answer:
            try:
                stream = self.stream(
                    prompt, top_k=top_k, history=history, as_of=as_of, explain=explain, session=session
                )
                async with aclosing(stream) as parts:
                    async for part in parts:
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
        session: str | None = None,
        owner: str = "",
        note: str = "",
    ) -> AsyncGenerator[str | Answer]:
        """Pieces of the answer's text as they come, then the whole `Answer`, which is always last.

        Args:
            prompt: the question.
            top_k: passages to answer from; None takes the setting's.
            api_key: the caller's own key, used for this question and kept nowhere.
            history: what was said before, oldest first, which the question may go on from.
            as_of: a date; the answer is made from what is known to have been said by then.
            explain: tell in the answer how it came about.
            session: id of the session to go on with, which then has the history; "new" begins one, where the store can
                be written to; None keeps nothing.
            owner: whose session it is, where several share a server.
            note: what the caller's program adds to the persona; it replaces nothing of it.

        Raises:
            PersonaError: the question, the session, the store or a model cannot be used.
        """
        start = time.perf_counter()
        question = self._question(prompt)
        day = _day(as_of)
        count = self.settings.top_k if top_k is None else top_k
        if count < 1:
            raise QuestionError("top_k cannot be {value}: it is not positive", value=count)
        retriever = await asyncio.to_thread(self.open)
        identity = await asyncio.to_thread(self._identify, retriever.store)
        record = await asyncio.to_thread(Record, retriever.store.catalog, question, session, owner)
        said = record.history if record.session_id else history  # what a caller sends begins no session
        asking = _Asking(question, count, day, api_key, record.history or history, note, explain, start)
        try:
            async with aclosing(self._answers(asking, retriever, identity, record)) as parts:
                async for part in parts:
                    if isinstance(part, str):
                        if record.add(part):
                            await asyncio.to_thread(record.save)
                        yield part
                        continue
                    answered = any(message["role"] == "assistant" for message in said)
                    disclosure = None if answered else identity.disclosure(question)
                    answer = replace(part, session_id=record.session_id, disclosure=disclosure)
                    await asyncio.to_thread(record.finish, answer)
                    yield answer
        finally:
            record.close()  # at once: whoever left does not wait for a thread

    async def _answers(
        self, asking: _Asking, retriever: Retriever, identity: Identity, record: Record
    ) -> AsyncGenerator[str | Answer]:
        """The pieces of the answer, then the whole of it."""
        kind = kind_of(asking.question)
        if answer := await asyncio.to_thread(_at_once, asking, identity, kind):
            yield answer.output
            yield answer
            return
        has_model = self._has_model or bool(asking.api_key)
        turn = await self._looked_up(asking, retriever, record, has_model)
        record.given.update(passage.stored.source for passage in turn.passages)
        if not (turn.is_supported and has_model) or turn.is_talk:
            turn.register = await asyncio.to_thread(lambda: identity.register)
            turn.address = identity.profile.address
        if turn.is_talk:
            parts = self._generated(turn, identity, record, asking.note) if has_model else told(turn)
        elif kind == "who" and not (turn.is_supported and (has_model or turn.was_asked)):
            parts = introduced(turn, identity.name, identity.profile.description)
        elif not turn.is_supported:
            parts = refused(turn)
        elif has_model and not (self._is_verbatim(identity) and turn.is_recorded):
            parts = self._generated(turn, identity, record, asking.note)
        else:
            parts = quoted(turn)
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def _looked_up(self, asking: _Asking, retriever: Retriever, record: Record, has_model: bool) -> Turn:
        """The question with what it is to be answered from."""
        asked, after = asking.question, last_question(asking.history)
        if after and has_model and conversation.goes_on(asked):
            whole = await self._rewritten(asked, asking.history, asking.api_key)
            asked, after = (whole, None) if whole else (asked, after)
        found = await asyncio.to_thread(
            retriever.retrieve, asked, TWINS * asking.count, asking.api_key, after=after, as_of=asking.day
        )
        ranked = distinct(found.passages)
        least = SOURCE_SUPPORT * self.settings.refuse_below
        supporting = [passage for passage in ranked if passage.support >= least][: asking.count]
        turn = Turn(
            question=asking.question,
            asked=asked,
            found=found,
            passages=supporting or ranked[:1],
            is_supported=found.support >= self.settings.refuse_below and bool(supporting),
            embedder=retriever.embedder,
            start=asking.start,
            threshold=self.settings.refuse_below,
            api_key=asking.api_key,
            talk=await self._remembered(asking, record, has_model),
            explain=asking.explain,
        )
        if turn.talk.told or (turn.is_talk and not turn.is_supported):
            turn.passages = []
        return turn

    def enter(self, session: str | None = None, go_on: bool = False) -> str | None:
        """The session to ask in, as the command line has it: a named one, which a new name begins; the last one; else
        a new one, unless the settings keep none.

        Raises:
            SessionUnknown: there is none to go on with.
            StoreError: the store cannot be opened, or not be written to where a session is named.
        """
        if session is None and not go_on:
            return NEW if self.settings.keep_sessions else None
        sessions = Sessions(self.open().store.catalog)
        if session is not None:
            return sessions.start(name=session)
        latest = sessions.latest()
        if latest is None:
            raise SessionUnknown("there is no session to go on with yet: ask without --continue")
        return latest

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

    def identify(self) -> Identity:
        """The persona as it is now. Raises: PersonaError: the store or what it keeps of the persona cannot be read."""
        return self._identify(self.open().store)

    def _identify(self, store: Store) -> Identity:
        """The persona as it is now."""
        with store.catalog.snapshot() as snapshot:
            revision = revision_of(snapshot.fact("persona"), snapshot.generation)
        identity = self._identity
        if identity is None or identity.revision != revision:
            identity = self._identity = Identity(store)
        return identity

    def _is_verbatim(self, identity: Identity) -> bool:
        """Whether recorded answers are given as they stand: the environment over the profile over the default."""
        own = identity.profile.verbatim
        return self.settings.verbatim if own is None or "verbatim" in self.settings.model_fields_set else own

    def _language_model(self) -> ChatModel:
        with self._opening:
            if self._model is None:
                self._model = assembly.build_model(self.settings)
            return self._model

    async def _remembered(self, asking: _Asking, record: Record, has_model: bool) -> Talk:
        """What of the conversation goes into the prompt; what has no room there any more is summed up first."""
        room = prompts.talk_room(self.settings.prompt_tokens)
        if has_model and (due := record.due(room)):
            through, messages = due
            notes = await self._written(prompts.summarise(record.summary, messages), asking.api_key)
            if notes:
                await asyncio.to_thread(record.summarise, shorten(notes, room), through)
        return conversation.plan(asking.question, asking.history, room, record.summary)

    async def _rewritten(self, question: str, history: Sequence[Message], api_key: str | None) -> str | None:
        """A question made whole by the language model; None when that failed."""
        talk = conversation.plan(question, history, prompts.talk_room(self.settings.prompt_tokens))
        whole = await self._written(prompts.rewrite(question, [*talk.recalled, *talk.history]), api_key)
        whole = " ".join(whole.split())
        return whole if 0 < len(whole) <= MAX_REWRITTEN_CHARS else None

    async def _written(self, messages: Sequence[Message], api_key: str | None) -> str:
        """What the language model writes for the bot's own use; empty when it fails: the answer meets the same."""
        pieces: list[str] = []
        try:
            model = await asyncio.to_thread(self._language_model)
            async with aclosing(model.stream(messages, api_key)) as stream:
                async for piece in stream:
                    pieces += [piece] if isinstance(piece, str) else []
        except ModelError:
            return ""
        return "".join(pieces).strip()

    async def _generated(
        self, turn: Turn, identity: Identity, record: Record, note: str
    ) -> AsyncGenerator[str | Answer]:
        """An answer by the language model; in the recorded words when it cannot be reached, or insists on more."""
        model = await asyncio.to_thread(self._language_model)  # the first time, it imports for a second
        room = self.settings.prompt_tokens
        passages = prompts.within_budget(turn.passages, room) if turn.passages else []
        portrait = await asyncio.to_thread(identity.portrait, turn.question, passages, turn.talk.history, note)
        record.given.update(portrait.sources)
        messages = prompts.build(turn.question, passages, portrait, turn.talk, room)
        drawn = Reply()
        try:
            async with aclosing(drawn.take(model, messages, turn)) as pieces:
                async for piece in pieces:
                    if not self.settings.strict:
                        yield piece
            claims = turn.made_up(drawn.text, passages)
            if claims and self.settings.strict:
                messages = prompts.correct(messages, drawn.text, claims)
                drawn = Reply()
                async for _ in drawn.take(model, messages, turn):
                    pass
                claims = turn.made_up(drawn.text, passages)
        except (ModelUnavailable, ModelBusy) as error:
            if drawn.pieces and not self.settings.strict:
                raise
            notice = say("{why}; these are the recorded words", why=say(error.template, **error.values))
            async for part in quoted(turn, notice) if turn.passages else told(turn, notice):
                yield part
            return
        if claims and self.settings.strict:
            notice = say("the model told more than was said; these are the recorded words")
            async for part in quoted(turn, notice) if turn.passages else told(turn, notice):
                yield part
            return
        if self.settings.strict:
            yield drawn.text
        more = {"model": model.model, "usage": drawn.usage, "unsupported": claims}
        yield turn.answer(drawn.text, "generated", bearing_out(drawn.text, passages), prompt=messages, **more)


def _at_once(asking: _Asking, identity: Identity, kind: Kind | None) -> Answer | None:
    """What needs no passage: a topic that is avoided, and small talk."""
    if identity.avoids(asking.question):
        return said_at_once(avoided(asking.question, identity.register), "refused", asking.start)
    if kind is None or kind == "who":
        return None
    greeting = identity.profile.greeting
    return small_talk(kind, asking.question, identity.name, identity.register, greeting, asking.start)


def _day(as_of: str | None) -> str | None:
    """A date in ISO 8601. Raises: QuestionError: it is none."""
    day = parse_date(as_of) if as_of is not None else None
    if as_of is not None and day is None:
        raise QuestionError("{value!r} is no date such as 2024-01-31", value=as_of)
    return day


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
