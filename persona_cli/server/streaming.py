"""Answers on their way to a caller: piece by piece, with signs of life in between, as long as somebody is there."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from persona_cli.models import Answer

T = TypeVar("T")
KEEP_ALIVE_S = 10.0
"""Longest silence on a stream; proxies give up on one after half a minute or a minute."""
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment of server-sent events, which clients skip."""
CLIENT_CLOSED_REQUEST = 499
"""Status of a response that nobody is there to read; nginx's number."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""So that no proxy keeps the pieces until there are enough of them."""


async def whole(parts: AsyncGenerator[str | Answer]) -> Answer:
    """The answer at the end of its stream."""
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Answer):
                return part
    raise AssertionError("a stream ends with its answer")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives, or None when the caller goes away before it is there, which ends the work.

    Raises:
        HTTPException: the server is stopping.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())  # the body has been read, so this is the end of the connection
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    except asyncio.CancelledError:
        raise HTTPException(503, "the server is stopping: ask again when it is back") from None
    finally:
        working.cancel()
        gone.cancel()


async def paced(parts: AsyncGenerator[str | Answer], silence_s: float) -> AsyncGenerator[str | Answer | None]:
    """The parts of an answer as they come, and None each time nothing has come for so long.

    A task of its own takes them, so that waiting can be given up without giving up on what is waited for. Closing
    this ends it.
    """
    queue: asyncio.Queue[str | Answer | Exception] = asyncio.Queue()

    async def take() -> None:
        try:
            async with aclosing(parts):
                async for part in parts:
                    queue.put_nowait(part)
        except Exception as error:
            queue.put_nowait(error)

    taking = asyncio.create_task(take())
    try:
        while True:
            part: str | Answer | Exception | None = None
            try:
                async with asyncio.timeout(silence_s):
                    part = await queue.get()
            except TimeoutError:
                pass
            if isinstance(part, Exception):
                raise part
            yield part
            if isinstance(part, Answer):
                return
    finally:
        taking.cancel()


class EventStream(StreamingResponse):
    """Server-sent events made from a source, which is closed however they end.

    Args:
        events: made from the source; they need not have begun when the caller leaves.
    """

    def __init__(self, events: AsyncGenerator[bytes], source: AsyncGenerator[Any]) -> None:
        super().__init__(events, headers=HEADERS, media_type="text/event-stream")
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them until they end or the caller leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.aclose()
