"""What a chat page wants to know before the first question: who answers, and what was said here before."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from persona_cli import transcript
from persona_cli.chatbot import PersonaChatbot
from persona_cli.models import Mode
from persona_cli.server.blog import Quoted
from persona_cli.server.failures import RESPONSES, respond
from persona_cli.server.personas import Personas
from persona_cli.server.stores import Stores
from persona_cli.sessions import Sessions, State

ModelId = Annotated[
    str | None, Query(max_length=200, description="id of a persona, from `/v1/models`; the first store's without it")
]


class Linked(BaseModel):
    """A page of the person's."""

    title: str
    url: str


class About(BaseModel):
    """Who answers."""

    name: str
    language: str
    greeting: str
    questions: Annotated[list[str], Field(description="suggested ones")]
    links: list[Linked]
    disclosure: Annotated[dict[str, str], Field(description="that it is a model of the person, by language")]


class Said(BaseModel):
    """A question and what it got."""

    n: int
    at: str
    question: str
    answer: str
    state: State
    mode: Mode | None
    sources: list[Quoted]


class Conversation(BaseModel):
    """A session."""

    id: str
    started: str
    turns: list[Said]
    summary: str
    summarised: int


def router(stores: Stores) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["page"], responses=RESPONSES)
    personas = Personas(stores)

    def find(model: str | None) -> PersonaChatbot | None:
        if model is None:
            return stores.find(None)
        persona = personas.find(model)
        return persona.chatbot if persona else None

    @routes.get("/persona", response_model=About)
    async def persona(model: ModelId = None) -> Any:
        """Who answers, how they greet, and what one may ask them."""
        chatbot = await asyncio.to_thread(find, model)
        return await asyncio.to_thread(_about, chatbot) if chatbot else _unknown()

    @routes.get("/sessions/{session_id}", response_model=Conversation)
    async def session(session_id: str, request: Request, response: Response, model: ModelId = None) -> Any:
        """What was said in a session of the caller's own; to everybody else there is none."""
        chatbot = await asyncio.to_thread(find, model)
        if not chatbot:
            return _unknown()
        response.headers["Cache-Control"] = "no-store"
        return await asyncio.to_thread(_told, chatbot, session_id, request.state.owner)

    return routes


def _about(chatbot: PersonaChatbot) -> About:
    identity = chatbot.identify()
    profile = identity.profile
    return About(
        name=identity.name,
        language=profile.language,
        greeting=profile.greeting,
        questions=list(profile.questions),
        links=[Linked(**asdict(link)) for link in profile.links],
        disclosure={"en": identity.disclosure("English"), "ko": identity.disclosure("한국어")},
    )


def _told(chatbot: PersonaChatbot, session_id: str, owner: str) -> dict[str, Any]:
    return transcript.to_json(Sessions(chatbot.open().store.catalog).load(session_id, owner))


def _unknown() -> JSONResponse:
    return respond(404, "there is no such model: GET /v1/models lists those there are", "model_not_found", "model")
