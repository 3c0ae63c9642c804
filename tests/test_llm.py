import asyncio
import gc
import json
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from persona_cli.endpoint import Endpoint
from persona_cli.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable
from persona_cli.llm import MAX_ANSWER_CHARS, RemoteModel
from persona_cli.models import Message, Usage
from tests.local_model import LocalModel
from tests.stub_model import StubModel

KEY = "sk-secret-0123456789"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "고양이 이름이 뭐예요?"}]

pytestmark = pytest.mark.anyio


class Model(RemoteModel):
    """The model under test, which lets go of its connections with the block."""

    async def __aenter__(self) -> "Model":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def at(stub_model: StubModel, name: str = "any", timeout_s: float = 5) -> Model:
    return Model(name, Endpoint(KEY, stub_model.base_url, timeout_s))


async def parts(
    model: RemoteModel, messages: Sequence[Message] = MESSAGES, api_key: str | None = None
) -> tuple[str, list[Usage]]:
    """The whole text, and the usages."""
    got = [part async for part in model.stream(messages, api_key)]
    usages = [part for part in got if isinstance(part, Usage)]
    assert [isinstance(part, Usage) for part in got] == sorted(isinstance(part, Usage) for part in got)
    return "".join(part for part in got if isinstance(part, str)), usages


async def failure(model: RemoteModel, api_key: str | None = None) -> tuple[list[str | Usage], ModelError]:
    """What came before the failure, and the failure."""
    got: list[str | Usage] = []
    with pytest.raises(ModelError) as caught:
        await collect(model.stream(MESSAGES, api_key), got)
    return got, caught.value


async def collect(stream: AsyncGenerator[str | Usage], into: list[str | Usage]) -> None:
    async for part in stream:
        into.append(part)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.01)


async def test_an_answer_comes_in_pieces_and_then_its_usage(stub_model: StubModel) -> None:
    stub_model.answer = "보류예요. 병원 접수대에서 정해졌어요."
    async with at(stub_model) as model:
        got = [part async for part in model.stream(MESSAGES)]
    assert got == ["보류예요. ", "병원 ", "접수대에서 ", "정해졌어요.", Usage(1, 4, 5)]
    (request,) = stub_model.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "any",
        "messages": MESSAGES,
        "stream": True,
        "max_completion_tokens": 2000,
        "stream_options": {"include_usage": True},
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert stub_model.cancelled == 0


async def test_a_callers_key_is_used_for_one_answer_and_kept_nowhere(stub_model: StubModel) -> None:
    async with at(stub_model) as model:
        for key in (None, "sk-callers", None):
            await parts(model, api_key=key)
        sent = [request.headers["authorization"].removeprefix("Bearer ") for request in stub_model.requests]
    assert sent == [KEY, "sk-callers", KEY]


async def test_a_callers_key_that_no_header_can_hold_is_refused_unsent(stub_model: StubModel) -> None:
    async with at(stub_model) as model:
        _, error = await failure(model, "sk-callers\n한글")
    assert isinstance(error, ModelRefused)
    assert "sk-callers" not in "".join(traceback.format_exception(error)) + repr(error)
    assert stub_model.requests == []


FAULTS: list[tuple[str, type[ModelError], int, str]] = [
    ("error-400", ModelRefused, 1, "refused the request for 'error-400': This is error-400."),
    ("error-401", ModelRefused, 1, "refused the key for 'error-401': check OPENAI_API_KEY"),
    ("error-403", ModelRefused, 1, "refused the key for 'error-403': check OPENAI_API_KEY"),
    ("error-404", ModelRefused, 1, "has no model 'error-404': set PERSONA_MODEL to one it serves"),
    ("error-422", ModelRefused, 1, "refused the request for 'error-422': This is error-422."),
    ("error-429", ModelBusy, 3, "takes no more requests for 'error-429' now: try again later"),
    ("error-500", ModelUnavailable, 3, "cannot be reached for 'error-500': status 500"),
    ("error-503", ModelUnavailable, 3, "cannot be reached for 'error-503': status 503"),
    ("drop", ModelUnavailable, 1, "cannot be reached for 'drop': no connection"),
    ("malformed", ModelBroken, 1, "sent something for 'malformed' that is no answer"),
    ("no-finish", ModelBroken, 1, "the answer of 'no-finish' at "),
    ("empty", ModelBroken, 1, "sent an empty answer from 'empty'"),
    ("html", ModelBroken, 1, "sent an empty answer from 'html'"),
]
"""Model of the stub → error, how many requests it takes, and what the message says."""


@pytest.mark.parametrize(("name", "kind", "requests", "words"), FAULTS)
async def test_a_fault_of_the_endpoint_is_one_clear_error(
    stub_model: StubModel, name: str, kind: type[ModelError], requests: int, words: str
) -> None:
    stub_model.retry_after = "0.01"
    async with at(stub_model, name) as model:
        got, error = await failure(model, "sk-callers-0123456789")
    assert type(error) is kind
    assert words in str(error)
    assert stub_model.base_url.split("/")[2] in str(error)
    told = "".join(traceback.format_exception(error)) + repr(error)
    assert KEY not in told
    assert "sk-callers-0123456789" not in told
    assert len(stub_model.requests) == requests
    assert all(isinstance(part, str) for part in got)


@pytest.mark.parametrize("name", ["hang", "stall"])
async def test_silence_ends_with_the_time_out_and_is_not_tried_again(stub_model: StubModel, name: str) -> None:
    async with at(stub_model, name, 1) as model:
        got, error = await failure(model)
    assert bool(got) == (name == "stall")
    assert type(error) is ModelUnavailable
    assert str(error).endswith("no answer within 1 s")
    assert len(stub_model.requests) == 1
    await until(lambda: stub_model.cancelled == 1)


async def test_a_slow_answer_is_not_silence(stub_model: StubModel) -> None:
    stub_model.answer, stub_model.token_delay_s = "one two three", 0.3
    async with at(stub_model, "slow", 1) as model:
        text, _ = await parts(model)
    assert text == stub_model.answer


async def test_an_endpoint_that_recovers_answers_after_all(stub_model: StubModel) -> None:
    async with at(stub_model, "flaky") as model:
        text, _ = await parts(model)
    assert text == stub_model.answer
    assert len(stub_model.requests) == 3


@pytest.mark.parametrize("name", ["drop", "malformed", "stall", "no-finish"])
async def test_nothing_is_tried_again_once_a_piece_was_shown(stub_model: StubModel, name: str) -> None:
    async with at(stub_model, name, 1) as model:
        got, _ = await failure(model)
    assert got
    assert stub_model.answer.startswith("".join(map(str, got)))
    assert len(stub_model.requests) == 1


async def test_an_endpoint_that_asks_for_too_much_patience_is_not_waited_for(stub_model: StubModel) -> None:
    stub_model.retry_after = "100"
    async with at(stub_model, "error-429", 60) as model:
        _, error = await failure(model)
    assert isinstance(error, ModelBusy)
    assert error.values["retry_after_s"] == 100
    assert len(stub_model.requests) == 1


async def test_leaving_the_stream_ends_the_work_upstream(stub_model: StubModel) -> None:
    stub_model.token_delay_s = 0.05
    async with at(stub_model, "slow") as model:
        async with aclosing(model.stream(MESSAGES)) as stream:
            assert await anext(stream) == "I "
        await until(lambda: stub_model.cancelled == 1)
        text, _ = await parts(model)  # and the next question is answered
    assert text == stub_model.answer


@pytest.mark.parametrize("name", ["hang", "stall"])
async def test_cancelling_the_task_ends_the_work_upstream(stub_model: StubModel, name: str) -> None:
    async with at(stub_model, name, 60) as model:
        task = asyncio.create_task(parts(model))
        await until(lambda: len(stub_model.requests) == 1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: stub_model.cancelled == 1)


async def test_many_streams_at_once_keep_their_own_answers(stub_model: StubModel) -> None:
    async with at(stub_model, "echo") as model:
        questions = [f"질문 {i}" for i in range(20)]
        answers = await asyncio.gather(*(parts(model, [{"role": "user", "content": q}]) for q in questions))
    assert [text for text, _ in answers] == questions


async def test_letting_go_is_no_end(stub_model: StubModel) -> None:
    model = at(stub_model)
    await model.aclose()
    for _ in range(2):
        assert (await parts(model))[0] == stub_model.answer
        await model.aclose()


def in_loops_of_their_own(model: Model, count: int, work: Callable[[], Awaitable[object]]) -> None:
    async def once() -> None:
        async with model:
            await work()

    for _ in range(count):
        asyncio.run(once())
    gc.collect()  # whatever was left open would warn now, and warnings are errors here


def test_each_event_loop_has_connections_of_its_own(stub_model: StubModel) -> None:
    model = at(stub_model)
    in_loops_of_their_own(model, 3, lambda: parts(model))
    assert len(stub_model.requests) == 3


@pytest.mark.parametrize("name", ["error-500", "hang", "drop", "malformed", "html"])
def test_nothing_is_left_open_after_a_fault(stub_model: StubModel, name: str) -> None:
    model = at(stub_model, name, 0.2)
    in_loops_of_their_own(model, 1, lambda: failure(model))


def test_nothing_is_left_open_after_leaving_midway(stub_model: StubModel) -> None:
    model = at(stub_model, "slow")

    async def leave() -> None:
        async with aclosing(model.stream(MESSAGES)) as stream:
            await anext(stream)

    in_loops_of_their_own(model, 1, leave)


@contextmanager
def sending(*events: object) -> Iterator[Model]:
    """A model at an endpoint that streams these events, each as JSON; a list goes on for ever."""

    def lines() -> Iterator[str]:
        for event in events:
            while True:
                yield event if isinstance(event, str) else json.dumps(event)
                if event is not ENDLESS:
                    break

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                for line in lines():
                    self.wfile.write(f"data: {line}\n\n".encode())
            except ConnectionError:
                pass  # the client went away

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Model("odd", Endpoint(KEY, f"http://127.0.0.1:{server.server_port}/v1", 5))
        finally:
            server.shutdown()
            thread.join()


def chunk(content: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more}


ENDLESS = chunk("더 말하자면 " * 100)
DONE = "[DONE]"
COUNTS = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": "ping"},
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"index": 0, "delta": None}]},
        chunk(None),
        chunk(""),
        chunk([{"type": "thinking", "thinking": "hm"}]),
        chunk(7),
        {"usage": None},
        {"usage": {}},
        {"usage": 7},
        {"usage": {**COUNTS, "total_tokens": None}},
        "null",
        "7",
        "[]",
    ],
    ids=str,
)
async def test_a_chunk_that_adds_nothing_is_passed_over(odd: object) -> None:
    with sending(odd, chunk("네."), odd, chunk(finish="stop"), odd, DONE) as model:
        async with model:
            assert await parts(model) == ("네.", [])


async def test_usage_that_comes_with_every_chunk_is_told_once_and_last() -> None:
    running = {**COUNTS, "completion_tokens": 1, "total_tokens": 2}
    with sending(chunk("네, ", usage=running), chunk("네.", "stop", usage=COUNTS), DONE) as model:
        async with model:
            assert await parts(model) == ("네, 네.", [Usage(1, 2, 3)])


async def test_an_answer_cut_at_its_length_is_an_answer() -> None:
    with sending(chunk("네, "), chunk("그런데", "length"), DONE) as model:
        async with model:
            assert await parts(model) == ("네, 그런데", [])


async def test_an_answer_of_spaces_is_empty() -> None:
    with sending(chunk(" "), chunk("\n", "stop"), DONE) as model:
        async with model:
            _, error = await failure(model)
    assert type(error) is ModelBroken
    assert str(error).endswith("sent an empty answer from 'odd'")


async def test_half_a_character_becomes_one_that_can_be_written() -> None:
    with sending('{"choices": [{"delta": {"content": "오\\ud83d리"}, "finish_reason": "stop"}]}', DONE) as model:
        async with model:
            assert await parts(model) == ("오\ufffd리", [])


@pytest.mark.parametrize(
    "broken", [{"choices": 7}, {"choices": True}, "{broken", "\0", "[" * 200_000], ids=lambda body: repr(body)[:20]
)
async def test_what_is_no_chunk_is_a_broken_answer(broken: object) -> None:
    with sending(chunk("네, "), broken, chunk("네.", "stop"), DONE) as model:
        async with model:
            got, error = await failure(model)
    assert got == ["네, "]
    assert type(error) is ModelBroken


async def test_an_error_in_the_stream_is_told_in_upstreams_words() -> None:
    with sending({"error": {"message": f"overloaded, says {KEY}", "code": 503}}) as model:
        async with model:
            _, error = await failure(model)
    assert type(error) is ModelUnavailable
    assert str(error).endswith("cannot be reached for 'odd': overloaded, says ***")


async def test_an_answer_without_end_is_cut_off() -> None:
    with sending(ENDLESS) as model:
        async with model:
            got, error = await failure(model)
    assert type(error) is ModelBroken
    assert len("".join(map(str, got))) <= MAX_ANSWER_CHARS


async def test_a_real_model_answers(local_model: LocalModel) -> None:
    async with Model(local_model.name, Endpoint(None, local_model.base_url, 30)) as model:
        text, (usage,) = await parts(model, [{"role": "user", "content": "What is the capital of France?"}])
    assert any(char.isalpha() for char in text)  # what it says is left to chance: the model draws its words
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
