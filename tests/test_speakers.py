"""Who the person is in files where several people speak: told, found in persona.toml, remembered, asked for."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from persona_cli.cli.boundary import FAILED
from persona_cli.store import Store
from tests.commands import PERSONA, persona

CHAT = """\
두루미 모임 님과 카카오톡 대화
저장한 날짜 : 2024-05-02 10:44:52

--------------- 2024년 5월 1일 수요일 ---------------
[김여울] [오후 8:30] 어제 방송에서 우산 왜 두 개였어요?
[박자두] [오후 8:31] 하나는 빌려준 우산이 돌아온 거예요
[박자두] [오후 8:32] 하나는 아직 안 돌아온 우산 대신이고요
[이서리] [오후 8:40] 저는 우산을 세 개나 잃어버렸어요
[김여울] [오후 8:41] 그럼 보류는 우산을 좋아해요?
[박자두] [오후 8:41] 펼쳐 놓으면 그 안에서 자요
"""
QUESTION = "우산은 왜 두 개였나요?"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "KakaoTalk.txt").write_text(CHAT, encoding="utf-8")
    return tmp_path


def chunks(store: Path) -> list[tuple[str, str | None, str | None, str | None, str]]:
    opened = Store(store)
    with opened.catalog.snapshot() as snapshot:
        found = [s.chunk for s in snapshot.chunks([row.id for row in snapshot.index_rows()]).values()]
    opened.close()
    return [(c.text, c.question, c.speaker, c.date, c.locator) for c in found]


def test_without_a_choice_the_speakers_are_listed_and_nothing_is_stored(home: Path) -> None:
    done = persona("ingest", "docs", cwd=home)
    assert done.returncode == FAILED
    last = done.stderr.splitlines()[-1]
    assert "docs/KakaoTalk.txt: 박자두 (3), 김여울 (2), 이서리 (1)" in last
    assert "--speaker NAME" in last
    assert persona("ask", QUESTION, cwd=home).returncode == FAILED


def test_the_persons_words_are_kept_with_what_they_answer_and_nothing_else(home: Path) -> None:
    assert persona("ingest", "docs", "--speaker", "박자두", cwd=home).returncode == 0
    assert chunks(home / "vector_store") == [
        (
            "하나는 빌려준 우산이 돌아온 거예요\n하나는 아직 안 돌아온 우산 대신이고요",
            "어제 방송에서 우산 왜 두 개였어요?",
            "박자두",
            "2024-05-01T20:31:00",
            "두루미 모임, lines 5-7",
        ),
        (
            "펼쳐 놓으면 그 안에서 자요",
            "그럼 보류는 우산을 좋아해요?",
            "박자두",
            "2024-05-01T20:41:00",
            "두루미 모임, lines 9-10",
        ),
    ]
    answer = json.loads(persona("ask", QUESTION, "--json", cwd=home).stdout)
    assert answer["output"].startswith("하나는 빌려준 우산이")
    assert answer["sources"][0]["speaker"] == "박자두"


def test_the_choice_is_remembered_and_can_be_changed(home: Path) -> None:
    persona("ingest", "docs", "--speaker", "박자두", cwd=home)
    again = json.loads(persona("ingest", "docs", "--json", cwd=home).stdout)
    assert again["documents"]["unchanged"] == 1
    changed = json.loads(persona("ingest", "docs", "--speaker", "이서리", "--json", cwd=home).stdout)
    assert changed["documents"]["updated"] == 1
    assert [speaker for _, _, speaker, _, _ in chunks(home / "vector_store")] == ["이서리"]


def test_a_name_that_nobody_goes_by_is_refused_and_not_remembered(home: Path) -> None:
    persona("ingest", "docs", "--speaker", "박자두", cwd=home)
    before = chunks(home / "vector_store")
    done = persona("ingest", "docs", "--speaker", "박자드", cwd=home)
    assert done.returncode == FAILED
    assert "박자드 speaks in none of these files; who does: 박자두 (3), 김여울 (2), 이서리 (1)" in done.stderr
    assert persona("ingest", "docs", "--speaker", " ", cwd=home).returncode == FAILED
    again = json.loads(persona("ingest", "docs", "--json", cwd=home).stdout)
    assert (again["documents"]["unchanged"], chunks(home / "vector_store")) == (1, before)


def test_a_file_in_which_the_person_does_not_speak_has_no_words_of_theirs(home: Path) -> None:
    (home / "docs" / "others.txt").write_text(CHAT.replace("박자두", "한결"), encoding="utf-8")
    (home / "docs" / "post.md").write_text("---\nauthor: 이서리\n---\n저는 조개를 모아요.\n", encoding="utf-8")
    done = persona("ingest", "docs", "--speaker", "박자두", cwd=home)
    assert "docs/others.txt: 박자두 does not speak in it; who does: 한결 (3), 김여울 (2), 이서리 (1)" in done.stderr
    assert "docs/post.md: there are no words in it" in done.stderr
    assert {source for _, _, source, _, _ in chunks(home / "vector_store")} == {"박자두"}


def test_persona_toml_tells_who_the_person_is(home: Path) -> None:
    (home / "docs" / "persona.toml").write_text('name = "반박자두루미"\naliases = ["박자두"]\n', encoding="utf-8")
    done = persona("ingest", "docs", "--strict", cwd=home)
    assert (done.returncode, done.stderr) == (0, "embedding on this machine; no text leaves it\n")
    assert {speaker for _, _, speaker, _, _ in chunks(home / "vector_store")} == {"반박자두루미"}
    other = home / "other.toml"
    other.write_text('speaker = "이서리"\n', encoding="utf-8")
    assert persona("ingest", "docs", "--persona", "other.toml", cwd=home).returncode == 0
    assert {speaker for _, _, speaker, _, _ in chunks(home / "vector_store")} == {"이서리"}


def test_a_terminal_is_asked(home: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*PERSONA, "ingest", "docs"]
    with subprocess.Popen(command, cwd=home, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"name:" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"1\n")
        while process.poll() is None:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break
    os.close(ours)
    assert process.returncode == 0
    assert "   1  박자두  (3 turns)" in shown.decode()
    assert {speaker for _, _, speaker, _, _ in chunks(home / "vector_store")} == {"박자두"}


def test_redaction_masks_what_others_are_called_before_anything_is_stored(home: Path) -> None:
    chat = home / "docs" / "KakaoTalk.txt"
    told = CHAT + "[박자두] [오후 8:50] 여울님, 제 번호는 010-1234-5678이에요\n"
    chat.write_text(told, encoding="utf-8")
    persona("ingest", "docs", "--speaker", "박자두", cwd=home)
    assert any("010-1234-5678" in text for text, *_ in chunks(home / "vector_store"))
    assert persona("ingest", "docs", "--redact", cwd=home).returncode == 0
    masked = [text for text, *_ in chunks(home / "vector_store")]
    assert any("[이름]님, 제 번호는 [전화번호]이에요" in text for text in masked)
    words = [word.encode() for word in ("010-1234-5678", "여울")]
    files = [path for path in (home / "vector_store").rglob("*") if path.is_file()]
    assert [path for path in files if any(word in path.read_bytes() for word in words)] == []
    assert json.loads(persona("ingest", "docs", "--json", cwd=home).stdout)["documents"]["unchanged"] == 1
    status = json.loads(persona("status", "--json", cwd=home).stdout)
    assert (status["redacted"], status["names"]) == (True, ["박자두"])
    assert status["speakers"] == {"박자두": 3}
    assert (status["first_date"], status["languages"]) == ("2024-05-01T20:31:00", {"ko": 3})
