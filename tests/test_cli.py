"""The command line, each command in a process of its own."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from persona_cli.cli.boundary import BUG, FAILED, INTERRUPTED, WRONG_USAGE
from tests.commands import PERSONA, complaints, on_terminal, persona
from tests.stores import FAQ, make_store
from tests.stub_model import StubModel

QUESTION = "고양이 이름이 뭐예요?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in the default place."""
    folder = tmp_path_factory.mktemp("cli")
    make_store(folder / "vector_store")
    return folder


def test_an_answer_goes_to_standard_output_with_its_source_under_it(home: Path) -> None:
    done = persona("ask", QUESTION, cwd=home)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == FAQ[1].text
    assert lines[2] == "[1] faq.txt · line 3"
    assert complaints(done) == ""
    assert "이 사람 본인이 아니라" in done.stderr


def test_without_a_terminal_there_is_no_colour(home: Path) -> None:
    assert "\x1b" not in persona("ask", QUESTION, cwd=home).stdout


def test_on_a_terminal_sources_are_dimmed_and_no_color_is_honoured(home: Path) -> None:
    assert "\x1b[2m" in on_terminal("ask", QUESTION, cwd=home)
    assert "\x1b" not in on_terminal("ask", QUESTION, cwd=home, env={"NO_COLOR": "1"})


def test_json_is_one_object_as_the_contract_says(home: Path) -> None:
    answer = json.loads(persona("ask", QUESTION, "--json", cwd=home).stdout)
    wanted = [
        "output",
        "mode",
        "answerable",
        "support",
        "sources",
        "unsupported",
        "session_id",
        "model",
        "usage",
        "timings_ms",
    ]
    assert set(wanted) <= set(answer)
    assert set(answer["sources"][0]) == {"n", "source", "locator", "speaker", "date", "text", "score"}
    assert answer["sources"][0]["text"] == f"{FAQ[1].question}\n{FAQ[1].text}"
    assert set(answer["timings_ms"]) == {"embed", "search", "first_token", "total"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_a_question_comes_from_standard_input_in_any_encoding(home: Path, encoding: str) -> None:
    assert persona("ask", "-", cwd=home, stdin=f"{QUESTION}\r\n".encode(encoding)).stdout.startswith(FAQ[1].text)


def test_a_question_is_read_from_a_pipe_without_being_told(home: Path) -> None:
    assert persona("ask", cwd=home, stdin=QUESTION).stdout.startswith(FAQ[1].text)


def test_asking_nothing_on_a_terminal_is_wrong_usage(home: Path) -> None:
    assert "what do you want to ask" in on_terminal("ask", cwd=home)


def test_ask_before_any_ingest_says_what_to_do(tmp_path: Path) -> None:
    done = persona("ask", "안녕?", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr == "persona: nothing has been ingested into 'vector_store' yet: run `persona ingest FOLDER`\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_one_line_and_status_one(home: Path, question: str) -> None:
    done = persona("ask", question, cwd=home)
    assert (done.returncode, done.stderr.count("\n")) == (FAILED, 1)


@pytest.mark.parametrize(
    "arguments", [["ask", "--top-k", "0", "x"], ["ask", "--nonsense"], ["fly"], ["ingest", "no-such"]]
)
def test_wrong_usage_is_status_two(home: Path, arguments: list[str]) -> None:
    done = persona(*arguments, cwd=home)
    assert done.returncode == WRONG_USAGE
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_names_the_nearest(home: Path) -> None:
    done = persona("ask", QUESTION, cwd=home, env={"PERSONA_TOPK": "3"})
    assert (done.returncode, done.stderr) == (
        FAILED,
        "persona: there is no setting 'PERSONA_TOPK': did you mean PERSONA_TOP_K?\n",
    )


def test_messages_are_korean_under_a_korean_locale(tmp_path: Path) -> None:
    done = persona("ask", "안녕?", cwd=tmp_path, env={"LANG": "ko_KR.UTF-8"})
    assert "아직 비어 있습니다" in done.stderr
    assert "그 사람에게 묻는다" in persona("--help", cwd=tmp_path, env={"LC_ALL": "ko_KR.UTF-8"}).stdout


def test_output_survives_an_ascii_terminal(home: Path) -> None:
    done = persona("ask", QUESTION, cwd=home, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    answer = json.loads(persona("ask", QUESTION, "--json", cwd=home, env={"PYTHONIOENCODING": "ascii"}).stdout)
    assert answer["output"] == FAQ[1].text


def test_a_generated_answer_streams_with_its_source(home: Path, stub_model: StubModel) -> None:
    env = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "stub"}
    for flags in ([], ["--no-stream"]):
        done = persona("ask", QUESTION, *flags, cwd=home, env=env)
        assert done.stdout.splitlines()[0] == stub_model.answer
        assert "[1] faq.txt · line 3" in done.stdout


def test_the_model_flag_beats_the_environment(home: Path, stub_model: StubModel) -> None:
    env = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "error-500"}
    assert persona("ask", QUESTION, "--model", "stub", cwd=home, env=env).stdout.startswith(stub_model.answer)


def test_a_refused_key_is_one_line_without_the_key(home: Path, stub_model: StubModel) -> None:
    env = {"OPENAI_BASE_URL": stub_model.base_url, "OPENAI_API_KEY": "sk-SECRET", "PERSONA_MODEL": "error-401"}
    done = persona("ask", QUESTION, cwd=home, env=env)
    assert (done.returncode, done.stderr.count("\n")) == (FAILED, 1)
    assert "SECRET" not in done.stderr + done.stdout


def test_an_answer_that_breaks_off_shows_what_came_and_fails(home: Path, stub_model: StubModel) -> None:
    done = persona("ask", QUESTION, cwd=home, env={"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "drop"})
    assert done.returncode == FAILED
    assert done.stdout.strip()
    assert done.stderr.count("\n") == 1


def test_ctrl_c_while_the_model_is_silent_is_130(home: Path, stub_model: StubModel) -> None:
    env = {**os.environ, "OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "stall"}
    process = subprocess.Popen(
        [*PERSONA, "ask", QUESTION], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdout
    assert process.stdout.read(1)  # the answer has begun
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint.decode().strip()) == (INTERRUPTED, "persona: interrupted")


def test_a_reader_that_goes_away_is_no_bug(home: Path) -> None:
    command = " ".join(PERSONA) + f" ask '{QUESTION}' | head -c 1"
    done = subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


def test_escape_sequences_in_documents_do_not_reach_the_terminal(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "evil.csv").write_text(
        'question,answer\n무슨 색이에요?,"\x1b[31m빨강\x1b]0;title\x07\x9b2J이에요"\n', encoding="utf-8"
    )
    persona("ingest", "docs", cwd=tmp_path)
    shown = persona("ask", "무슨 색이에요?", cwd=tmp_path).stdout
    assert "빨강" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


def test_a_bug_is_status_three_and_leaves_a_log(home: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from persona_cli import chatbot; from persona_cli.cli import main\n"
        "def broken(self, *a, **k): raise RuntimeError('key sk-SECRET in a bug')\n"
        "chatbot.PersonaChatbot.stream = broken\n"
        "sys.argv = ['persona', 'ask', 'x']; main()"
    )
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([PERSONA[0], "-c", code], cwd=home, capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (BUG, 1)
    log = next((tmp_path / "persona").iterdir())
    assert str(log) in done.stderr
    assert "RuntimeError" in log.read_text(encoding="utf-8")
    assert "SECRET" not in log.read_text(encoding="utf-8")


def test_status_tells_what_the_store_holds(home: Path) -> None:
    shown = persona("status", cwd=home).stdout
    assert "documents" in shown
    state = json.loads(persona("status", "--json", cwd=home).stdout)
    assert (state["documents"], state["chunks"], state["pairs"], state["embedding"]) == (2, 4, 3, "local")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with one file of words and one that cannot be read."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "faq.txt").write_text("무슨 색이에요? 빨강이에요.\n\n몇 시예요? 세 시예요.\n", encoding="utf-8")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    return folder


def test_ingest_shows_its_phases_on_a_terminal(docs: Path) -> None:
    shown = on_terminal("ingest", "docs", cwd=docs.parent)
    assert "reading" in shown
    assert "embedding" in shown
    assert "characters/s" in shown
    assert "documents: 1 added" in shown


def test_what_could_not_be_read_is_named_and_strict_makes_it_fail(docs: Path) -> None:
    done = persona("ingest", "docs", "--strict", cwd=docs.parent)
    assert done.returncode == FAILED
    assert "skipped docs/photo.png: no reader for .png files\n" in done.stderr
    assert "documents: 1 added, 0 updated, 0 unchanged, 0 removed, 1 skipped" in done.stdout
    assert "skipped docs/photo.png" in persona("status", cwd=docs.parent).stdout


def test_a_dry_run_says_what_it_would_do_and_leaves_the_store_alone(docs: Path) -> None:
    make_store(docs.parent / "vector_store")
    done = persona("ingest", "docs", "--dry-run", cwd=docs.parent)
    assert done.stdout.startswith("+ docs/faq.txt\nwould be: 1 added")
    assert json.loads(persona("status", "--json", cwd=docs.parent).stdout)["generation"] == 1


def test_completion_scripts_are_there(home: Path) -> None:
    done = persona("--show-completion", "bash", cwd=home)
    script = done.stdout or persona("--show-completion", cwd=home, env={"SHELL": "/bin/bash"}).stdout
    assert "_PERSONA_COMPLETE" in script or "complete" in script
    env = {"_PERSONA_COMPLETE": "complete_bash", "COMP_WORDS": "persona in", "COMP_CWORD": "1"}
    assert "ingest" in persona(cwd=home, env=env).stdout


def test_the_version_is_the_package_version(home: Path) -> None:
    from importlib.metadata import version

    assert persona("--version", cwd=home).stdout == f"persona {version('persona-cli')}\n"
