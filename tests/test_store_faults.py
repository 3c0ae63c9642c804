"""A full disk, a store that cannot be written to, two writers at once: one clear line, and the store as it was."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_cli.embedding import LocalEmbedder
from persona_cli.errors import StoreBusy, StoreUnwritable
from persona_cli.index import Content, Index
from persona_cli.models import Chunk
from persona_cli.retrieval import Retriever
from persona_cli.store import LOCK_NAME, Store
from tests.commands import PERSONA, complaints, persona
from tests.parts import needs
from tests.servers import StartServer
from tests.stores import make_store

LANGUAGES = ["en", "ko"]
LOCALE = {"en": {"LC_ALL": "C.UTF-8"}, "ko": {"LC_ALL": "ko_KR.UTF-8"}}
NOTES = ("embedding on this machine; no text leaves it", "이 컴퓨터에서 임베딩합니다. 글은 밖으로 나가지 않습니다")
NO_SPACE = {"en": "no space left for ", "ko": "남은 공간이 없습니다"}
QUESTION, RECORDED = "1번 파일의 3번 질문은 뭔가요?", "1번 파일의 3번 답이에요."
ROOMY_KB = 64_000
FREE_KB = (0, 4, 8, 12, 20, 40, 100, 200, 300, 450, 600, 750, 900, 1_100)
"""What is free for an ingest, from too little to open the store to nearly enough to publish."""


def write_files(folder: Path, *numbers: int) -> None:
    folder.mkdir(exist_ok=True)
    for file in numbers:
        pairs = (f"{file}번 파일의 {n}번 질문은 뭔가요? {file}번 파일의 {n}번 답이에요." for n in range(10))
        (folder / f"{file}.txt").write_text("\n\n".join(pairs), encoding="utf-8")


def held(store: Path) -> dict[str, list[str]]:
    """What each document of a store says; catalog and index must agree on how much that is."""
    opened = Store(store)
    with opened.reading() as (snapshot, generation):
        ids = [row.id for row in snapshot.index_rows()]
        assert [int(i) for i in generation.lexical.ids] == ids
        chunks = snapshot.chunks(ids).values()
        found = {s: [c.chunk.whole for c in chunks if c.source == s] for s in snapshot.documents()}
    opened.close()
    return {Path(source).name: said for source, said in found.items()}


def answer(store: Path) -> str:
    opened = Store(store)
    found = Retriever(opened, LocalEmbedder()).retrieve(QUESTION, 1)
    opened.close()
    return found.passages[0].stored.chunk.text


def the_line(done: "subprocess.CompletedProcess[str]", language: str) -> str:
    """The one line that a failed command says, in the reader's language."""
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = (line for line in done.stderr.splitlines() if line not in NOTES)
    assert line.startswith("persona: ")
    assert any("가" <= char <= "힣" for char in line) == (language == "ko"), line
    return line


def ingest(cwd: Path, store: Path, language: str = "en") -> "subprocess.CompletedProcess[str]":
    return persona("ingest", "docs", "--db", str(store), cwd=cwd, env=LOCALE[language])


class Disk:
    """A file system that can be made as small as a test wants it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)

    def leave(self, kilobytes: int) -> None:
        """Let so much be free from now on."""
        usage = shutil.disk_usage(self.folder)
        self.remount(f"size={usage.used // 1024 + kilobytes}k")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mount = needs("tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={ROOMY_KB}k", "tmpfs", folder], check=True)
    (folder / "others").write_bytes(bytes(4096))  # a size of 0 would mean that there is no limit
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def filled(disk: Disk, tmp_path: Path) -> Disk:
    """A disk with a store of three files."""
    write_files(tmp_path / "docs", 0, 1, 2)
    assert ingest(tmp_path, disk.store).returncode == 0
    return disk


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_wherever_the_space_runs_out_the_store_stays_as_it_was(filled: Disk, tmp_path: Path) -> None:
    before = held(filled.store)
    write_files(tmp_path / "docs", 3, 4, 5)
    (tmp_path / "docs" / "0.txt").unlink()
    for n, free_kb in enumerate(FREE_KB):
        language = LANGUAGES[n % 2]
        filled.leave(free_kb)
        line = the_line(ingest(tmp_path, filled.store, language), language)
        assert NO_SPACE[language] in line
        assert [path.name for path in (filled.store / "index").iterdir()] == ["1"]
        assert held(filled.store) == before
        assert answer(filled.store) == RECORDED
    takes = re.search(r"([\d.]+) MB", line)
    assert takes
    filled.leave(int(1_000 * float(takes[1])))
    assert ingest(tmp_path, filled.store).returncode == 0
    assert ingest(tmp_path, tmp_path / "fresh").returncode == 0
    assert held(filled.store) == held(tmp_path / "fresh")


def test_asking_needs_no_space(filled: Disk, tmp_path: Path) -> None:
    filled.leave(0)
    (filled.store / "more").write_bytes(b"")
    with pytest.raises(OSError, match="No space left"):
        (filled.store / "more").write_bytes(b"x")
    done = persona("ask", QUESTION, "--db", str(filled.store), cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0], complaints(done)) == (0, RECORDED, "")
    assert persona("status", "--db", str(filled.store), cwd=tmp_path).returncode == 0


def test_a_full_disk_at_the_last_moment_leaves_no_half_of_a_generation(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Index.build

    def build_and_fill(self: Index, number: int, content: Content, previous: int | None = None) -> None:
        build(self, number, content, previous)
        disk.leave(0)

    make_store(disk.store)
    before = held(disk.store)
    with monkeypatch.context() as patch:
        patch.setattr(Index, "build", build_and_fill)
        with pytest.raises(StoreUnwritable, match=r"no space left .* it takes about"):
            make_store(disk.store, {"new.txt": [Chunk("새로운 말이에요. " * 400, "line 1")]})
    assert held(disk.store) == before
    assert [path.name for path in (disk.store / "index").iterdir()] == ["1"]
    disk.leave(ROOMY_KB)
    make_store(disk.store, {"new.txt": [Chunk("새로운 말이에요.", "line 1")]})
    assert held(disk.store) == {**before, "new.txt": ["새로운 말이에요."]}


@pytest.mark.parametrize("free_kb", [100, 200, 400])
def test_the_same_process_can_publish_once_there_is_space(disk: Disk, free_kb: int) -> None:
    """As when folders are watched. Chroma would give a client that failed to start to the next one who asks."""
    make_store(disk.store)
    disk.leave(free_kb)
    new = {"new.txt": [Chunk("새로운 말이에요.", "line 1")]}
    for _ in range(2):
        with pytest.raises(StoreUnwritable, match="no space left"):
            make_store(disk.store, new)
    disk.leave(ROOMY_KB)
    make_store(disk.store, new)
    assert held(disk.store)["new.txt"] == ["새로운 말이에요."]


def test_a_first_ingest_on_a_full_disk_leaves_nothing_in_the_way_of_the_next(disk: Disk, tmp_path: Path) -> None:
    write_files(tmp_path / "docs", 1)
    for n, free_kb in enumerate((0, 40, 300)):
        language = LANGUAGES[n % 2]
        disk.leave(free_kb)
        assert NO_SPACE[language] in the_line(ingest(tmp_path, disk.store, language), language)
    line = the_line(persona("ask", QUESTION, "--db", str(disk.store), cwd=tmp_path), "en")
    assert "nothing has been ingested" in line
    disk.leave(ROOMY_KB)
    assert ingest(tmp_path, disk.store).returncode == 0
    assert answer(disk.store) == RECORDED


def test_a_store_on_a_read_only_medium_answers(filled: Disk, tmp_path: Path, start_server: StartServer) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    where = {"TMPDIR": str(temp)}
    filled.remount("ro")
    done = persona("ask", QUESTION, "--db", str(filled.store), cwd=tmp_path, env=where)
    assert (done.returncode, done.stdout.splitlines()[0], complaints(done)) == (0, RECORDED, "")
    assert persona("status", "--db", str(filled.store), cwd=tmp_path, env=where).returncode == 0
    assert persona("ingest", "docs", "--dry-run", "--db", str(filled.store), cwd=tmp_path, env=where).returncode == 0
    server = start_server(tmp_path, "--db", str(filled.store), **where)
    assert server.post({"prompt": QUESTION}).json()["output"] == RECORDED
    assert server.end() == 0
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_ingest_into_a_read_only_store_says_so(filled: Disk, tmp_path: Path, language: str) -> None:
    filled.remount("ro")
    assert str(filled.store) in the_line(ingest(tmp_path, filled.store, language), language)


def test_a_read_only_mount_follows_what_is_published_elsewhere(disk: Disk, tmp_path: Path) -> None:
    """As when one container writes and another serves."""
    view = tmp_path / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", disk.folder, view], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        make_store(disk.store)
        reader = Store(view / "store")
        for number in (2, 3):
            make_store(disk.store, {"new.txt": [Chunk(f"{number}번째 말이에요.", "line 1")]})
            with reader.reading() as (snapshot, generation):
                assert snapshot.generation == generation.number == number
        with pytest.raises(StoreBusy, match="try again"), reader.catalog.snapshot():
            make_store(disk.store, {"new.txt": [Chunk("또 다른 말이에요.", "line 1")]})
        writer = Store(disk.store)
        writer.catalog.set_facts({"names": "[]"})  # which is in the log alone
        for _ in range(2):
            with reader.reading() as (snapshot, _generation):
                assert snapshot.fact("names") == "[]"
            writer.close()
            reader.close()
            reader = Store(view / "store")
        reader.close()
    finally:
        subprocess.run(["umount", "--lazy", view], check=True)


@pytest.fixture
def as_anybody() -> list[str]:
    """What to run a command with so that the permissions of files bind it, even if root runs it."""
    if os.geteuid():
        return []
    return [str(needs("setpriv")), "--bounding-set=-dac_override,-dac_read_search"]


def run_as(anybody: list[str], *arguments: str, cwd: Path, language: str = "en") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*anybody, *PERSONA, *arguments],
        cwd=cwd,
        env={**os.environ, **LOCALE[language]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_store_that_belongs_to_others_can_be_asked(tmp_path: Path, as_anybody: list[str]) -> None:
    store = make_store(tmp_path / "store")
    write_files(tmp_path / "docs", 1)
    paths = [store, *store.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = run_as(as_anybody, "ask", "고양이 이름이 뭐예요?", "--db", "store", cwd=tmp_path)
    assert (done.returncode, complaints(done)) == (0, "")
    assert run_as(as_anybody, "status", "--db", "store", cwd=tmp_path).returncode == 0
    for language in LANGUAGES:
        line = the_line(
            run_as(as_anybody, "ingest", "docs", "--db", "store", cwd=tmp_path, language=language), language
        )
        assert "store" in line
    for path in paths:
        path.chmod(0o755)


@pytest.mark.parametrize("command", [("ingest", "docs"), ("ask", "누구세요?")], ids=lambda c: c[0])
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_without_rights_is_named(
    tmp_path: Path, as_anybody: list[str], command: tuple[str, ...], mode: int
) -> None:
    write_files(tmp_path / "docs", 1)
    parent = tmp_path / "sealed"
    parent.mkdir(mode=mode)
    line = the_line(run_as(as_anybody, *command, "--db", "sealed/store", cwd=tmp_path), "en")
    assert "sealed/store" in line
    parent.chmod(0o755)


@pytest.mark.parametrize("command", [("ingest", "docs"), ("ask", "누구세요?")], ids=lambda c: c[0])
def test_a_file_is_no_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    write_files(tmp_path / "docs", 1)
    (tmp_path / "file").write_text("words")
    assert "'file'" in the_line(persona(*command, "--db", "file", cwd=tmp_path), "en")
    assert (tmp_path / "file").read_text() == "words"


def wait_for_signature(store: Path) -> None:
    until = time.monotonic() + 30
    while not (store / LOCK_NAME).exists() or not (store / LOCK_NAME).read_bytes():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_second_ingest_names_the_first_which_finishes(tmp_path: Path) -> None:
    write_files(tmp_path / "docs", *range(4))
    store = tmp_path / "store"
    with subprocess.Popen([*PERSONA, "ingest", "docs", "--db", "store"], cwd=tmp_path) as first:
        wait_for_signature(store)
        first.send_signal(signal.SIGSTOP)
        try:
            for language in LANGUAGES:
                line = the_line(ingest(tmp_path, store, language), language)
                assert str(first.pid) in line
                assert os.uname().nodename in line
        finally:
            first.send_signal(signal.SIGCONT)
    assert first.returncode == 0
    assert ingest(tmp_path, tmp_path / "fresh").returncode == 0
    assert held(store) == held(tmp_path / "fresh")


def test_of_many_first_ingests_at_once_one_makes_the_store(tmp_path: Path) -> None:
    write_files(tmp_path / "docs", 1, 2)
    command = [*PERSONA, "ingest", "docs", "--db", "store"]
    running = [subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, encoding="utf-8") for _ in range(3)]
    done = [subprocess.CompletedProcess(p.args, p.wait(60), *p.communicate()) for p in running]
    assert any(one.returncode == 0 for one in done)
    for one in done:
        assert one.returncode == 0 or "writ" in the_line(one, "en")
    assert ingest(tmp_path, tmp_path / "store").returncode == 0
    assert held(tmp_path / "store").keys() == {"1.txt", "2.txt"}


RUBBISH = [b"\xff\xfe\x00rubbish", b"[" * 100_000, b'{"pid": 1}', b'{"pid": 99999999, "host": "gone", "since": "then"}']


@pytest.mark.parametrize("rubbish", RUBBISH, ids=["bytes", "nested", "part", "signature"])
def test_what_is_left_in_the_lock_file_does_not_matter(tmp_path: Path, rubbish: bytes) -> None:
    store = make_store(tmp_path / "store")
    (store / LOCK_NAME).write_bytes(rubbish)
    opened = Store(store)
    with opened.writing():
        assert str(os.getpid()) in (store / LOCK_NAME).read_text()
        (store / LOCK_NAME).write_bytes(rubbish)
        second = Store(store)
        with pytest.raises(StoreBusy, match=r"wait until it is done|try again"), second.writing():
            pass
        second.close()
    opened.close()
