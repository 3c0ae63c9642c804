"""OpenAI's protocol: `GET /v1/models` and `POST /v1/chat/completions`, plain and streamed."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi import Request as HTTPRequest
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from persona_cli.errors import PersonaError, QuestionError
from persona_cli.models import Answer
from persona_cli.server import failures
from persona_cli.server.openai_shapes import Completion, Model, ModelList, Reply, Request, SessionId, listed
from persona_cli.server.personas import Persona, Personas
from persona_cli.server.stores import Stores
from persona_cli.server.streaming import (
    CLIENT_CLOSED_REQUEST,
    KEEP_ALIVE,
    KEEP_ALIVE_S,
    EventStream,
    paced,
    while_connected,
    whole,
)

DONE = b"data: [DONE]\n\n"
EVENTS = (
    'data: {"id": "chatcmpl-5c1d0b8f6a2e", "object": "chat.completion.chunk", "created": 1700000000,'
    ' "model": "wren", "choices": [{"index": 0, "delta": {"content": "I"}, "logprobs": null,'
    ' "finish_reason": null}]}\n\n…\n\ndata: [DONE]\n\n'
)


class Route(APIRoute):
    """Answers what is wrong with a request with 400, as OpenAI does."""

    def get_route_handler(self) -> Callable[[HTTPRequest], Coroutine[Any, Any, Response]]:
        """The handler, with that around it."""
        handle = super().get_route_handler()

        async def handler(request: HTTPRequest) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return failures.invalid(error, 400)
            except QuestionError as error:
                return failures.known(error, 400, "messages")

        return handler


def router(stores: Stores, keep_alive_s: float = KEEP_ALIVE_S) -> APIRouter:
    """The routes.

    Args:
        keep_alive_s: longest silence on a stream, in seconds.
    """
    routes = APIRouter(prefix="/v1", tags=["openai"], responses=failures.RESPONSES, route_class=Route)
    personas = Personas(stores)

    @routes.get("/models", response_model=ModelList)
    async def models() -> Any:
        """The personas that can be asked."""
        found = await asyncio.to_thread(personas.all)
        return listed([(persona.id, persona.created) for persona in found.values()])

    @routes.get("/models/{model}", response_model=Model)
    async def model(model: str) -> Any:
        """One of them."""
        persona = await asyncio.to_thread(personas.find, model)
        return Model(id=persona.id, created=persona.created) if persona else _unknown(model)

    @routes.post(
        "/chat/completions",
        response_model=Completion,
        responses={200: {"content": {"text/event-stream": {"example": EVENTS}}}},
    )
    async def complete(
        asked: Request, request: HTTPRequest, x_session_id: Annotated[SessionId | None, Header()] = None
    ) -> Any:
        """Ask a persona."""
        persona = await asyncio.to_thread(personas.find, asked.model)
        if not persona:
            return _unknown(asked.model)
        reply, parts = Reply(asked, persona.id), _parts(asked, persona, request, x_session_id)
        if asked.stream:
            return await _streamed(reply, paced(parts, keep_alive_s), request)
        answer = await while_connected(request, whole(parts))
        return reply.whole(answer) if answer else Response(status_code=CLIENT_CLOSED_REQUEST)

    return routes


def _parts(
    asked: Request, persona: Persona, request: HTTPRequest, session_id: str | None
) -> AsyncGenerator[str | Answer]:
    return persona.chatbot.stream(
        asked.question,
        history=asked.history,
        session=asked.session_id or session_id,
        owner=request.state.owner,
        note=asked.note,
    )


async def _streamed(reply: Reply, parts: AsyncGenerator[str | Answer | None], request: HTTPRequest) -> Response:
    """The answer in pieces. What fails before the first of them, or the first silence, still has its own status."""

    async def begin() -> tuple[str | Answer | None]:
        return (await anext(parts),)

    first = await while_connected(request, begin())
    if not first:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return EventStream(_events(reply, first[0], parts), parts)


async def _events(
    reply: Reply, part: str | Answer | None, parts: AsyncGenerator[str | Answer | None]
) -> AsyncGenerator[bytes]:
    yield _event(reply.chunk(role="assistant", content=""))
    try:
        while not isinstance(part, Answer):
            if part is None:
                yield KEEP_ALIVE
            elif part:
                yield _event(reply.chunk(content=part))
            part = await anext(parts)
        for chunk in reply.last(part):
            yield _event(chunk)
        yield DONE
    except PersonaError as error:
        yield _failed(failures.known(error))
    except Exception:
        yield _failed(failures.bug())
        raise


def _event(data: object) -> bytes:
    """One event; in ASCII, which no client can cut a character of in two."""
    return f"data: {json.dumps(data)}\n\n".encode()


def _failed(response: JSONResponse) -> bytes:
    return _event(json.loads(bytes(response.body)))


def _unknown(model: str) -> Response:
    message = f"there is no model {model[:64]!r}: GET /v1/models lists those there are"
    return failures.respond(404, message, "model_not_found", "model")
