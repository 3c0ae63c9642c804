"""`persona ingest --watch`: the store follows the folder."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_cli.cli.boundary import INTERRUPTED
from tests.commands import PERSONA, persona

QUIET_S = 1.5


def write(file: Path, text: str) -> None:
    """Put a file in place as editors do, so that nobody reads half of it."""
    aside = file.with_name(f".{file.name}~")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)


class Watcher:
    """A running `persona ingest docs --watch`, and the reports it prints, each with when it came."""

    def __init__(self, process: "subprocess.Popen[str]", docs: Path) -> None:
        self.process = process
        self.docs = docs
        self.complaints: queue.Queue[str] = queue.Queue()
        self._reports: queue.Queue[dict[str, dict[str, int]]] = queue.Queue()
        self._listeners = [threading.Thread(target=listen) for listen in (self._listen, self._listen_to_complaints)]
        for listener in self._listeners:
            listener.start()

    def end(self) -> None:
        self.process.kill()
        for listener in self._listeners:
            listener.join()

    def report(self) -> dict[str, dict[str, int]]:
        return self._reports.get(timeout=30)

    def is_quiet(self) -> bool:
        time.sleep(QUIET_S)
        return self._reports.empty()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._reports.put(json.loads(line))

    def _listen_to_complaints(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.complaints.put(line)


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("이름이 뭐예요? 보류요.\n", encoding="utf-8")
    command = [*PERSONA, "ingest", "docs", "--watch", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as process:
        watcher = Watcher(process, tmp_path / "docs")
        try:
            assert watcher.report()["documents"]["added"] == 1
            while "watching" not in watcher.complaints.get(timeout=30):
                pass
            time.sleep(0.5)  # the system begins to tell of changes a moment after it was asked to
            yield watcher
        finally:
            watcher.end()


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_what_changes_is_published_until_ctrl_c(watcher: Watcher) -> None:
    docs = watcher.docs
    write(docs / "b.txt", "몇 살이에요? 세 살이요.\n")
    assert watcher.report()["documents"] == {"added": 1, "updated": 0, "unchanged": 1, "removed": 0, "skipped": 0}
    write(docs / "a.txt", "이름이 뭐예요? 이젠 결재예요.\n")
    assert watcher.report()["documents"]["updated"] == 1
    (docs / "b.txt").rename(docs / "c.txt")
    renamed = watcher.report()["documents"]
    assert (renamed["added"], renamed["removed"]) == (1, 1)
    (docs / "c.txt").unlink()
    assert watcher.report()["documents"]["removed"] == 1
    assert "결재" in persona("ask", "이름이 뭐예요?", cwd=docs.parent).stdout
    watcher.process.send_signal(signal.SIGINT)
    assert watcher.process.wait(timeout=10) == INTERRUPTED


def test_what_does_not_count_publishes_nothing(watcher: Watcher) -> None:
    write(watcher.docs / ".hidden.txt", "숨은 말\n")
    (watcher.docs / "a.txt").touch()
    (watcher.docs.parent / "vector_store" / "note.txt").write_text("메모\n", encoding="utf-8")
    assert watcher.is_quiet()


def test_what_cannot_be_published_now_ends_nothing(watcher: Watcher) -> None:
    docs = watcher.docs
    (docs / "a.txt").unlink()
    assert "nothing to read" in watcher.complaints.get(timeout=30)
    write(docs / "a.txt", "이름이 뭐예요? 새 이름이요.\n")
    assert watcher.report()["documents"]["updated"] == 1
    write(docs / "talk.txt", "하늘: 자요?\n마루: 아뇨.\n" * 5)
    assert watcher.report()["documents"]["skipped"] == 1
    docs.rename(docs.parent / "away")
    time.sleep(QUIET_S)
    docs.mkdir()
    write(docs / "a.txt", "이름이 뭐예요? 다른 이름이요.\n")
    while not watcher.report()["documents"]["updated"]:
        pass  # that the folder was away may have been told, too
