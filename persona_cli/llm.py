"""Language models behind an OpenAI-compatible endpoint, streamed."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from persona_cli.errors import ModelBroken, ModelError
from persona_cli.models import Message, Usage

if TYPE_CHECKING:
    from persona_cli.endpoint import Endpoint

END = object()
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
MAX_ANSWER_CHARS = 100_000
"""Longest answer taken: a model may repeat itself without end."""
SURROGATES = re.compile("[\ud800-\udfff]")
"""JSON may hold half a character, which could not be written anywhere."""


class RemoteModel:
    """A chat model at an OpenAI-compatible endpoint.

    Args:
        model: the name the endpoint knows it by.
        max_tokens: longest answer asked for, what a model thinks before it included.
    """

    def __init__(self, model: str, endpoint: "Endpoint", max_tokens: int = 2_000) -> None:
        self.model = model
        self._max_tokens = max_tokens
        self._endpoint = endpoint
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        """Pieces of the answer as they come, and the usage last where the endpoint tells it.

        What fails before the first piece and may be retried is retried; nothing is after it.

        Raises:
            ModelError: refused, busy, unreachable, silent for too long, broken off, endless, or empty.
        """
        finished, spoke, chars, usage = False, False, 0, None
        async with await self._open(messages, api_key) as chunks:
            while (part := await self._next(chunks)) is not None:
                piece, last, counted = part
                finished, usage, chars = finished or last, counted or usage, chars + len(piece)
                if chars > MAX_ANSWER_CHARS:
                    raise ModelBroken("{place} sent something for {model!r} that is no answer", **self._names)
                if piece:
                    spoke = spoke or not piece.isspace()
                    yield piece
        if not spoke:
            raise ModelBroken("{place} sent an empty answer from {model!r}", **self._names)
        if not finished:  # the connection ended, and the client takes that for a normal end
            raise ModelBroken("the answer of {model!r} at {place} broke off", **self._names)
        if usage:
            yield usage

    async def aclose(self) -> None:
        """Let go of the connections that the running event loop holds."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.close()

    @property
    def _names(self) -> dict[str, str]:
        return {"place": self._endpoint.place, "model": self.model}

    async def _open(self, messages: Sequence[Message], api_key: str | None) -> Any:
        """The stream of chunks; each try is bounded by the endpoint's time-out."""
        client = self._endpoint.with_key(self._client(), api_key, self.model)
        tries = self._endpoint.tries()
        while True:
            try:
                with self._endpoint.translated(self.model):
                    async with asyncio.timeout(self._endpoint.timeout_s):
                        return await client.chat.completions.create(
                            model=self.model,
                            messages=messages,
                            max_completion_tokens=self._max_tokens,
                            stream=True,
                            stream_options={"include_usage": True},
                        )
            except ModelError as error:
                await asyncio.sleep(tries.pause_s(error))

    async def _next(self, chunks: Any) -> tuple[str, bool, Usage | None] | None:
        """What the next chunk holds, no longer in coming than the endpoint's time-out; None at the end."""
        with self._endpoint.translated(self.model):
            async with asyncio.timeout(self._endpoint.timeout_s):
                chunk = await anext(chunks, END)
            return None if chunk is END else _read(chunk)

    def _client(self) -> Any:
        """The client of the running event loop, whose connections it holds."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = self._endpoint.connect_async()
        return self._clients[loop]


def _read(chunk: Any) -> tuple[str, bool, Usage | None]:
    """Text, whether the answer ends with it, and usage, as far as a chunk holds them: servers differ in what they send.

    Raises:
        AttributeError, TypeError: it is no chunk of the protocol.
    """
    choice = next(iter(getattr(chunk, "choices", None) or ()), None)
    text = getattr(getattr(choice, "delta", None), "content", None)
    counts = [count for name in COUNTS if isinstance(count := getattr(getattr(chunk, "usage", None), name, None), int)]
    return (
        SURROGATES.sub("\ufffd", text) if isinstance(text, str) else "",
        bool(getattr(choice, "finish_reason", None)),
        Usage(*counts) if len(counts) == len(COUNTS) else None,
    )
