"""`persona forget`: afterwards no file under the store holds the words, sessions included."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from persona_cli.catalog import Catalog
from persona_cli.cli.boundary import FAILED, WRONG_USAGE
from persona_cli.errors import SourceUnknown, StoreBusy
from persona_cli.ingestion import sources_named
from persona_cli.models import Answer, Chunk, Mode, Source, text_hash
from persona_cli.sessions import Session, Sessions
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


SECRETLY = "도롱뇽? Ask the quetzalcoatlus, 박도롱 said."
"""An answer in its words."""
HARMLESS = "보류예요."


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in its second generation, of which one document is secret; it was asked about already."""
    folder = tmp_path / "vector_store"
    make_store(folder, {"docs/faq.txt": FAQ, "docs/secret.txt": [SECRET]})
    make_store(folder, {"post.md": POST})
    with closing(Store(folder)) as opened:
        talk = Talk(opened, "asked")
        talk.answer(HARMLESS, of(FAQ[1], "docs/faq.txt"))
        talk.answer(SECRETLY, of(SECRET, "docs/secret.txt"))
        talk.sessions.summarise("asked", f"They spoke of this: {SECRETLY}", 2)
    return folder


def of(chunk: Chunk, source: str) -> Source:
    return Source(1, source, chunk.locator, chunk.speaker, chunk.date, chunk.whole, 1.0)


class Talk:
    """A session of a store, new or gone on with."""

    def __init__(self, store: Store, name: str) -> None:
        self.sessions = Sessions(store.catalog)
        self.name = self.sessions.start(name=name)

    def ask(self) -> int:
        return self.sessions.begin(self.name, "그 얘기 해 주세요")

    def answer(self, output: str, *sources: Source, mode: Mode = "generated", given: tuple[str, ...] = ()) -> int:
        n = self.ask()
        answer = Answer(output, mode, answerable=True, support=1.0, sources=sources)
        self.sessions.finish(self.name, n, answer, given=given or None)
        return n

    @property
    def session(self) -> Session:
        return self.sessions.load(self.name)

    @property
    def answers(self) -> list[str]:
        """What is left of the answers; what was erased is said to be."""
        assert all(bool(turn.answer) == (turn.state != "erased") for turn in self.session.turns if turn.state != "open")
        return [turn.answer for turn in self.session.turns]


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
    monkeypatch.setattr("persona_cli.database.BUSY_TIMEOUT_S", 0.2)
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


def test_what_was_answered_from_a_forgotten_document_is_erased_and_what_a_model_said_after_it(store: Path) -> None:
    faq, secret = of(FAQ[1], "docs/faq.txt"), of(SECRET, "docs/secret.txt")
    with closing(Store(store)) as opened:
        asked, other, refused = Talk(opened, "asked"), Talk(opened, "other"), Talk(opened, "refused")
        asked.answer("As I said: the salamander.", faq)
        asked.answer(HARMLESS, faq, mode="quoted")
        asked.sessions.stop("asked", asked.ask(), "Of salamanders", given=["docs/faq.txt"])
        other.answer(HARMLESS, faq)
        other.sessions.summarise("other", "Of a cat.", 1)
        refused.answer(SECRETLY, secret, faq, mode="refused")
        opened.forget(["docs/secret.txt"])
        assert asked.answers == [HARMLESS, "", "", HARMLESS, ""]
        assert [turn.sources for turn in asked.session.turns] == [[faq], [], [faq], [faq], []]
        assert [turn.mode for turn in asked.session.turns] == ["generated"] * 3 + ["quoted", None]
        assert (asked.session.summary, asked.session.summarised) == ("", 0)
        assert other.answers == [HARMLESS]
        assert other.session.summary == "Of a cat."
        assert refused.answers == [""]
        assert refused.session.turns[0].sources == [faq]
        assert traces(store) == []
        asked.answer(HARMLESS, faq)  # and it goes on
        asked.sessions.summarise("asked", "Of a cat.", 6)
        assert (asked.answers[-1], asked.session.summary) == (HARMLESS, "Of a cat.")


@pytest.mark.parametrize(
    "say",
    [
        lambda talk: talk.sessions.save(talk.name, talk.ask(), SECRETLY),
        lambda talk: talk.sessions.stop(talk.name, talk.ask(), SECRETLY),
        lambda talk: talk.sessions.stop(talk.name, talk.ask(), SECRETLY, given=["docs/secret.txt", "post.md"]),
        lambda talk: talk.answer(SECRETLY, of(POST[0], "post.md"), given=("docs/secret.txt", "post.md")),
        lambda talk: talk.answer(SECRETLY, of(SECRET, "secret, under its old name.txt"), mode="quoted"),
    ],
    ids=["broken off", "stopped", "stopped, given", "given beside its source", "renamed"],
)
def test_an_answer_that_may_hold_the_words_is_erased_too(store: Path, say: Callable[[Talk], object]) -> None:
    with closing(Store(store)) as opened:
        talk = Talk(opened, "later")
        say(talk)
        talk.answer("And so on.", of(FAQ[0], "docs/faq.txt"))
        opened.forget(["docs/secret.txt"])
        assert talk.answers == ["", ""]
        assert traces(store) == []


def test_an_answer_that_is_known_to_be_from_elsewhere_stays(store: Path) -> None:
    with closing(Store(store)) as opened:
        talk = Talk(opened, "later")
        talk.sessions.stop(talk.name, talk.ask(), "I moved", given=["post.md"])
        talk.answer("In November.", of(POST[0], "post.md"))
        opened.forget(["docs/secret.txt"])
        assert talk.answers == ["I moved", "In November."]


def test_who_is_answering_while_it_is_forgotten_is_not_heard_out(store: Path) -> None:
    with closing(Store(store)) as opened, closing(Store(store)) as server:
        talk = Talk(server, "later")
        n = talk.ask()
        opened.forget(["docs/secret.txt"])
        talk.sessions.save("later", n, SECRETLY)
        talk.sessions.finish("later", n, Answer(SECRETLY, "generated", True, 1.0))
        talk.sessions.stop("later", n, SECRETLY)
        talk.sessions.summarise("later", SECRETLY, 1)
        assert (talk.answers, talk.session.summary) == ([""], "")
        assert traces(store) == []


def test_a_forget_that_is_killed_before_it_is_done_leaves_all_as_it_was(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents and sessions go in one transaction."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with closing(Store(store)) as opened:
        before = Talk(opened, "asked").session
        with monkeypatch.context() as patch:
            patch.setattr("persona_cli.catalog._set_facts", killed)  # which comes last in it
            with pytest.raises(KeyboardInterrupt):
                opened.forget(["docs/secret.txt"])
        assert Talk(opened, "asked").session == before
        with opened.catalog.snapshot() as snapshot:
            assert "docs/secret.txt" in snapshot.documents()


FORGET = """
import sys
from pathlib import Path
from persona_cli.store import Store
store = Store(Path(sys.argv[1]))
print("begins", flush=True)
store.forget(["docs/secret.txt"])
"""


@pytest.mark.parametrize("after_s", [0.0, 0.03, 0.06, 0.1, 0.2])
def test_whenever_a_forget_is_killed_documents_and_sessions_agree(store: Path, after_s: float) -> None:
    command = [sys.executable, "-c", FORGET, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begins\n"
        time.sleep(after_s)
        process.kill()
    with closing(Store(store)) as opened:
        with opened.writing(), opened.catalog.snapshot() as snapshot:
            is_there = "docs/secret.txt" in snapshot.documents()
        assert Talk(opened, "asked").answers == [HARMLESS, SECRETLY if is_there else ""]
        assert bool(traces(store)) == is_there


def test_what_is_masked_later_is_erased_from_sessions(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "me.txt").write_text("Q: 전화번호가 뭐예요?\nA: 010-2345-6789로 거세요.\n", encoding="utf-8")
    assert persona("ingest", "docs", cwd=tmp_path).returncode == 0
    store = tmp_path / "vector_store"
    with closing(Store(store)) as opened:
        talk = Talk(opened, "asked")
        with opened.reading() as (snapshot, _):
            (source,) = snapshot.documents()
            (stored,) = snapshot.chunks(row.id for row in snapshot.index_rows()).values()
        talk.answer("010-2345-6789로 거세요.", of(stored.chunk, source))
    files = [path for path in store.rglob("*") if path.is_file()]
    assert [path for path in files if b"2345-6789" in path.read_bytes()]
    assert persona("ingest", "docs", "--redact", cwd=tmp_path).returncode == 0
    files = [path for path in store.rglob("*") if path.is_file()]
    assert [path for path in files if b"2345-6789" in path.read_bytes()] == []
    with closing(Store(store)) as opened:
        assert Talk(opened, "asked").answers == [""]
