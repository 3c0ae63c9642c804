"""`persona sessions`: as its users run it, in English and in Korean."""

import json
import os
import pty
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from persona_cli.catalog import Catalog
from persona_cli.cli.boundary import FAILED, WRONG_USAGE
from persona_cli.models import Answer, Source
from persona_cli.sessions import Sessions
from tests.commands import PERSONA, on_terminal, persona

CAT = Source(1, "faq\x1b[31m.txt", "line 3", "박자두", "2024-03-05", "고양이 이름이 뭐예요?\n보류예요.", 7.25)
KOREAN = {"LC_ALL": "ko_KR.UTF-8", "TZ": "Asia/Seoul"}


@pytest.fixture
def talked(tmp_path: Path) -> Path:
    """A folder with a store that was talked with; some of what was said would steer a terminal."""
    with closing(Catalog(tmp_path / "vector_store", create=True)) as catalog:
        catalog.set_facts({"names": '["박자두"]'})
        sessions = Sessions(catalog)
        sessions.start(name="empty")
        for name in ("winter", "방송이야기"):
            n = sessions.begin(sessions.start(name=name), "고양이 이름이 뭐예요?" * 4)
            answer = Answer("보류\x1b]0;x\x07예요.\x9b2J\u202e", "quoted", True, 1.0, [CAT])
            sessions.finish(name, n, answer)
        sessions.stop("winter", sessions.begin("winter", "And\nthen?"), "Well")
    return tmp_path


def test_sessions_are_listed_newest_first_and_aligned(talked: Path) -> None:
    done = persona("sessions", "list", cwd=talked)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["session", "started", "turns", "first", "question"]
    assert [row.split()[0] for row in rows] == ["winter", "방송이야기", "empty"]
    begins = [cell_len(row[: match.start()]) for row in rows if (match := re.search(r"\d{4}-", row))]
    assert len(begins) == 3
    assert len(set(begins)) == 1
    listed = json.loads(persona("sessions", "list", "--json", cwd=talked).stdout)["sessions"]
    assert [(each["id"], each["turns"]) for each in listed] == [("winter", 2), ("방송이야기", 1), ("empty", 0)]
    assert listed[0].keys() == {"id", "started", "last", "turns", "title"}


def test_on_a_terminal_no_line_is_wider_than_it(talked: Path) -> None:
    shown = on_terminal("sessions", "list", cwd=talked, env={**KOREAN, "NO_COLOR": "1", "COLUMNS": "60"})
    assert "첫 질문" in shown
    assert "고양이" in shown
    assert max(map(cell_len, shown.splitlines())) <= 60


@pytest.mark.parametrize("ending", [[], ["--json"]])
def test_no_sessions_are_no_failure(tmp_path: Path, ending: list[str]) -> None:
    Catalog(tmp_path / "vector_store", create=True).close()
    done = persona("sessions", "list", *ending, cwd=tmp_path)
    assert done.returncode == 0
    if ending:
        assert json.loads(done.stdout) == {"sessions": []}
    else:
        assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)
        assert "there are no sessions yet" in done.stderr
        assert "없습니다" in persona("sessions", "delete", "--all", cwd=tmp_path, env=KOREAN).stderr


@pytest.mark.parametrize("command", [["list"], ["show", "winter"], ["export", "winter"], ["delete", "winter", "-y"]])
def test_without_a_store_one_line_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    done = persona("sessions", *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr.startswith("persona: nothing has been ingested into")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["show", "wintre"], ["export", "wintre"], ["delete", "winter", "wintre", "-y"]])
def test_an_unknown_session_is_named_with_the_nearest(talked: Path, command: list[str]) -> None:
    done = persona("sessions", *command, cwd=talked)
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr == "persona: there is no session 'wintre': did you mean winter?\n"
    assert "winter 아닌가요?" in persona("sessions", *command, cwd=talked, env=KOREAN).stderr


def test_a_session_is_shown_and_steers_no_terminal(talked: Path) -> None:
    shown = persona("sessions", "show", "wint", cwd=talked, env=KOREAN)
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("세션 winter, 시작 20")
    assert lines[3:5] == ["> " + "고양이 이름이 뭐예요?" * 4, "보류]0;x예요.2J"]
    assert lines[5] == "    [1] faq[31m.txt · line 3 · 박자두 · 2024-03-05"
    assert lines[-4:] == ["> And", "> then?", "Well", "(중지함)"]


def test_times_are_the_readers_own(talked: Path) -> None:
    """15 hours lie between the two, always."""
    hours = [
        int(persona("sessions", "show", "wint", cwd=talked, env={"TZ": zone}).stdout.splitlines()[0][-5:-3])
        for zone in ("UTC-09:00", "UTC+06:00")
    ]
    assert (hours[0] - hours[1]) % 24 == 15


def test_a_session_is_written_out_for_people_and_for_programs(talked: Path) -> None:
    markdown = persona("sessions", "export", "winter", cwd=talked).stdout
    assert markdown.startswith("# Conversation with 박자두\n")
    assert "1. faq\\[31m.txt · line 3 · 박자두 · 2024-03-05" in markdown
    assert not set("\x1b\x07\x9b\u202e") & set(markdown)
    assert persona("sessions", "export", "winter", cwd=talked, env=KOREAN).stdout.startswith("# 대화 기록: 박자두\n")
    text = persona("sessions", "export", "winter", "--format", "json", cwd=talked).stdout
    assert not set("\x1b\x07\x9b\u202e") & set(text)
    turn = json.loads(text)["turns"][0]
    assert turn["answer"] == "보류\x1b]0;x\x07예요.\x9b2J\u202e"
    assert turn["sources"][0]["source"] == "faq\x1b[31m.txt"


@pytest.mark.parametrize("form", ["markdown", "json"])
def test_a_file_is_written_over_only_when_told_to(talked: Path, form: str) -> None:
    command = ("sessions", "export", "winter", "--format", form, "-o", "talk.out")
    printed = persona(*command[:-2], cwd=talked).stdout
    assert persona(*command, cwd=talked).returncode == 0
    assert (talked / "talk.out").read_text(encoding="utf-8") == printed
    (talked / "talk.out").write_text("mine")
    done = persona(*command, cwd=talked)
    assert done.returncode == FAILED
    assert done.stderr == "persona: talk.out is there already: give --force to write over it\n"
    assert (talked / "talk.out").read_text() == "mine"
    assert persona(*command, "--force", cwd=talked).returncode == 0
    assert (talked / "talk.out").read_text(encoding="utf-8") == printed
    done = persona(*command[:-1], "nowhere/talk.out", cwd=talked)
    assert (done.returncode, done.stderr) == (
        FAILED,
        "persona: nowhere/talk.out cannot be written: No such file or directory\n",
    )


def test_sessions_are_deleted(talked: Path) -> None:
    done = persona("sessions", "delete", "방송이야", "empt", "--yes", cwd=talked)
    assert (done.returncode, done.stdout) == (0, "deleted: 2 sessions\n")
    files = [path for path in (talked / "vector_store").rglob("*") if path.is_file()]
    assert [path for path in files if "방송이야기".encode() in path.read_bytes()] == []
    done = persona("sessions", "delete", "--all", "-y", cwd=talked, env=KOREAN)
    assert (done.returncode, done.stdout) == (0, "세션 1개를 삭제했습니다\n")
    assert [path for path in files if path.exists() and "고양이".encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("ending", "message"),
    [(["winter"], "--yes"), (["--all"], "--yes"), ([], "--all"), (["winter", "--all", "-y"], "--all")],
)
def test_what_is_not_meant_for_sure_is_not_deleted(talked: Path, ending: list[str], message: str) -> None:
    done = persona("sessions", "delete", *ending, cwd=talked)
    assert done.returncode == WRONG_USAGE
    assert message in done.stderr
    assert len(json.loads(persona("sessions", "list", "--json", cwd=talked).stdout)["sessions"]) == 3


@pytest.mark.parametrize(("said", "status", "left"), [("n", FAILED, 3), ("y", 0, 2)])
def test_on_a_terminal_it_asks_first(talked: Path, said: str, status: int, left: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{said}\n".encode())
    command = [*PERSONA, "sessions", "delete", "winter"]
    done = subprocess.run(command, cwd=talked, stdin=theirs, capture_output=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status
    assert "winter  고양이 이름이 뭐예요?" in done.stderr.decode()
    assert "delete these sessions (1)?" in done.stderr.decode()
    assert len(json.loads(persona("sessions", "list", "--json", cwd=talked).stdout)["sessions"]) == left
