"""Conversations from the first turn to the sixtieth: what is kept, what reaches the model, what a kill leaves."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from persona_cli.budget import MESSAGE_TOKENS, tokens_of
from persona_cli.catalog import Catalog
from persona_cli.chatbot import PersonaChatbot
from persona_cli.errors import QuestionError, SessionUnknown
from persona_cli.models import Answer
from persona_cli.sessions import Session, Sessions
from persona_cli.settings import load_settings
from tests.commands import PERSONA, persona
from tests.local_model import LocalModel
from tests.stores import FAQ, make_store
from tests.stub_model import StubModel

QUESTIONS = [chunk.question for chunk in FAQ if chunk.question]
ASKED = ["Why did you move?", "When did you move?", "Was the old room damp?", "Who played the trombone?"]
ANSWERS = ["The old room was damp.", "In November.", "Very.", "The neighbour did.", "I told you about the damp."]
TRIES = 10
"""The model is small, and draws its words: it may need to be asked more than once."""
PROFILE = 'name = "박자두"\ndescription = "밤 아홉 시에 방송하는 사람"\naddress = "두부님"\n'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = make_store(tmp_path / "vector_store", {"faq.txt": FAQ})
    catalog = Catalog(folder)
    catalog.set_assets({"persona.toml": PROFILE.encode()})
    catalog.close()
    return folder


def bot(store: Path, stub_model: StubModel | None = None, **flags: Any) -> PersonaChatbot:
    if stub_model:
        flags = {"openai_base_url": stub_model.base_url, "model": "any", **flags}
    return PersonaChatbot(db_path=store, settings=load_settings(**flags))


def kept(store: Path, session_id: str | None) -> Session:
    assert session_id
    catalog = Catalog(store)
    try:
        return Sessions(catalog).load(session_id)
    finally:
        catalog.close()


def test_a_session_is_begun_kept_and_gone_on_with(store: Path) -> None:
    person = bot(store)
    first = person.ask(QUESTIONS[0], session="new")
    second = person.ask(QUESTIONS[1], session=first.session_id)
    assert first.session_id == second.session_id
    turns = kept(store, first.session_id).turns
    assert [(turn.question, turn.answer, turn.state) for turn in turns] == [
        (QUESTIONS[0], first.output, "done"),
        (QUESTIONS[1], second.output, "done"),
    ]
    assert [source.text for source in turns[0].sources] == [source.text for source in first.sources]


def test_nothing_is_kept_where_no_session_is_named(store: Path) -> None:
    assert bot(store).ask(QUESTIONS[0]).session_id is None
    catalog = Catalog(store)
    assert Sessions(catalog).outlines() == []
    catalog.close()


def test_the_first_answer_of_a_session_says_what_answers(store: Path) -> None:
    person = bot(store)
    first = person.ask(QUESTIONS[0], session="new")
    assert first.disclosure == "박자두 본인이 아니라, 기록된 말(faq.txt)로 만든 모델의 답이에요."
    assert person.ask(QUESTIONS[1], session=first.session_id).disclosure is None
    assert person.ask("안녕하세요").disclosure


def test_an_unknown_session_is_not_begun_by_asking_in_it(store: Path) -> None:
    with pytest.raises(SessionUnknown, match="nope"):
        bot(store).ask(QUESTIONS[0], session="nope")


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"as_of": "soon"}])
def test_a_question_that_cannot_be_asked_leaves_no_turn(store: Path, wrong: dict[str, Any]) -> None:
    person = bot(store)
    session = person.ask(QUESTIONS[0], session="new").session_id
    with pytest.raises(QuestionError):
        person.ask(QUESTIONS[0], session=session, **wrong)
    assert len(kept(store, session).turns) == 1


def test_what_somebody_tells_of_themselves_is_noted_and_told_back(store: Path) -> None:
    person = bot(store)
    first = person.ask("제 강아지 이름은 두부예요.", session="new")
    assert (first.mode, first.output[:7]) == ("generated", "그렇군요, 기")
    again = person.ask("제 강아지 이름이 뭐라고 했죠?", session=first.session_id)
    assert again.output == "앞에서 이렇게 말씀하셨어요: “제 강아지 이름은 두부예요.”"


def test_topics_to_avoid_are_avoided_whatever_was_recorded(store: Path) -> None:
    catalog = Catalog(store)
    catalog.set_assets({"persona.toml": (PROFILE + 'avoid = ["고양이 이름"]\n').encode()})
    catalog.close()
    answer = bot(store).ask("고양이이름이 뭐예요?")
    assert (answer.mode, answer.sources) == ("refused", ())
    assert answer.output == "그 이야기는 하지 않기로 했어요. 다른 걸 물어봐 주세요."


@pytest.mark.parametrize("question", ["누구세요?", "자기소개 부탁드려요"])
def test_who_the_person_is_stands_in_the_profile(store: Path, question: str) -> None:
    answer = bot(store).ask(question)
    assert answer.output.startswith("저는 박자두 본인이 아니라, 기록된 박자두의 말로 만든 모델이에요.")
    assert answer.output.endswith("밤 아홉 시에 방송하는 사람")


def test_a_refusal_is_in_the_persons_manner(store: Path) -> None:
    catalog = Catalog(store)
    catalog.set_assets({"persona.toml": (PROFILE + '[voice]\nregister = "banmal"\n').encode()})
    catalog.close()
    assert bot(store).ask("몽골의 수도는 어디예요?").output.startswith("두부님, 그건 내가 아직 얘기한 적이 없어.")


def converse(person: PersonaChatbot, questions: list[str], session: str = "new") -> Answer:
    for question in questions:
        answer = person.ask(question, session=session)
        session = answer.session_id or ""
    return answer


@pytest.mark.slow
def test_sixty_turns_in_a_small_window_keep_the_persona_and_what_was_told(store: Path, stub_model: StubModel) -> None:
    stub_model.answer = "네, 그건 제가 방송에서 여러 번 이야기했어요. 편하게 또 물어보세요."
    window = 1_600
    person = bot(store, stub_model, context_tokens=window, verbatim=False)
    told = ["제 강아지 이름은 두부예요. 말티즈고요."]
    questions = [*QUESTIONS[:2], *told, *(QUESTIONS[i % len(QUESTIONS)] for i in range(56))]
    session = converse(person, questions).session_id
    person.ask("제 강아지 이름이 뭐라고 했죠?", session=session)

    prompts = [request.body["messages"] for request in stub_model.requests]
    room = load_settings(context_tokens=window).prompt_tokens
    assert max(sum(tokens_of(m["content"]) + MESSAGE_TOKENS for m in prompt) for prompt in prompts) <= room
    answering = [prompt for prompt in prompts if "Name: 박자두" in prompt[0]["content"]]
    assert len(answering) >= 60
    assert all("박자두" in prompt[-1]["content"] for prompt in answering[1:])
    assert "두부예요" in str(answering[-1])
    assert any("notes anew" in prompt[0]["content"] for prompt in prompts)
    now = kept(store, session)
    assert (len(now.turns), now.summary) == (60, stub_model.answer)
    assert now.summarised > 40
    assert stub_model.answer in answering[-1][0]["content"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_real_model_answers_a_question_about_the_third_turn(
    tmp_path: Path, stub_model: StubModel, local_model: LocalModel
) -> None:
    chunk = "I moved the studio in November. The old room was damp, and the neighbour practised the trombone."
    from persona_cli.models import Chunk

    store = make_store(tmp_path / "vector_store", {"post.md": [Chunk(chunk, "line 1")]})
    stubbed = bot(store, stub_model, context_tokens=2_000, max_answer_tokens=60)
    session = "new"
    for n in range(59):
        stub_model.answer = ANSWERS[n % len(ANSWERS)]
        question = "My dog is called Biscuit." if n == 2 else ASKED[n % len(ASKED)]
        session = stubbed.ask(question, session=session).session_id or ""
    real = bot(
        store,
        openai_base_url=local_model.base_url,
        model=local_model.name,
        context_tokens=2_000,
        max_answer_tokens=60,
        model_timeout_s=170,
    )
    for _ in range(TRIES):
        answer = real.ask("What is my dog called?", session=session, explain=True)
        assert answer.explanation
        assert "My dog is called Biscuit." in str(answer.explanation.prompt)
        assert (answer.mode, answer.model) == ("generated", local_model.name)
        if "Biscuit" in answer.output:
            return
    pytest.fail(f"told {TRIES} times, and not once repeated")


def test_a_process_killed_in_mid_answer_leaves_what_was_said_and_the_session_goes_on(
    store: Path, stub_model: StubModel
) -> None:
    stub_model.answer = "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 " * 20
    env = {**os.environ, "OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "slow"}
    command = [*PERSONA, "ask", QUESTIONS[0], "--session", "첫날", "--db", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        until = time.monotonic() + 40
        while time.monotonic() < until and not _partial(store):
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    (turn,) = kept(store, "첫날").turns
    assert (turn.question, turn.state) == (QUESTIONS[0], "open")
    assert turn.answer.startswith("하나 둘 셋")
    shown = persona("sessions", "show", "첫날", cwd=store.parent)
    assert "하나 둘 셋" in shown.stdout
    stub_model.answer = "그 다음이요."
    answer = bot(store, stub_model, verbatim=False).ask(QUESTIONS[1], session="첫날")
    assert answer.output == "그 다음이요."
    assert "하나 둘 셋" in str(stub_model.requests[-1].body["messages"])
    assert [each.state for each in kept(store, "첫날").turns] == ["open", "done"]


def _partial(store: Path) -> bool:
    try:
        turns = kept(store, "첫날").turns
    except SessionUnknown:
        return False
    return bool(turns and "셋" in turns[-1].answer)


def test_the_command_line_goes_on_with_the_last_session(store: Path) -> None:
    def ask(*arguments: str) -> Any:
        done = persona("ask", *arguments, cwd=store.parent)
        assert done.returncode == 0, done.stderr
        return done

    assert "본인이 아니라" in ask(QUESTIONS[0]).stderr
    assert "본인이 아니라" not in ask(QUESTIONS[1], "--continue").stderr
    ask("안녕하세요", "--session", "work")
    ask("고마워요", "--session", "work")
    catalog = Catalog(store)
    assert sorted(outline.turns for outline in Sessions(catalog).outlines()) == [2, 2]
    catalog.close()


def test_there_is_no_last_session_before_the_first(store: Path) -> None:
    done = persona("ask", QUESTIONS[0], "--continue", cwd=store.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no session to go on with yet" in done.stderr
    both = persona("ask", QUESTIONS[0], "--continue", "--session", "a", cwd=store.parent)
    assert both.returncode == 2


def test_sessions_can_be_switched_off(store: Path) -> None:
    done = persona("ask", QUESTIONS[0], cwd=store.parent, env={"PERSONA_KEEP_SESSIONS": "false"})
    assert done.returncode == 0
    catalog = Catalog(store)
    assert Sessions(catalog).outlines() == []
    catalog.close()
