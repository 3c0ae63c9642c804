"""`kill -9` at any moment of an ingest: the store opens, answers, and the next ingest finishes the work."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from persona_cli.embedding import LocalEmbedder
from persona_cli.retrieval import Retriever
from persona_cli.store import Store
from tests.commands import PERSONA, persona

KILLS = 20
FILES = 8


def write_round(docs: Path, number: int) -> None:
    """A quarter of the files change, so that each round has something to embed and to publish."""
    for file in range(FILES):
        if number == 0 or file % 4 == number % 4:
            pairs = "\n\n".join(f"{file}번 파일의 {n}번 질문은 뭔가요? {number}회차 답변이에요." for n in range(2))
            (docs / f"{file:02}.txt").write_text(pairs, encoding="utf-8")


def documents(store: Path) -> dict[str, tuple[str, list[str]]]:
    """Every document with its checksum and its chunks."""
    opened = Store(store)
    with opened.reading() as (snapshot, generation):
        known = snapshot.documents()
        ids = [row.id for row in snapshot.index_rows()]
        assert sorted(int(i) for i in generation.lexical.ids) == sorted(ids)
        chunks = snapshot.chunks(ids).values()
        found = {s: (d.sha256, sorted(c.chunk.whole for c in chunks if c.source == s)) for s, d in known.items()}
    opened.close()
    return found


def ask(store: Path) -> str:
    opened = Store(store)
    found = Retriever(opened, LocalEmbedder()).retrieve("3번 파일의 1번 질문은 뭔가요?", 1)
    opened.close()
    return found.passages[0].stored.chunk.whole


def ingest_until(seconds: float, folder: Path) -> bool:
    """Ingest, and kill it when it is not done in time; whether it was killed."""
    command = [*PERSONA, "ingest", "docs", "--db", "store"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    docs, store = tmp_path / "docs", tmp_path / "store"
    docs.mkdir()
    write_round(docs, 0)
    assert persona("ingest", "docs", "--db", "store", cwd=tmp_path).returncode == 0
    write_round(docs, 1)
    start = time.monotonic()
    assert persona("ingest", "docs", "--db", "store", cwd=tmp_path).returncode == 0
    usual_s = time.monotonic() - start
    draw = random.Random(20)
    killed, number = 0, 1
    while killed < KILLS:
        number += 1
        write_round(docs, number)
        before = documents(store)
        killed += ingest_until(draw.uniform(0.1, usual_s), tmp_path)
        assert ask(store).startswith("3번 파일의 1번 질문은 뭔가요?")
        after = documents(store)
        assert after == before or all(f"{number}회차" in text for text in after[f"docs/{number % 4:02}.txt"][1])
    assert persona("ingest", "docs", "--db", "store", "--strict", cwd=tmp_path).returncode == 0
    assert persona("ingest", "docs", "--db", "fresh", cwd=tmp_path).returncode == 0
    assert documents(store) == documents(tmp_path / "fresh")
    assert len(list((store / "index").iterdir())) == 1


@pytest.mark.slow
def test_a_first_ingest_that_is_killed_leaves_a_folder_the_next_one_can_use(tmp_path: Path) -> None:
    docs, store = tmp_path / "docs", tmp_path / "store"
    docs.mkdir()
    write_round(docs, 0)
    for delay_s in (0.2, 0.6, 1.0, 1.4):
        ingest_until(delay_s, tmp_path)
        done = persona("ask", "3번 파일의 1번 질문은 뭔가요?", "--db", "store", cwd=tmp_path)
        assert done.returncode == 0 or "nothing has been ingested" in done.stderr
    assert persona("ingest", "docs", "--db", "store", cwd=tmp_path).returncode == 0
    assert len(documents(store)) == FILES
