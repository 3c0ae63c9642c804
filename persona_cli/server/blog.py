"""The blog's protocol: `POST /chat/` with a prompt, and the answer under `output`."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints
from starlette.exceptions import HTTPException

from persona_cli.models import Answer
from persona_cli.server.failures import RESPONSES
from persona_cli.server.stores import Stores

CLIENT_CLOSED_REQUEST = 499
"""Status of a response that nobody is there to read; nginx's number."""
Key = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[!-~]*$", max_length=4_096)]
"""What can be sent in a header."""


class Question(BaseModel):
    """What is asked, and of whom."""

    prompt: Annotated[str, Field(description="the question", examples=["유퀴즈 출연 후 아쉬웠던 점?"])]
    api_key: Annotated[Key | None, Field(description="the caller's own model key, used for this request only")] = None
    db_path: Annotated[str | None, Field(description="a store inside the served roots", examples=["vector_store/"])] = (
        None
    )
    session_id: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=100)] | None,
        Field(description="the session to go on with; `new` begins one", examples=["new"]),
    ] = None
    top_k: Annotated[int | None, Field(ge=1, le=20, description="passages to answer from")] = None
    as_of: Annotated[
        str | None,
        Field(max_length=40, description="answer from what had been said by this date", examples=["2024-01-31"]),
    ] = None


class Quoted(BaseModel):
    """Where an answer is from."""

    n: int
    source: str
    locator: str
    speaker: str | None
    date: str | None
    text: str
    score: float


class Reply(BaseModel):
    """The answer, and how it came about."""

    output: str
    mode: Literal["generated", "quoted", "refused"]
    answerable: bool
    support: float
    sources: list[Quoted]
    unsupported: list[str]
    session_id: str | None
    model: str | None
    usage: dict[str, int] | None
    disclosure: str | None
    notice: str | None
    timings_ms: dict[str, float]


def router(stores: Stores) -> APIRouter:
    """The routes, with the slash at the end and without, neither of them a redirect."""
    routes = APIRouter(tags=["chat"], responses=RESPONSES)

    @routes.post("/chat/", response_model=Reply)
    @routes.post("/chat", response_model=Reply, include_in_schema=False)
    async def chat(question: Question, request: Request) -> Any:
        """Ask the person."""
        chatbot = stores.find(question.db_path)
        parts = chatbot.stream(
            question.prompt,
            api_key=question.api_key or None,
            top_k=question.top_k,
            as_of=question.as_of,
            session=question.session_id,
            owner=request.state.owner,
        )
        answer = await _while_connected(request, _whole(parts))
        return asdict(answer) if answer else Response(status_code=CLIENT_CLOSED_REQUEST)

    return routes


async def _whole(parts: AsyncGenerator[str | Answer]) -> Answer:
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Answer):
                return part
    raise AssertionError("a stream ends with its answer")


async def _while_connected(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer | None:
    """The answer, or None when the caller goes away before it is there, which ends the work on it."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())  # the body has been read, so this is the end of the connection
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    except asyncio.CancelledError:
        raise HTTPException(503, "the server is stopping: ask again when it is back") from None
    finally:
        answer.cancel()
        gone.cancel()
