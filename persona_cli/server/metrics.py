"""What is counted and timed of an application, for Prometheus, and spans of its work.

Chatbots are watched from outside, so that neither the core nor the routes know of it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from platform import python_version
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from persona_cli import __version__
from persona_cli.chatbot import PersonaChatbot
from persona_cli.errors import ModelError, PersonaError
from persona_cli.models import Answer, ChatModel, Message, Mode, Usage
from persona_cli.retrieval import Retrieval, Retriever
from persona_cli.server.logs import Noted, noted
from persona_cli.server.stores import Stores
from persona_cli.server.tracing import Span, Tracing, fail, tracing

OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
RETRIEVAL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FAILURES = ("refused", "busy", "unavailable", "broken", OTHER)
"""Kinds of ModelError, as labels."""
CLOSE_TIMEOUT_S = 2.0


class Watch:
    """Counts and times of one application, in a registry of its own."""

    def __init__(self, spans: Tracing | None = None) -> None:
        self.registry = own = CollectorRegistry()
        self.spans = spans or tracing()
        self.requests = Counter(
            "persona_requests", "Requests that were answered", ["route", "method", "status"], registry=own
        )
        self.request_seconds = Histogram(
            "persona_request_seconds", "From request to last byte", ["route"], buckets=SECONDS, registry=own
        )
        self.answers = Counter("persona_answers", "Answers that came to their end", ["mode"], registry=own)
        self.running = Gauge("persona_answers_running", "Answers under way", registry=own)
        self.first_token_seconds = Histogram(
            "persona_first_token_seconds",
            "From question to first piece of the answer",
            ["mode"],
            buckets=SECONDS,
            registry=own,
        )
        self.tokens = Counter("persona_tokens", "Tokens that language models counted", ["kind"], registry=own)
        self.retrieval_seconds = Histogram(
            "persona_retrieval_seconds",
            "Looking up passages",
            ["step"],
            buckets=RETRIEVAL_SECONDS,
            registry=own,
        )
        self.upstream_errors = Counter(
            "persona_upstream_errors", "Calls of models that failed", ["operation", "kind"], registry=own
        )
        Info("persona_build", "What runs", registry=own).info({"version": __version__, "python": python_version()})
        ProcessCollector(registry=own)
        for mode in get_args(Mode):  # from the start, so that a first one is a rise
            self.answers.labels(mode)
        for operation in ("chat", "embeddings"):
            for kind in FAILURES:
                self.upstream_errors.labels(operation, kind)

    def chatbot(self, **how: Any) -> PersonaChatbot:
        """A chatbot that is watched; the arguments are PersonaChatbot's."""
        return WatchedChatbot(self, **how)

    def failed(self, operation: str, error: ModelError, span: Span) -> None:
        """Count a model's failure, and mark the span it ended."""
        kind = type(error).__name__.removeprefix("Model").lower()
        self.upstream_errors.labels(operation, kind if kind in FAILURES else OTHER).inc()
        fail(span, type(error).__name__)

    async def aclose(self) -> None:
        """Send off what is left, if that does not take long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.to_thread(self.spans.close)


class WatchedChatbot(PersonaChatbot):
    """A chatbot whose answers, retrievals and calls of models are counted."""

    def __init__(self, watch: Watch, **how: Any) -> None:
        super().__init__(**how)
        self._watch = watch

    async def stream(self, prompt: str, **more: Any) -> AsyncGenerator[str | Answer]:
        """The parts of the answer. Raises: PersonaError: as PersonaChatbot does."""
        start, spoke_s = time.perf_counter(), None
        seen = noted.get() or Noted("")
        seen.prompt = prompt
        seen.secrets |= {more["api_key"]} if more.get("api_key") else set()
        with self._watch.running.track_inprogress():
            async with aclosing(super().stream(prompt, **more)) as parts:
                async for part in parts:
                    if spoke_s is None:
                        spoke_s = time.perf_counter() - start
                        seen.spoke_ms = 1e3 * spoke_s
                    if isinstance(part, Answer):
                        seen.mode, seen.output = part.mode, part.output
                        self._watch.answers.labels(part.mode).inc()
                        self._watch.first_token_seconds.labels(part.mode).observe(spoke_s)
                    yield part

    def open(self) -> Retriever:
        """Open the store. Raises: StoreError, PartMissing."""
        return WatchedRetriever(self._watch, super().open())

    def _language_model(self) -> ChatModel:
        return WatchedModel(self._watch, super()._language_model())


class WatchedRetriever(Retriever):
    """A retriever whose times and failures are counted."""

    def __init__(self, watch: Watch, inner: Retriever) -> None:
        super().__init__(inner.store, inner.embedder, inner.recipe)
        self._watch = watch

    def retrieve(self, question: str, top_k: int, api_key: str | None = None, **how: Any) -> Retrieval:
        """The passages nearest to a question. Raises: StoreError, ModelError."""
        span = self._watch.spans.begin("retrieval", {"gen_ai.operation.name": "retrieval"})
        try:
            found = super().retrieve(question, top_k, api_key, **how)
        except ModelError as error:
            self._watch.failed("embeddings", error, span)
            raise
        except Exception as error:
            fail(span, type(error).__name__)
            raise
        finally:
            span.end()
        for name, ms in found.timings_ms.items():
            self._watch.retrieval_seconds.labels(name).observe(ms / 1e3)
        return found


class WatchedModel:
    """A language model whose tokens and failures are counted, those of its work behind the scenes included."""

    def __init__(self, watch: Watch, inner: ChatModel) -> None:
        self.model = inner.model
        self._watch = watch
        self._inner = inner

    async def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        """The model's pieces. Raises: ModelError."""
        span = self._watch.spans.begin(
            f"chat {self.model}",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": self.model,
            },
            calls_out=True,
        )
        try:
            async with aclosing(self._inner.stream(messages, api_key)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        self._count(piece, span)
                    yield piece
        except ModelError as error:
            self._watch.failed("chat", error, span)
            raise
        finally:
            span.end()

    async def aclose(self) -> None:
        """Let go of the connections that the running event loop holds."""
        await self._inner.aclose()

    def _count(self, usage: Usage, span: Span) -> None:
        self._watch.tokens.labels("prompt").inc(max(usage.prompt_tokens, 0))
        self._watch.tokens.labels("completion").inc(max(usage.completion_tokens, 0))
        span.set_attributes(
            {
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
            }
        )


class Generations(Collector):
    """The generation that each store is answered from, as it is when it is asked for."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge, by the names of the stores' folders; 0 where nothing can be answered from."""
        family = GaugeMetricFamily("persona_generation", "Generation that is served", labels=["store"])
        names: dict[str, int] = {}
        for chatbot in self._stores.served():
            name = chatbot.settings.db.name
            names[name] = names.get(name, 0) + 1
            label = name if names[name] == 1 else f"{name}-{names[name]}"
            generation = 0
            with suppress(PersonaError):
                generation = generation_of(chatbot)
            family.add_metric([label], generation)
        yield family


def generation_of(chatbot: PersonaChatbot) -> int:
    """The generation that a chatbot answers from; 0 before the first. Raises: PersonaError: it cannot be opened."""
    with chatbot.open().store.catalog.snapshot() as snapshot:
        return snapshot.generation
