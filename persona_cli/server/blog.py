"""The blog's protocol: `POST /chat/` with a prompt, and the answer under `output`."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from persona_cli.server.failures import RESPONSES
from persona_cli.server.stores import Stores
from persona_cli.server.streaming import CLIENT_CLOSED_REQUEST, while_connected, whole

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
        answer = await while_connected(request, whole(parts))
        return asdict(answer) if answer else Response(status_code=CLIENT_CLOSED_REQUEST)

    return routes
