"""`persona forget`: afterwards no file under the store holds the words."""

from pathlib import Path

import pytest

from persona_cli.catalog import Catalog
from persona_cli.cli.boundary import FAILED, WRONG_USAGE
from persona_cli.errors import SourceUnknown, StoreBusy
from persona_cli.ingestion import sources_named
from persona_cli.models import Chunk, text_hash
from persona_cli.store import Store
from tests.commands import persona
from tests.stores import FAQ, POST, make_store

SECRET = Chunk(
    "비밀스러운 도롱뇽 이야기는 여기까지입니다. The quetzalcoatlus never returned.",
    "line 1",
    "무슨 도롱뇽인가요?",
    "박도롱",
    "2024-01-02",
)
TRACES = ("도롱뇽", "quetzalcoatlus", "박도롱")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in its second generation, of which one document is secret."""
    folder = tmp_path / "vector_store"
    make_store(folder, {"docs/faq.txt": FAQ, "docs/secret.txt": [SECRET]})
    return make_store(folder, {"post.md": POST})


def traces(folder: Path) -> list[str]:
    """Files that hold one of the words, in any encoding a program may have chosen."""
    needles = [word.encode(encoding) for word in TRACES for encoding in ("utf-8", "utf-16-le", "cp949")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if any(n in path.read_bytes() for n in needles)]


def vectors(folder: Path) -> list[bytes]:
    catalog = Catalog(folder)
    with catalog.snapshot() as snapshot:
        found = snapshot.vectors("local", [text_hash(SECRET.whole)])
    catalog.close()
    return [vector.tobytes() for vector in found.values()]


def test_nothing_of_a_forgotten_document_is_left_in_any_file(store: Path) -> None:
    (vector,) = vectors(store)
    assert traces(store) == ["catalog.sqlite3"]
    done = persona("forget", "docs/secret.txt", "--yes", cwd=store.parent)
    assert (done.returncode, done.stdout) == (0, "erased: 1 documents\n")
    assert traces(store) == []
    assert vectors(store) == []
    assert [p for p in store.rglob("*") if p.is_file() and vector in p.read_bytes()] == []
    asked = persona("ask", "고양이 이름이 뭐예요?", cwd=store.parent)
    assert "보류" in asked.stdout


def test_a_reader_at_work_does_not_keep_what_is_forgotten(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle server leases the generation it answered from last, until the next question."""
    monkeypatch.setattr("persona_cli.store.ERASE_WAIT_S", 0.2)
    idle, writer = Store(store), Store(store)
    with idle.reading() as (_, generation):
        before = generation.number
    writer.forget(["docs/secret.txt"])
    assert traces(store) == []
    assert [folder.name for folder in (store / "index").iterdir()] == [str(before + 1)]
    with idle.reading() as (snapshot, generation):
        assert generation.number == before + 1
        assert "docs/secret.txt" not in snapshot.documents()
    idle.close()
    writer.close()


def test_a_snapshot_that_is_held_open_is_waited_for_and_then_named(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persona_cli.catalog.BUSY_TIMEOUT_S", 0.2)
    reader, writer = Store(store), Store(store)
    with reader.catalog.snapshot() as snapshot:
        snapshot.documents()
        with pytest.raises(StoreBusy, match=r"catalog\.sqlite3-wal"):
            writer.forget(["docs/secret.txt"])
    reader.close()
    writer.close()


@pytest.mark.parametrize("killed_in", ["flush", "sweep"])
def test_what_a_killed_forget_left_is_erased_by_the_next_writer(
    store: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    (vector,) = vectors(store)
    opened = Store(store)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(opened.catalog if killed_in == "flush" else opened.index, killed_in, killed)
    with pytest.raises(KeyboardInterrupt):
        opened.forget(["docs/secret.txt"])
    opened.close()
    assert [p for p in store.rglob("*") if p.is_file() and vector in p.read_bytes()]
    done = persona("forget", "docs/secret.txt", "--yes", cwd=store.parent)
    assert done.returncode == FAILED
    assert "there is no document" in done.stderr
    assert traces(store) == []
    assert [p for p in store.rglob("*") if p.is_file() and vector in p.read_bytes()] == []


def test_a_folder_is_forgotten_with_all_that_is_in_it(store: Path) -> None:
    opened = Store(store)
    assert sources_named(opened, "docs") == ["docs/faq.txt", "docs/secret.txt"]
    assert sources_named(opened, "secret.txt") == ["docs/secret.txt"]
    assert sources_named(opened, str(store.parent / "docs" / "secret.txt")) == ["docs/secret.txt"]
    opened.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (" ", "an empty name"),
        ("docs/secrets.txt", "did you mean docs/secret.txt"),
        ("그런 문서", "there is no document '그런 문서' in"),
    ],
)
def test_an_unknown_document_is_named_with_the_nearest(store: Path, name: str, message: str) -> None:
    opened = Store(store)
    with pytest.raises(SourceUnknown, match=message):
        sources_named(opened, name)
    opened.close()


def test_a_name_that_several_documents_have_is_refused(tmp_path: Path) -> None:
    opened = Store(make_store(tmp_path / "vector_store", {"a/faq.txt": FAQ, "b/faq.txt": POST}))
    with pytest.raises(SourceUnknown, match=r"a/faq\.txt, b/faq\.txt"):
        sources_named(opened, "faq.txt")
    opened.close()


def test_without_a_terminal_yes_must_be_said(store: Path) -> None:
    done = persona("forget", "docs/secret.txt", cwd=store.parent)
    assert done.returncode == WRONG_USAGE
    assert "--yes" in done.stderr
    assert traces(store) != []


def test_the_last_document_can_be_forgotten(tmp_path: Path) -> None:
    store = make_store(tmp_path / "vector_store", {"secret.txt": [SECRET]})
    assert persona("forget", "secret.txt", "--yes", cwd=tmp_path).returncode == 0
    assert traces(store) == []
    assert persona("ask", "무슨 도롱뇽인가요?", cwd=tmp_path).returncode in (0, FAILED)


def test_a_file_that_is_still_there_is_named(store: Path) -> None:
    (store.parent / "docs").mkdir()
    (store.parent / "docs" / "secret.txt").write_text("…", encoding="utf-8")
    done = persona("forget", "docs/secret.txt", "--yes", cwd=store.parent)
    assert "still on disk" in done.stderr
