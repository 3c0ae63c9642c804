"""`persona init`: a commented persona.toml, from questions at a terminal or from what a store shows."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from select import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.cli.boundary import FAILED, INTERRUPTED, WRONG_USAGE
from persona_cli.language import is_korean
from persona_cli.persona.profile import REGISTERS, Example, Link, Profile, load_profile, parse_profile
from persona_cli.persona.template import render
from tests.commands import PERSONA, persona

CHAT = """\
두루미 모임 님과 카카오톡 대화
저장한 날짜 : 2024-05-02 10:44:52

--------------- 2024년 5월 1일 수요일 ---------------
[김여울] [오후 8:30] 어제 방송에서 우산 왜 두 개였어요?
[박자두] [오후 8:31] 하나는 빌려준 우산이 돌아온 거예요
[자두 부계] [오후 8:32] 하나는 아직 안 돌아온 우산 대신이고요
"""
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the terminal whose Ctrl-C a process gets."""
ENGLISH = {"LC_ALL": "C.UTF-8"}
KOREAN = {"LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}
NOT_INSTALLED = {"LC_ALL": "ko_KR.none"}
ENTER, CTRL_C, CTRL_D = b"\r", b"\x03", b"\x04"


def on_terminal(
    *arguments: str, answers: Sequence[tuple[str, bytes]], cwd: Path, env: Mapping[str, str] = ENGLISH
) -> tuple[int, str]:
    """Answer a command's questions, each when it is asked; the exit status and what was shown."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *PERSONA, *arguments],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **env},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other side is closed
            for question, answer in answers:
                told = len(shown)
                while question.encode() not in shown[told:]:
                    shown += _read(ours, process, shown)
                os.write(ours, answer)
            if answers and answers[-1][1] == CTRL_C:
                _press_again(ours)
            while piece := _read(ours, process, shown):
                shown += piece
    os.close(ours)
    return process.returncode, shown.decode()


def _read(terminal: int, process: "subprocess.Popen[bytes]", shown: bytes) -> bytes:
    if not select([terminal], [], [], 20)[0]:
        process.kill()
        pytest.fail(f"nothing more is shown after: {shown.decode()!r}")
    return os.read(terminal, 4096)


def _press_again(terminal: int) -> None:
    """Press Ctrl-C once more when nothing happens: between two keys, `input` may take note of it at the next one."""
    for _ in range(5):
        if select([terminal], [], [], 3)[0]:
            return
        os.write(terminal, CTRL_C)


def line(text: str) -> bytes:
    return text.encode() + ENTER


@pytest.fixture(params=["en_US.UTF-8", "ko_KR.UTF-8"])
def locale(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LC_ALL", request.param)
    is_korean.cache_clear()
    yield request.param
    is_korean.cache_clear()


@pytest.mark.parametrize(
    ("env", "erased"), [(KOREAN, "겨울\x7f\x7f"), (NOT_INSTALLED, "")], ids=["korean", "not installed"]
)
def test_questions_are_answered_in_korean_at_a_terminal(tmp_path: Path, env: Mapping[str, str], erased: str) -> None:
    status, shown = on_terminal(
        "init",
        answers=[
            ("이름은 무엇인가요? ", line(f"한{erased}결 \\ \"반박자\" '두루미' 🐈")),
            ("다른 이름을 쓴다면 무엇인가요? ", line("자두")),
            ("어떤 언어로 말하나요(ko, en, …)? ", line("한국어")),
            ("어떤 언어로 말하나요(ko, en, …)? ", line("ko")),
            ("뭐라고 부르나요? ", line("여러분")),
            ("한 줄로 적어 주세요: ", line("늦는다. # 아니, true = [1]")),
            ("인사하나요? ", ENTER),
        ],
        cwd=tmp_path,
        env=env,
    )
    assert status == 0
    assert '답 1번째 줄: language 값은 "ko"나 "en" 같은 두 글자 코드여야 합니다' in shown
    assert "persona.toml 파일을 만들었습니다. 살펴본 뒤 실행하세요: persona ingest ." in shown
    assert load_profile(tmp_path / "persona.toml") == Profile(
        name="한결 \\ \"반박자\" '두루미' 🐈",
        speaker="자두",
        language="ko",
        address="여러분",
        description="늦는다. # 아니, true = [1]",
    )
    assert "# 그 사람의 이름.\nname = " in (tmp_path / "persona.toml").read_text(encoding="utf-8")


def test_what_the_store_shows_is_offered(tmp_path: Path) -> None:
    (tmp_path / "my docs").mkdir()
    (tmp_path / "my docs" / "KakaoTalk.txt").write_text(CHAT, encoding="utf-8")
    told = ("--speaker", "박자두", "--speaker", "자두 부계")
    assert persona("ingest", "my docs", *told, cwd=tmp_path).returncode == 0
    status, shown = on_terminal(
        "init",
        "my docs",
        answers=[
            ("called? [박자두] ", line("반박자두루미")),
            ("by other names? (name, name) [박자두] ", ENTER),
            ("do they speak (ko, en, …)? [ko] ", line("-")),
            ("talk with? ", ENTER),
            ("in a line? ", ENTER),
            ("first in a chat? ", line("안녕하세요")),
        ],
        cwd=tmp_path,
    )
    assert status == 0
    assert "look it over, then run: persona ingest 'my docs'" in shown
    profile = load_profile(tmp_path / "my docs" / "persona.toml")
    assert profile == Profile("반박자두루미", "박자두", ("자두 부계",), greeting="안녕하세요")
    assert profile.names == ("박자두", "반박자두루미", "자두 부계")
    assert persona("ingest", "my docs", "--strict", cwd=tmp_path).returncode == 0


def test_without_a_terminal_nothing_is_asked_and_what_the_store_keeps_is_written(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("이름이 뭐예요? 보류요.\n", encoding="utf-8")
    own = tmp_path / "docs" / "persona.toml"
    own.write_text('speaker = "보류"\nrules = ["짧게"]\nverbatim = false\n', encoding="utf-8")
    assert persona("ingest", "docs", "--db", "store", cwd=tmp_path).returncode == 0
    done = persona("init", "--db", "store", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_profile(tmp_path / "persona.toml") == Profile(
        name="보류", speaker="보류", language="ko", rules=("짧게",), verbatim=False
    )
    status, _ = on_terminal("init", "docs", "--yes", "--force", answers=[], cwd=tmp_path)
    assert (status, load_profile(own)) == (0, Profile())


def test_a_file_that_is_there_is_written_over_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "persona.toml"
    file.write_text("mine", encoding="utf-8")
    done = persona("init", cwd=tmp_path)
    assert (done.returncode, done.stdout, file.read_text(encoding="utf-8")) == (FAILED, "", "mine")
    assert done.stderr == "persona: persona.toml is there already: edit it, or write over it with --force\n"
    assert persona("init", "--force", cwd=tmp_path).returncode == 0
    assert load_profile(file) == Profile()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere.toml")
    assert persona("init", cwd=tmp_path).returncode == FAILED
    assert not (tmp_path / "elsewhere.toml").exists()
    assert persona("init", "missing", cwd=tmp_path).returncode == WRONG_USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["persona.toml"]


@pytest.mark.parametrize(("key", "expected"), [(CTRL_C, INTERRUPTED), (CTRL_D, FAILED)])
def test_who_leaves_the_questions_leaves_no_file(tmp_path: Path, key: bytes, expected: int) -> None:
    answers = [("called? ", line("박자두")), ("by other names? (name, name) ", key)]
    if key == CTRL_C:
        answers[1:] = [("by other names? (name, name) ", "자두".encode()), ("자두", key)]
    status, shown = on_terminal("init", answers=answers, cwd=tmp_path)
    assert status == expected
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".persona.toml.new").mkdir()  # root may write anywhere, but not over a folder
    done = persona("init", "--force", cwd=tmp_path)
    assert done.returncode == FAILED
    assert done.stderr == "persona: persona.toml cannot be written: Is a directory\n"


TYPED = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text(
    "\"'\\\n\t\x7f#[]={}가🐈e\u0301 ", max_size=30
)


@given(st.lists(TYPED, min_size=9, max_size=9), st.sampled_from(["", *REGISTERS]), st.sampled_from([None, True, False]))
def test_whatever_is_written_reads_back_as_it_was(texts: list[str], register: str, verbatim: bool | None) -> None:
    name, description, greeting, rule, alias, manner, question, answer, disclosure = texts
    typed = Profile(
        name=" ".join(name.split()),
        description=description,
        greeting=greeting,
        rules=(rule, "x"),
        aliases=(" ".join(alias.split()),),
        verbatim=verbatim,
        disclosure=disclosure,
        examples=(Example(f"q{question}", f"a{answer}"),),
        links=(Link(f"t{' '.join(question.split())}", "https://example.org/가?q='#"),),
        register=register,
        manner=manner,
    )
    read = parse_profile(render(typed), "persona.toml")
    assert parse_profile(render(read), "persona.toml") == read
    seen = Profile(**{field.name: getattr(read, field.name) for field in fields(Profile)})
    assert (seen.register, seen.verbatim, seen.links[0].url) == (register, verbatim, typed.links[0].url)
    for before, after in ((description, read.description), (greeting, read.greeting), (manner, read.manner)):
        if before.isprintable() and before.isascii():
            assert after == before.strip()


def test_every_sample_can_be_used_when_its_mark_is_taken_away(locale: str) -> None:
    text = render(Profile())
    assert parse_profile(text, "persona.toml") == Profile()
    filled = re.sub(r"(?m)^# (?=\w+ = |\[)", "", text)
    profile = parse_profile(filled, "persona.toml")
    unset = {field.name for field in fields(Profile) if getattr(profile, field.name) in ("", (), None)}
    assert unset == {"instructions", "closing"}
    assert parse_profile(render(profile), "persona.toml") == profile
    assert ("그 사람의 이름" in text) == locale.startswith("ko")
