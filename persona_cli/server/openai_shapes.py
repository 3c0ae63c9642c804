"""The shapes of OpenAI's chat completions: what is asked, and what is answered as a whole and in chunks; pure."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from persona_cli import models
from persona_cli.budget import MESSAGE_TOKENS, tokens_of
from persona_cli.loading.decoding import clean
from persona_cli.models import Answer
from persona_cli.server.blog import Quoted

MAX_EARLIER_CHARS = 4_000
"""Of each message before the question: more would not fit a prompt, and takes time to be looked through."""
MAX_NOTE_CHARS = 20_000
"""Of what the client's program adds, all together."""
SessionId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


def _text(content: object) -> object:
    """A message's text, however it is sent."""
    if not isinstance(content, list):
        return clean(content) if isinstance(content, str) else "" if content is None else content
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise PydanticCustomError("no_text", "only text can be read here: send parts of the type 'text'")
        texts.append(clean(part["text"]))
    return "\n".join(texts)


@dataclass(frozen=True)
class _Takes:
    """Takes null, and what asks for nothing special."""

    allowed: tuple[object, ...]
    otherwise: str

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _schema: object, _handler: object) -> dict[str, Any]:
        return {"enum": [*self.allowed, None]}

    def _check(self, value: object) -> object:
        if value is not None and value not in self.allowed:
            raise PydanticCustomError("unsupported", "{otherwise}", {"otherwise": self.otherwise})
        return value


def _asks(messages: "list[Message]") -> "list[Message]":
    if not any(message.role == "user" for message in messages):
        raise PydanticCustomError("no_question", "there is no message of the role 'user' to answer")
    return messages


TEXT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                "required": ["type", "text"],
            },
        },
        {"type": "null"},
    ]
}


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text), WithJsonSchema(TEXT_SCHEMA)] = ""


class StreamOptions(BaseModel):
    """What comes with a stream."""

    include_usage: bool | None = None


class Request(BaseModel):
    """What is asked, and of whom. Other fields of OpenAI's, as `temperature`, are taken and make no difference."""

    model: Annotated[str, Field(description="id of a persona, from `/v1/models`", examples=["박자두"])]
    messages: Annotated[
        list[Message],
        AfterValidator(_asks),
        Field(
            description="the last one of the user is the question, those before it are the conversation",
            examples=[[{"role": "user", "content": "유퀴즈 출연 후 아쉬웠던 점?"}]],
        ),
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    session_id: Annotated[
        SessionId | None, Field(description="the session to go on with; `new` begins one", examples=["new"])
    ] = None
    n: Annotated[Any, _Takes((1,), "there is one answer to a question: leave it out")] = None
    tools: Annotated[Any, _Takes(([],), "a persona calls no tools: leave them out")] = None
    functions: Annotated[Any, _Takes(([],), "a persona calls no functions: leave them out")] = None
    response_format: Annotated[Any, _Takes(({"type": "text"},), "a persona answers in text: leave it out")] = None
    modalities: Annotated[Any, _Takes((["text"], []), "a persona answers in text: leave it out")] = None
    audio: Annotated[Any, _Takes((), "a persona answers in text: leave it out")] = None
    logprobs: Annotated[Any, _Takes((False,), "they are not known: leave it out")] = None

    @property
    def question(self) -> str:
        """The last message of the user."""
        return self.messages[self._last].content

    @property
    def history(self) -> list[models.Message]:
        """What was said before the question, oldest first."""
        return [
            {"role": message.role, "content": message.content[:MAX_EARLIER_CHARS]}
            for message in self.messages[: self._last]
            if message.role in ("user", "assistant")
        ]

    @property
    def note(self) -> str:
        """What the client's program adds to the persona."""
        notes = (message.content for message in self.messages if message.role in ("system", "developer"))
        return "\n".join(notes)[:MAX_NOTE_CHARS]

    @property
    def _last(self) -> int:
        return max(i for i, message in enumerate(self.messages) if message.role == "user")


class Model(BaseModel):
    """A persona that can be asked."""

    id: Annotated[str, Field(examples=["박자두"])]
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["persona"] = "persona"


class ModelList(BaseModel):
    """All that can be asked."""

    object: Literal["list"] = "list"
    data: list[Model]


class Citation(BaseModel):
    """The part of the answer that a source bears out, in characters (Unicode code points) of its text."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(BaseModel):
    """A source, in the place OpenAI has for it."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: Citation


class Said(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class Choice(BaseModel):
    """The one there is."""

    index: int = 0
    message: Said
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    """Tokens, as the language model counted them or as they are estimated."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class About(BaseModel):
    """How the answer came about, as `/chat/` tells it too."""

    sources: list[Quoted]
    mode: models.Mode
    answerable: bool
    support: float
    unsupported: list[str]
    session_id: str | None
    disclosure: str | None
    notice: str | None


class Completion(About):
    """A whole answer."""

    id: Annotated[str, Field(examples=["chatcmpl-5c1d0b8f6a2e"])]
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Reply:
    """One answer in OpenAI's shapes, under one id."""

    def __init__(self, request: Request, model: str) -> None:
        self._request = request
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        counts = bool(request.stream_options and request.stream_options.include_usage)
        self._no_usage = {"usage": None} if counts else {}

    def whole(self, answer: Answer) -> Completion:
        """The answer as a whole."""
        said = Said(content=answer.output, annotations=annotations(answer))
        usage = self._usage(answer)
        return Completion(**self._head, **about(answer).__dict__, choices=[Choice(message=said)], usage=usage)

    def chunk(self, finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
        """A piece of it."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice], **self._no_usage}

    def last(self, answer: Answer) -> list[dict[str, Any]]:
        """What comes behind the pieces: its sources, its end, and the usage where that was asked for."""
        cited = [annotation.model_dump() for annotation in annotations(answer)]
        chunks = [self.chunk(annotations=cited)] if cited else []
        chunks.append({**self.chunk("stop"), **about(answer).model_dump()})
        if self._no_usage:
            chunks.append({**self.chunk(), "choices": [], "usage": self._usage(answer).model_dump()})
        return chunks

    def _usage(self, answer: Answer) -> Usage:
        if answer.usage:
            return Usage.model_validate(answer.usage, from_attributes=True)
        asked = sum(tokens_of(message.content) + MESSAGE_TOKENS for message in self._request.messages)
        said = tokens_of(answer.output)
        return Usage(prompt_tokens=asked, completion_tokens=said, total_tokens=asked + said)


def about(answer: Answer) -> About:
    """How an answer came about."""
    return About.model_validate(answer, from_attributes=True)


def annotations(answer: Answer) -> list[Annotation]:
    """A citation of each source, for the whole of the answer: which of its words are from which is not known."""
    return [
        Annotation(
            url_citation=Citation(
                start_index=0,
                end_index=len(answer.output),
                url=f"persona:{quote(source.source)}#{quote(source.locator)}",
                title=f"{source.source}, {source.locator}" if source.locator else source.source,
            )
        )
        for source in answer.sources
    ]


def listed(ids: Sequence[tuple[str, int]]) -> ModelList:
    """Personas by id, with when they were made."""
    return ModelList(data=[Model(id=persona_id, created=created) for persona_id, created in ids])
