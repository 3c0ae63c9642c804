"""The main job from end to end on the example person: ingest, then the same answer by every way in."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import requests

from persona_cli import PersonaChatbot
from tests.commands import persona
from tests.local_model import LocalModel
from tests.servers import serving

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTION = "유퀴즈 출연 후 아쉬웠던 점?"
ANSWER_BEGINS = "제 박자를 못 지킨 거요."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `persona ingest` has read the examples into the default store."""
    folder = tmp_path_factory.mktemp("main-job")
    report = json.loads(persona("ingest", str(EXAMPLES), "--json", cwd=folder).stdout)
    assert report["documents"] == {"added": 4, "updated": 0, "unchanged": 0, "removed": 0, "skipped": 0}
    assert (report["skipped"], report["embedding"], report["generation"]) == ([], "local", 1)
    return folder


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without how long it took, and how it came about, which was not asked."""
    return {name: value for name, value in answer.items() if name not in ("timings_ms", "explanation", "session_id")}


@pytest.mark.parametrize(
    "question",
    [QUESTION, "고양이 이름이 왜 그래요?", "Why did you move the studio?", "무라카미 하루키는 어떤 작가인가요?"],
)
def test_the_same_question_gets_the_same_answer_by_every_way_in(
    home: Path, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_cli = json.loads(persona("ask", question, "--json", cwd=home).stdout)
    with serving(home) as server:
        by_http = server.post({"prompt": question}).json()
    monkeypatch.chdir(home)
    chatbot = PersonaChatbot()
    by_python = json.loads(json.dumps(asdict(chatbot.ask(question))))
    assert told(by_cli) == told(by_http) == told(by_python)
    assert chatbot.chat(question) == by_cli["output"]


def test_the_model_case_is_answered_with_the_recorded_answer_alone(home: Path) -> None:
    answer = json.loads(persona("ask", QUESTION, "--json", cwd=home).stdout)
    assert answer["output"].startswith(ANSWER_BEGINS)
    assert "무엇인가요" not in answer["output"]
    assert (answer["mode"], answer["answerable"]) == ("quoted", True)
    assert answer["sources"][0]["source"].endswith("examples/faq.txt")
    assert answer["sources"][0]["locator"].startswith("line")


def test_the_locator_leads_to_the_words(home: Path) -> None:
    source = json.loads(persona("ask", QUESTION, "--json", cwd=home).stdout)["sources"][0]
    line = int(source["locator"].split()[-1].split("-")[0])
    lines = (EXAMPLES / "faq.txt").read_text(encoding="utf-8").splitlines()
    assert lines[line - 1].startswith("유퀴즈하고 아쉬웠던 점은")


def test_a_question_about_nothing_that_was_said_is_refused_in_its_language(home: Path) -> None:
    for question, begins in (
        ("양자역학의 불확정성 원리를 설명해 줘", "지각생님, 그건 제가"),
        ("Explain the Treaty of Westphalia", "I have not"),
    ):
        answer = json.loads(persona("ask", question, "--json", cwd=home).stdout)
        assert (answer["mode"], answer["answerable"]) == ("refused", False)
        assert answer["output"].startswith(begins)


@pytest.mark.timeout(180)
def test_the_blogs_client_works_unchanged(home: Path, local_model: LocalModel) -> None:
    body = {"api_key": "sk-anything", "db_path": "vector_store/", "prompt": QUESTION}
    with serving(home) as server:
        quoted = requests.post(f"{server.url}/chat", json={**body, "api_key": ""}, timeout=60).json()["output"]
    assert quoted.startswith(ANSWER_BEGINS)
    env = {"OPENAI_BASE_URL": local_model.base_url, "PERSONA_MODEL": local_model.name}
    with serving(home, env=env) as server:
        response = requests.post(f"{server.url}/chat", json=body, timeout=120)
    assert response.history == []
    assert response.json()["output"].strip()
    assert response.json()["mode"] == "generated"


def test_a_second_ingest_embeds_nothing(home: Path) -> None:
    report = json.loads(persona("ingest", str(EXAMPLES), "--json", cwd=home).stdout)
    assert (report["documents"]["unchanged"], report["embedded"], report["generation"]) == (4, 0, 1)
