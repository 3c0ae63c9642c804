"""What an answer is made from besides passages: recorded questions, dates, the conversation, what a model made up."""

from pathlib import Path
from typing import Any

import pytest

from persona_cli.chatbot import PersonaChatbot
from persona_cli.cli.boundary import WRONG_USAGE
from persona_cli.errors import QuestionError
from persona_cli.models import Answer, Chunk
from persona_cli.settings import load_settings
from tests.commands import on_terminal, persona
from tests.stores import FAQ, make_store
from tests.stub_model import StubModel

OLD = Chunk("월요일하고 수요일이요.", "line 1", "방송은 무슨 요일에 하나요?", date="2021-05-01")
NEW = Chunk("화요일, 목요일, 토요일이요.", "line 1", "방송은 무슨 요일에 하나요?", date="2024-03-05")
MOVE = Chunk(
    "I moved the studio in November 2023. The old room was damp and the upstairs neighbour practised the trombone.",
    "lines 3-5",
    date="2023-11-20",
)
PRICE = Chunk("구독은 한 달에 4,900원이에요.", "line 7", "구독료가 얼마예요?")
QUESTION = "방송은 무슨 요일에 하나요?"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = {"2021.txt": [OLD], "2024.txt": [NEW], "faq.txt": [*FAQ[:2], PRICE], "post.md": [MOVE]}
    return make_store(tmp_path_factory.mktemp("answering") / "vector_store", documents)


def ask(store: Path, prompt: str, stub_model: StubModel | None = None, **more: Any) -> Answer:
    flags: dict[str, Any] = {name: more.pop(name) for name in ("verbatim", "strict") if name in more}
    if stub_model:
        flags |= {"openai_base_url": stub_model.base_url, "model": "any"}
    return PersonaChatbot(db_path=store, settings=load_settings(**flags)).ask(prompt, **more)


# Recorded questions


@pytest.mark.parametrize("prompt", ["구독료가 얼마예요?", "구독료가 얼마예요ㅋㅋ?", "구독료 얼마예요"])
def test_a_recorded_question_is_answered_as_it_was_without_asking_a_model(
    store: Path, stub_model: StubModel, prompt: str
) -> None:
    answer = ask(store, prompt, stub_model, verbatim=True)
    assert (answer.mode, answer.output, answer.model) == ("quoted", PRICE.text, None)
    assert stub_model.requests == []


@pytest.mark.parametrize("prompt", ["구독하면 뭐가 좋아요?", "고양이는 몇 살이에요?"])
def test_another_question_on_the_same_matter_is_left_to_the_model(
    store: Path, stub_model: StubModel, prompt: str
) -> None:
    assert ask(store, prompt, stub_model, verbatim=True).mode != "quoted"


def test_the_settings_leave_recorded_questions_to_the_model_too(store: Path, stub_model: StubModel) -> None:
    assert ask(store, "구독료가 얼마예요?", stub_model, verbatim=False).mode == "generated"


# Time


def test_the_newest_answer_comes_first_and_each_with_its_date(store: Path) -> None:
    answer = ask(store, QUESTION)
    assert answer.output.startswith(NEW.text)
    assert "2024-03-05" in answer.output
    assert f"2021-05-01에는 이렇게 말했어요: “{OLD.text}”" in answer.output
    assert [source.date for source in answer.sources] == ["2024-03-05", "2021-05-01"]


def test_as_of_a_date_only_what_had_been_said_counts(store: Path) -> None:
    assert ask(store, QUESTION, as_of="2022-01-01").output == OLD.text
    answer = ask(store, "구독료가 얼마예요?", as_of="2024-12-31")
    assert answer.mode == "refused"  # nobody knows when it was said
    assert PRICE.whole not in [source.text for source in answer.sources]
    assert ask(store, QUESTION, as_of="1999-12-31").mode == "refused"


def test_a_date_that_is_none_is_an_error(store: Path) -> None:
    with pytest.raises(QuestionError, match="어제"):
        ask(store, QUESTION, as_of="어제")
    done = persona("ask", QUESTION, "--as-of", "yesterday", cwd=store.parent)
    assert done.returncode == WRONG_USAGE
    assert "'yesterday' is no date" in done.stderr


def test_an_answer_is_from_a_passage_that_supports_it(store: Path) -> None:
    """The best by rank shares words with this question, and supports nothing."""
    answer = ask(store, "What is the number of the old room of this generation?", explain=True)
    assert answer.explanation
    supports = {(c.source, c.locator): c.support for c in answer.explanation.candidates}
    if answer.mode != "refused":
        assert all(supports[source.source, source.locator] >= 0.15 for source in answer.sources)


def test_a_rewriting_that_fails_leaves_both_questions(store: Path, stub_model: StubModel) -> None:
    flags = {"openai_base_url": stub_model.base_url, "model": "error-500", "model_timeout_s": 1}
    bot = PersonaChatbot(db_path=store, settings=load_settings(**flags))
    answer = bot.ask("한 달에요?", history=HISTORY, explain=True)
    assert (answer.mode, answer.output) == ("quoted", PRICE.text)
    assert answer.explanation
    assert list(answer.explanation.looked_up) == ["한 달에요?", "구독료가 얼마예요? 한 달에요?"]


# Conversation


@pytest.mark.parametrize("prompt", ["안녕하세요!", "고마워요", "ㅋㅋㅋㅋ", "hi there", "are you a bot?"])
def test_small_talk_is_answered_without_looking_anything_up(store: Path, stub_model: StubModel, prompt: str) -> None:
    answer = ask(store, prompt, stub_model)
    assert answer.output
    assert (answer.answerable, answer.sources, answer.support) == (False, (), 0.0)
    assert stub_model.requests == []


HISTORY = [
    {"role": "user", "content": "구독료가 얼마예요?"},
    {"role": "assistant", "content": "한 달에 4,900원이에요."},
]


def test_a_question_goes_on_from_the_one_before(store: Path) -> None:
    alone, after = (ask(store, "한 달에요?", history=history, explain=True) for history in ([], HISTORY))
    assert after.sources[0].text == PRICE.whole
    assert alone.explanation
    assert after.explanation
    assert list(after.explanation.looked_up) == ["한 달에요?", "구독료가 얼마예요? 한 달에요?"]
    assert after.support > alone.support


def test_a_model_makes_a_question_whole(store: Path, stub_model: StubModel) -> None:
    stub_model.answer = "구독료가 얼마예요?"
    answer = ask(store, "그건 얼마예요?", stub_model, history=HISTORY, explain=True)
    rewriting, answering = (request.body["messages"] for request in stub_model.requests)
    assert "그건 얼마예요?" in rewriting[-1]["content"]
    assert answering[1:3] == HISTORY
    assert answering[3]["content"].startswith("(You still answer as ")
    assert answering[3]["content"].endswith(")\n\n그건 얼마예요?")
    assert answer.explanation
    assert list(answer.explanation.looked_up) == ["구독료가 얼마예요?"]
    assert list(answer.explanation.prompt) == answering


# Claims


def test_what_no_passage_says_is_listed(store: Path, stub_model: StubModel) -> None:
    stub_model.answer = "I moved in November 2023, because Mr Pemberton asked 450 dollars for the old one."
    answer = ask(store, "Why did you move the studio?", stub_model)
    assert answer.mode == "generated"
    assert set(answer.unsupported) == {"Pemberton", "450"} or "450" in " ".join(answer.unsupported)
    assert not any("2023" in span for span in answer.unsupported)


def test_strict_asks_once_more_and_then_quotes(store: Path, stub_model: StubModel) -> None:
    stub_model.answer = "I moved in November 1987."
    answer = ask(store, "Why did you move the studio?", stub_model, strict=True)
    assert (answer.mode, len(stub_model.requests)) == ("quoted", 2)
    assert "1987" not in answer.output
    assert "1987" in stub_model.requests[1].body["messages"][-1]["content"]
    assert answer.notice == "the model told more than was said; these are the recorded words"
    stub_model.answer = "I moved in November 2023."
    assert ask(store, "Why did you move the studio?", stub_model, strict=True).mode == "generated"


def test_the_terminal_shows_what_no_passage_says(store: Path, stub_model: StubModel) -> None:
    stub_model.answer = "I moved in November 1987."
    env = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "any"}
    done = persona("ask", "Why did you move the studio?", cwd=store.parent, env=env)
    assert "no passage says: " in done.stdout
    shown = on_terminal("ask", "Why did you move the studio?", "--no-stream", cwd=store.parent, env=env)
    assert "\x1b[2m" in shown.partition("1987")[0]


# Explaining


def test_explain_shows_what_was_weighed_and_what_a_model_was_told(store: Path, stub_model: StubModel) -> None:
    env = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "any"}
    done = persona("ask", "Why did you move the studio?", "--explain", cwd=store.parent, env=env)
    for part in ("looked up: Why did you move", "refused below 0.3", "post.md · lines 3-5", "<passage n=", "--- user"):
        assert part in done.stdout
    assert '"explanation"' not in persona("ask", QUESTION, "--json", cwd=store.parent).stdout
    assert '"candidates"' in persona("ask", QUESTION, "--json", "--explain", cwd=store.parent).stdout
