"""An OpenAI-protocol server for tests: the name of the model says what goes wrong.

| model | what happens |
|---|---|
| error-NNN | that status; error-401 repeats the key, error-429 sends `retry_after` |
| flaky | 500 twice, then an answer |
| hang | no answer, not even a status |
| stall | half an answer, then silence |
| drop | half an answer, then the connection breaks |
| malformed | broken JSON in the middle |
| no-finish | the answer ends without a finish_reason |
| empty | an answer without content |
| html | 200 with a web page |
| slow | `token_delay_s` before each token |
| echo | answers with the last user message |

Any other model answers with `answer`; embedding models fail by the same names.
"""

import asyncio
import base64
import json
import re
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived: path from /v1 on, header names in lower case."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class StubModel:
    """The server's state, open to the test: say what it answers, see what it was asked.

    Attributes:
        base_url: for example "http://127.0.0.1:8081/0/v1".
        answer: what it says; white space ends a token.
        retry_after: seconds or a date, as error-429 sends it.
        token_delay_s: seconds before each token of the model "slow".
        requests: every request with a body, oldest first.
        cancelled: how many answers the client went away from.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.answer = "I said so myself, and I would say it again."
        self.retry_after = "1"
        self.token_delay_s = 0.1
        self.requests: list[Recorded] = []
        self.cancelled = 0
        self.flaky_failures_left = 2

    async def reply(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse({"object": "list", "data": [{"id": "stub", "object": "model", "owned_by": "stub"}]})
        body: dict[str, Any] = await request.json()
        self.requests.append(Recorded(f"/v1/{request.path_params['path']}", body, dict(request.headers)))
        if fault := await self._fault(request, body["model"]):
            return fault
        if "input" in body:
            pieces = _halves(_embeddings(body))
        elif body.get("stream"):
            pieces = list(_events(body, self._tokens(body)))
        else:
            pieces = _halves(_completion(body, self._tokens(body)))
        media_type = "text/event-stream" if body.get("stream") else "application/json"
        return StreamingResponse(self._send(body["model"], pieces), media_type=media_type)

    async def _fault(self, request: Request, model: str) -> Response | None:
        """What comes in place of an answer, if the model's name asks for that."""
        if model == "hang":
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.cancelled += 1
            return Response()
        if model == "html":
            return HTMLResponse("<!doctype html><title>Sign in</title><p>Sign in to use this network.</p>")
        if model == "flaky" and self.flaky_failures_left:
            self.flaky_failures_left -= 1
            return _error(500, "The server had an error.")
        if model == "error-401":
            return _error(401, f"Incorrect API key provided: {request.headers['authorization'].split()[-1]}.")
        if model == "error-429":
            return _error(429, "Rate limit reached.", {"Retry-After": self.retry_after})
        if model.startswith("error-"):
            return _error(int(model.removeprefix("error-")), f"This is {model}.")
        return None

    def _tokens(self, body: dict[str, Any]) -> list[str]:
        text = "" if body["model"] == "empty" else self.answer
        if body["model"] == "echo":
            text = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
        return re.findall(r"\S+\s*|\s+", text)

    async def _send(self, model: str, pieces: list[bytes]) -> AsyncIterator[bytes]:
        try:
            for i, piece in enumerate(pieces):
                if i == len(pieces) // 2:
                    if model == "drop":
                        raise ConnectionResetError("the stub breaks the connection")
                    if model == "stall":
                        await asyncio.Event().wait()
                    if model == "malformed":
                        yield b"data: {broken\n\n"
                if model == "slow":
                    await asyncio.sleep(self.token_delay_s)
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


def embed(text: str, dimensions: int) -> NDArray[np.float32]:
    """`(dimensions,)` float32 of unit length; texts that share pairs of letters lie near each other."""
    vector = np.zeros(dimensions, dtype=np.float32)
    for pair in pairwise(f" {text} "):
        vector[zlib.crc32("".join(pair).encode("utf-8", "replace")) % dimensions] += 1
    return vector / np.float32(np.linalg.norm(vector))


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    rows = [embed(str(text), body.get("dimensions", 256)) for text in texts if body["model"] != "empty"]
    packed = body.get("encoding_format") == "base64"
    vectors = [base64.b64encode(row.tobytes()).decode() if packed else row.tolist() for row in rows]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}


def _completion(body: dict[str, Any], tokens: list[str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(tokens), "refusal": None}
    finish = None if body["model"] == "no-finish" else "stop"
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    usage = {"prompt_tokens": 1, "completion_tokens": len(tokens), "total_tokens": 1 + len(tokens)}
    head = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**head, "choices": choices, "usage": usage}


def _events(body: dict[str, Any], tokens: list[str]) -> Iterator[bytes]:
    """The same completion as server-sent events."""
    whole = _completion(body, tokens)

    def event(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        chunk = {**whole, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
        return f"data: {json.dumps(chunk)}\n\n".encode()

    def delta(finish: str | None = None, **content: str) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": content, "logprobs": None, "finish_reason": finish}]

    yield event(delta(role="assistant", content=""))
    yield from (event(delta(content=token)) for token in tokens)
    if body["model"] != "no-finish":
        yield event(delta("stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield event([], whole["usage"])
        yield b"data: [DONE]\n\n"


def _halves(answer: dict[str, Any]) -> list[bytes]:
    raw = json.dumps(answer).encode()
    return [raw[: len(raw) // 2], raw[len(raw) // 2 :]]


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    error = {"message": message, "type": "stub_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status, headers)


@contextmanager
def running(port: int = 0) -> Iterator[Callable[[], StubModel]]:
    """A server on a thread of this process, as the function that adds a model, each at an address of its own.

    Port 0 takes a free one. One server serves many tests because stopping uvicorn takes 0.2 s.
    """
    app = Starlette()
    with socket.create_server(("127.0.0.1", port)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def add_model() -> StubModel:
            prefix = f"/{len(app.routes)}/v1"
            model = StubModel(address + prefix)
            app.router.add_route(prefix + "/{path:path}", model.reply, methods=["GET", "POST"])
            return model

        config = uvicorn.Config(app, loop="asyncio", ws="none", lifespan="off", log_config=None, log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="stub model")
        thread.start()
        try:
            yield add_model
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
