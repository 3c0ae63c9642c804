import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.stub_model import StubModel

QUESTION: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "안녕하세요, 잘 지내요?"}]


@pytest.fixture
def client(stub_model: StubModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-secret", base_url=stub_model.base_url, max_retries=0, timeout=5) as client:
        yield client


def ask(client: openai.OpenAI, model: str) -> tuple[str, str | None]:
    """The answer's text and finish_reason."""
    (choice,) = client.chat.completions.create(model=model, messages=QUESTION).choices
    return choice.message.content or "", choice.finish_reason


def stream(client: openai.OpenAI, model: str) -> tuple[str, str | None]:
    """The same, put together from a stream."""
    with client.chat.completions.create(model=model, messages=QUESTION, stream=True) as chunks:
        choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason


both_ways = pytest.mark.parametrize("call", [ask, stream])
Call = Callable[[openai.OpenAI, str], tuple[str, str | None]]


@both_ways
def test_stub_answers_and_records(client: openai.OpenAI, stub_model: StubModel, call: Call) -> None:
    assert call(client, "any") == (stub_model.answer, "stop")
    assert call(client, "echo") == (QUESTION[0]["content"], "stop")
    assert call(client, "empty") == ("", "stop")
    assert call(client, "no-finish") == (stub_model.answer, None)
    first = stub_model.requests[0]
    assert (first.path, first.body["messages"]) == ("/v1/chat/completions", QUESTION)
    assert first.headers["authorization"] == "Bearer sk-secret"
    assert stub_model.cancelled == 0


@both_ways
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_stub_fails_with_the_status_asked_for(client: openai.OpenAI, call: Call, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as failure:
        call(client, f"error-{status}")
    assert failure.value.status_code == status
    assert failure.value.response.headers.get("retry-after") == ("1" if status == 429 else None)
    assert ("sk-secret" in str(failure.value)) == (status == 401)


@both_ways
def test_stub_flaky_answers_the_third_time(client: openai.OpenAI, stub_model: StubModel, call: Call) -> None:
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            call(client, "flaky")
    assert call(client, "flaky") == (stub_model.answer, "stop")


@both_ways
@pytest.mark.parametrize("model", ["hang", "stall"])
def test_stub_falls_silent_until_the_client_goes(
    client: openai.OpenAI, stub_model: StubModel, call: Call, model: str
) -> None:
    with pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout)):
        call(client.with_options(timeout=0.2), model)
    deadline = time.monotonic() + 5
    while stub_model.cancelled < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stub_model.cancelled == 1


@both_ways
@pytest.mark.parametrize("model", ["drop", "malformed"])
def test_stub_breaks_in_the_middle(client: openai.OpenAI, call: Call, model: str) -> None:
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError, ValueError)):
        call(client, model)


def test_stub_sends_a_web_page(stub_model: StubModel) -> None:
    response = httpx2.post(f"{stub_model.base_url}/chat/completions", json={"model": "html", "messages": []})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


def test_stub_is_slow(client: openai.OpenAI, stub_model: StubModel) -> None:
    stub_model.answer, stub_model.token_delay_s = "one two three", 0.05
    started = time.monotonic()
    assert stream(client, "slow") == ("one two three", "stop")
    assert time.monotonic() - started > 3 * 0.05


@pytest.mark.parametrize("encoding", [openai.omit, "float"])
def test_stub_embeds_alike_what_reads_alike(client: openai.OpenAI, encoding: Any) -> None:
    texts = ["유퀴즈 출연 후 아쉬웠던 점?", "유퀴즈하고 아쉬웠던 점은 무엇인가요?", "제일 좋아하는 게임은?"]
    rows = client.embeddings.create(model="any", input=texts, dimensions=64, encoding_format=encoding).data
    question, near, far = np.array([row.embedding for row in rows])
    assert len(question) == 64
    assert np.linalg.norm(question) == pytest.approx(1, abs=1e-6)
    assert question @ near > question @ far
