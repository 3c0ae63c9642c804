"""The store as a whole: one writer, readers never blocked, a damaged index rebuilt and never answered from."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from persona_cli.database import FILE_NAME
from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.errors import IndexDamaged, StoreBusy, StoreDamaged, StoreMissing, StoreTooNew, StoreUnwritable
from persona_cli.models import Chunk, Document, text_hash
from persona_cli.retrieval import Retriever
from persona_cli.store import LOCK_NAME, Store
from tests.stores import FAQ, make_store

QUESTION = "고양이 이름이 뭐예요?"
HOLD_LOCK = """
import sys, time
from pathlib import Path
from persona_cli.store import Store
with Store(Path(sys.argv[1])).writing():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store")


def ask(folder: Path) -> str:
    store = Store(folder)
    try:
        return Retriever(store, LocalEmbedder()).retrieve(QUESTION, 1).passages[0].stored.chunk.text
    finally:
        store.close()


def hold_lock(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_missing_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="persona ingest"):
        Store(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_store_that_was_never_published_says_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    with pytest.raises(StoreMissing, match="persona ingest"), store.reading():
        pass
    store.close()


def test_a_second_writer_is_told_who_holds_the_store(folder: Path) -> None:
    store = Store(folder)
    with hold_lock(folder) as process:
        with pytest.raises(StoreBusy, match=f"process {process.pid} on "), store.writing():
            pass
        process.kill()
    store.close()


def test_the_lock_of_a_killed_writer_is_taken_over(folder: Path) -> None:
    with hold_lock(folder) as process:
        process.kill()
    store = Store(folder)
    with store.writing():
        assert json.loads((folder / LOCK_NAME).read_text())["pid"] > 0
    assert (folder / LOCK_NAME).read_text() == ""
    store.close()


def test_a_lock_file_of_garbage_still_names_somebody(folder: Path) -> None:
    store = Store(folder)
    with hold_lock(folder) as process:
        (folder / LOCK_NAME).write_text("[]")
        with pytest.raises(StoreBusy, match="another process"), store.writing():
            pass
        process.kill()
    store.close()


def test_a_reader_keeps_its_generation_while_another_is_published(folder: Path) -> None:
    store = Store(folder)
    with store.reading() as (snapshot, generation):
        make_store(folder, {"more.txt": [Chunk("New words.", "line 1")]})
        assert snapshot.generation == generation.number == 1
        assert snapshot.count_chunks() == len(FAQ) + 1
    with store.reading() as (snapshot, generation):
        assert snapshot.generation == generation.number == 2
    store.close()


def test_an_old_generation_goes_when_nobody_reads_it(folder: Path) -> None:
    store = Store(folder)
    with store.reading():
        make_store(folder, {"a.txt": [Chunk("One.", "line 1")]})
        assert {p.name for p in (folder / "index").iterdir()} == {"1", "2"}
    with store.reading():
        pass  # moves on to generation 2
    make_store(folder, {"a.txt": [Chunk("Two.", "line 1")]})
    store.close()
    make_store(folder, {"a.txt": [Chunk("Three.", "line 1")]})
    assert {p.name for p in (folder / "index").iterdir()} == {"4"}


def test_what_a_killed_build_left_is_swept(folder: Path) -> None:
    (folder / "index" / ".7").mkdir()
    (folder / "index" / "7").mkdir()
    (folder / "index" / "7" / "half").write_text("made")
    make_store(folder, {"a.txt": [Chunk("One.", "line 1")]})
    assert {p.name for p in (folder / "index").iterdir()} == {"2"}
    assert ask(folder)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, min(len(data), len(data) // 3 + 64)):
        data[at] ^= 0xFF
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, zero, flip, remove])
@pytest.mark.parametrize(
    "name", ["chroma.sqlite3", "data_level0.bin", "lexical-postings.npy", "mean.npy", "manifest.json"]
)
def test_a_damaged_index_is_rebuilt_before_it_answers(folder: Path, name: str, damage: Callable[[Path], None]) -> None:
    expected = ask(folder)
    damage(next((folder / "index").rglob(name)))
    assert ask(folder) == expected
    store = Store(folder)
    assert store.status().index_is_whole
    store.close()


def test_a_missing_index_is_rebuilt(folder: Path) -> None:
    expected = ask(folder)
    shutil.rmtree(folder / "index")
    assert ask(folder) == expected


def test_an_index_of_another_store_is_not_answered_from(folder: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", {"other.txt": [Chunk(f"Other words {n}.", "line 1") for n in range(9)]})
    shutil.rmtree(folder / "index")
    shutil.copytree(other / "index", folder / "index")
    assert ask(folder) == FAQ[1].text


def test_an_index_with_swapped_vectors_is_noticed(folder: Path) -> None:
    """The checksums cannot tell, for Chroma's own catalog changes with each opening."""
    chroma = next((folder / "index").rglob("chroma.sqlite3"))
    with sqlite3.connect(chroma) as connection:
        connection.execute("UPDATE embeddings SET embedding_id = 'x' WHERE embedding_id = '1'")
        connection.execute("UPDATE embeddings SET embedding_id = '1' WHERE embedding_id = '2'")
        connection.execute("UPDATE embeddings SET embedding_id = '2' WHERE embedding_id = 'x'")
    connection.close()
    assert ask(folder) == FAQ[1].text


def test_a_reader_that_cannot_rebuild_says_so(folder: Path) -> None:
    shutil.rmtree(folder / "index")
    (folder / "index").write_text("a file where the folder should be")
    with pytest.raises((IndexDamaged, StoreUnwritable)):
        ask(folder)


def test_a_damaged_catalog_is_named(folder: Path) -> None:
    zero(folder / FILE_NAME)
    with pytest.raises(StoreDamaged, match=r"damaged|cannot be used"):
        ask(folder)


def test_a_store_of_a_newer_version_is_refused(folder: Path) -> None:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreTooNew, match="schema 99"):
        Store(folder)


def test_a_store_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="cannot make the store"):
        Store(tmp_path / "file" / "store", create=True)


def test_chunk_ids_are_never_given_twice(folder: Path) -> None:
    store = Store(folder)
    with store.writing():
        store.publish([], ["faq.txt", "post.md"], {}, LOCAL)
    with store.reading() as (snapshot, generation):
        assert snapshot.count_chunks() == 0
        assert generation.nearest(LocalEmbedder().embed_question("x"), 5) == {}
    store.close()
    make_store(folder)
    with sqlite3.connect(folder / FILE_NAME) as connection:
        assert connection.execute("SELECT MIN(id) FROM chunks").fetchone() == (len(FAQ) + 2,)
    connection.close()


def test_readers_in_many_threads_never_see_half_a_document(folder: Path) -> None:
    """Every generation holds as many chunks of one text as its number says; a mixture would hold others."""
    store = Store(folder)
    embedder = LocalEmbedder()
    stop = threading.Event()
    seen: list[set[str]] = []
    faults: list[BaseException] = []

    def read() -> None:
        retriever = Retriever(store, embedder)
        while not stop.is_set():
            try:
                found = retriever.retrieve("round", 20)
            except BaseException as error:
                faults.append(error)
                return
            seen.append({p.stored.chunk.locator for p in found.passages if p.stored.source == "r.txt"})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(8):
        make_store(folder, {"r.txt": [Chunk(f"round {n} part {part}", f"round {n}") for part in range(4)]})
    stop.set()
    for thread in threads:
        thread.join()
    store.close()
    assert not faults
    assert all(len(locators) <= 1 for locators in seen)
    assert any(seen)


def test_documents_come_back_as_they_were_put(folder: Path) -> None:
    store = Store(folder)
    with store.catalog.snapshot() as snapshot:
        assert snapshot.documents()["faq.txt"] == Document("faq.txt", "3", 1, "text/1")
        ids = [row.id for row in snapshot.index_rows()]
        stored = snapshot.chunks(ids)
        assert [s.chunk for s in stored.values() if s.source == "faq.txt"] == FAQ
        assert dict(snapshot.texts(ids))[ids[0]] == f"{FAQ[0].question}\n{FAQ[0].text}"
    store.close()


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    with closing(sqlite3.connect(folder / "catalog.sqlite3")) as connection:
        connection.execute("ALTER TABLE embeddings DROP COLUMN pieces")
        connection.execute("PRAGMA user_version = 1")
    store = Store(folder)
    with store.reading() as (snapshot, _):
        (vectors,) = snapshot.vectors("local", [text_hash(FAQ[0].whole)]).values()
    assert vectors.shape == (1, 384)
    store.close()
