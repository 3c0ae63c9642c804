import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.local_model import LocalModel

QUESTION: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Name three colours of the rainbow."}]
TOKENS = 20


@pytest.fixture
def client(local_model: LocalModel) -> openai.OpenAI:
    return openai.OpenAI(api_key="none needed", base_url=local_model.base_url, max_retries=0)


def test_local_model_answers_within_the_token_limit(client: openai.OpenAI, local_model: LocalModel) -> None:
    completion = client.chat.completions.create(
        model=local_model.name, messages=QUESTION, max_tokens=TOKENS, temperature=0
    )
    (choice,) = completion.choices
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert completion.usage
    assert completion.usage.completion_tokens == TOKENS


def test_local_model_streams_the_same_answer(client: openai.OpenAI, local_model: LocalModel) -> None:
    whole = client.chat.completions.create(model=local_model.name, messages=QUESTION, max_tokens=TOKENS, temperature=0)
    with client.chat.completions.create(
        model=local_model.name, messages=QUESTION, max_tokens=TOKENS, temperature=0, stream=True
    ) as chunks:
        choices = [choice for chunk in chunks for choice in chunk.choices]
    pieces = [choice.delta.content for choice in choices if choice.delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["length"]
