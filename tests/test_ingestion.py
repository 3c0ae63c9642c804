import os
import time
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from persona_cli.comparison import source_of
from persona_cli.embedding import LOCAL
from persona_cli.errors import ModelUnavailable, StoreMissing
from persona_cli.ingestion import Report, ingest, preview
from persona_cli.models import Matrix, Vector
from persona_cli.reading import Memory, Rules
from persona_cli.store import Store
from tests.stores import embed


class CountingEmbedder:
    """The real vectors, with a count of the texts they were asked for, and a point from which it fails."""

    batch_chars = 100
    by_sentence = False

    def __init__(self, model: str = LOCAL, fail_after: int | None = None) -> None:
        self.model = model
        self.fail_after = fail_after
        self.texts: list[str] = []

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        if self.fail_after is not None and len(self.texts) >= self.fail_after:
            raise ModelUnavailable("gone")
        self.texts += texts
        return np.stack([embed(text) for text in texts])

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        self.texts += questions
        return np.stack([embed(question, asked=True) for question in questions])

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        return embed(question, asked=True)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "faq.txt").write_text("고양이 이름이 뭐예요? 보류예요.\n\n몇 시에 자요? 세 시요.\n", encoding="utf-8")
    (folder / "post.md").write_text("# Moving\n\nI moved the studio in November.\n", encoding="utf-8")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "vector_store", create=True)
    yield opened
    opened.close()


def run(
    store: Store,
    *paths: Path,
    embedder: CountingEmbedder | None = None,
    prune: bool = True,
    rules: Rules | None = None,
    memory: Memory | None = None,
) -> tuple[Report, list[str]]:
    """Ingest; the report and the texts that were embedded."""
    embedder = embedder or CountingEmbedder()
    report = ingest(paths, store, lambda _: embedder, embedder.model, rules=rules, prune=prune, memory=memory)
    return report, embedder.texts


def sources(store: Store) -> set[str]:
    with store.catalog.snapshot() as snapshot:
        return set(snapshot.documents())


def test_a_folder_becomes_documents_chunks_and_a_generation(store: Store, docs: Path) -> None:
    report, texts = run(store, docs)
    assert report.documents == {"added": 2, "updated": 0, "unchanged": 0, "removed": 0, "skipped": 0}
    assert (report.chunks, report.generation, report.embedding) == (3, 1, LOCAL)
    assert sources(store) == {"docs/faq.txt", "docs/post.md"}
    assert sorted(texts)[1:] == [
        "고양이 이름이 뭐예요?",
        "고양이 이름이 뭐예요?\n보류예요.",
        "몇 시에 자요?",
        "몇 시에 자요?\n세 시요.",
    ]


def test_an_unchanged_folder_embeds_nothing_and_publishes_nothing(store: Store, docs: Path) -> None:
    run(store, docs)
    report, texts = run(store, docs)
    assert report.documents["unchanged"] == 2
    assert (report.generation, report.embedded, texts) == (1, 0, [])


def test_an_edited_file_embeds_only_what_is_new_in_it(store: Store, docs: Path) -> None:
    run(store, docs)
    faq = docs / "faq.txt"
    faq.write_text(faq.read_text(encoding="utf-8") + "\n뭘 먹어요? 국수요.\n", encoding="utf-8")
    report, texts = run(store, docs)
    assert report.documents["updated"] == 1
    assert report.chunks == 4
    assert texts == ["뭘 먹어요?\n국수요.", "뭘 먹어요?"]


def test_a_renamed_file_embeds_nothing(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").rename(docs / "answers.txt")
    report, texts = run(store, docs)
    assert (report.documents["added"], report.documents["removed"], texts) == (1, 1, [])
    assert sources(store) == {"docs/answers.txt", "docs/post.md"}


def test_what_is_gone_from_a_folder_leaves_the_store_unless_told_otherwise(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").unlink()
    run(store, docs, prune=False)
    assert sources(store) == {"docs/faq.txt", "docs/post.md"}
    report, _ = run(store, docs)
    assert report.documents["removed"] == 1
    assert sources(store) == {"docs/post.md"}


def test_ingesting_one_folder_leaves_documents_from_elsewhere_alone(store: Store, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "docs2").mkdir()
    (tmp_path / "docs2" / "other.txt").write_text("Other words.", encoding="utf-8")
    run(store, docs)
    run(store, tmp_path / "docs2")
    assert sources(store) == {"docs/faq.txt", "docs/post.md", "docs2/other.txt"}


def plan_of(report: Report) -> list[tuple[str, str, str | None]]:
    return [(change.what, change.source, change.before) for change in report.changes]


def test_a_preview_needs_no_store(docs: Path, tmp_path: Path) -> None:
    report = preview([docs], tmp_path / "vector_store", None, LOCAL)
    assert plan_of(report) == [("added", "docs/faq.txt", None), ("added", "docs/post.md", None)]
    assert (report.chunks, report.generation) == (3, 0)
    assert not (tmp_path / "vector_store").exists()


def test_a_preview_names_what_becomes_of_each_document_and_does_nothing(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").rename(docs / "answers.txt")
    (docs / "post.md").write_text("# Moving\n\nI did not move.\n", encoding="utf-8")
    (docs / "new.txt").write_text("새로운 말이에요.\n", encoding="utf-8")
    report = preview([docs], store.folder, store, LOCAL)
    assert plan_of(report) == [
        ("renamed", "docs/answers.txt", "docs/faq.txt"),
        ("added", "docs/new.txt", None),
        ("updated", "docs/post.md", None),
    ]
    assert report.documents == {"added": 2, "updated": 1, "unchanged": 0, "removed": 1, "skipped": 0}
    assert report.chunks == 4
    assert sources(store) == {"docs/faq.txt", "docs/post.md"}
    again, _ = run(store, docs)
    assert (again.changes, again.documents, again.chunks) == (report.changes, report.documents, report.chunks)


def test_a_folder_that_is_empty_now_removes_nothing(store: Store, docs: Path) -> None:
    run(store, docs)
    for file in docs.iterdir():
        file.unlink()
    with pytest.raises(StoreMissing, match="persona forget"):
        run(store, docs)
    assert sources(store) == {"docs/faq.txt", "docs/post.md"}


def test_a_file_without_words_any_more_leaves_the_store(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").write_text("\n")
    report, _ = run(store, docs)
    assert (report.documents["removed"], report.documents["skipped"]) == (1, 1)
    assert sources(store) == {"docs/post.md"}


def test_a_file_that_became_unreadable_keeps_its_last_good_version(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").write_bytes(b"\x00\x01\x02" * 50)
    report, _ = run(store, docs)
    assert [s.path for s in report.skipped] == ["docs/faq.txt"]
    assert report.documents["removed"] == 0
    assert "docs/faq.txt" in sources(store)


def test_unreadable_files_are_named_with_their_reasons(store: Store, docs: Path) -> None:
    (docs / "empty.txt").write_text("")
    (docs / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    report, _ = run(store, docs)
    assert {s.path: str(s.reason) for s in report.skipped}.keys() == {"docs/empty.txt", "docs/photo.png"}
    assert report.documents["added"] == 2


def test_the_store_inside_the_folder_is_not_read(docs: Path) -> None:
    store = Store(docs / "vector_store", create=True)
    run(store, docs)
    assert sources(store) == {"faq.txt", "post.md"}
    store.close()


def test_what_was_embedded_before_a_failure_is_not_embedded_again(store: Store, docs: Path) -> None:
    many = "\n\n".join(f"{n}번 질문인가요? {n}번 답이에요." for n in range(40))
    (docs / "many.txt").write_text(many, encoding="utf-8")
    broken = CountingEmbedder(fail_after=32)
    with pytest.raises(ModelUnavailable):
        run(store, docs, embedder=broken)
    assert sources(store) == set()
    _, texts = run(store, docs)
    assert not set(texts) & set(broken.texts)
    assert len(sources(store)) == 3


def test_another_embedding_model_embeds_the_whole_store_anew(store: Store, docs: Path) -> None:
    run(store, docs)
    other = CountingEmbedder("openai:other")
    report, texts = run(store, embedder=other)
    assert (report.embedding, len(texts), report.generation) == ("openai:other", 5, 2)
    assert sources(store) == {"docs/faq.txt", "docs/post.md"}


def test_a_damaged_index_is_rebuilt_by_the_next_ingest_without_an_embedder(store: Store, docs: Path) -> None:
    run(store, docs)
    (store.folder / "index" / "1" / "mean.npy").write_bytes(b"")
    report, texts = run(store, docs)
    assert (report.generation, texts) == (2, [])


def test_nothing_to_read_is_an_error_that_names_where(store: Store, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(StoreMissing, match="bare"):
        run(store, tmp_path / "bare")


def test_two_files_with_the_same_words_are_two_documents(store: Store, docs: Path) -> None:
    (docs / "copy.txt").write_bytes((docs / "faq.txt").read_bytes())
    report, texts = run(store, docs)
    assert report.chunks == 5
    assert len(texts) == len(set(texts)) == 5


def test_a_source_is_named_from_the_folder_the_store_is_in(tmp_path: Path) -> None:
    store = tmp_path / "vector_store"
    assert source_of(tmp_path / "docs" / "a.txt", store) == "docs/a.txt"
    assert source_of(Path("/elsewhere/b.txt"), store) == "/elsewhere/b.txt"


def test_a_decomposed_file_name_is_the_same_source(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "질문.txt")
    assert source_of(tmp_path / name, tmp_path / "store") == "질문.txt"


def test_a_file_name_that_is_no_text_is_shown_with_replacement_characters(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    assert source_of(path, tmp_path / "store") == "\ufffd.txt"


def test_phases_are_told_as_they_go(store: Store, docs: Path) -> None:
    told: list[tuple[str, int, int]] = []
    embedder = CountingEmbedder()
    ingest([docs], store, lambda _: embedder, LOCAL, progress=lambda *step: told.append(step))
    assert [phase for phase, done, total in told if done == total] == ["read", "embed", "publish"]


def age(folder: Path) -> None:
    """Make files look as if nobody had touched them for an hour."""
    for file in folder.iterdir():
        os.utime(file, (time.time() - 3600,) * 2)


def test_a_memory_saves_opening_what_was_not_touched(store: Store, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (docs / "photo.txt").write_bytes(b"\x00\x01\x02" * 50)
    age(docs)
    memory = Memory()
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def note(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", note)
    run(store, docs, memory=memory)
    assert sorted(n for n in opened if n.endswith((".txt", ".md"))) == ["faq.txt", "photo.txt", "post.md"]
    opened.clear()
    report, _ = run(store, docs, memory=memory)
    assert (report.documents["unchanged"], report.documents["skipped"]) == (2, 1)
    assert not [name for name in opened if name.endswith((".txt", ".md"))]


def test_a_memory_notices_an_edit_that_keeps_size_and_time(store: Store, docs: Path) -> None:
    """Two writes within one tick of the file system's clock look alike, so a file just written is not remembered."""
    memory = Memory()
    faq = docs / "faq.txt"
    run(store, docs, memory=memory)
    stamp = faq.stat().st_mtime_ns
    faq.write_bytes(faq.read_bytes().replace("보류".encode(), "결재".encode()))
    os.utime(faq, ns=(stamp, stamp))
    report, _ = run(store, docs, memory=memory)
    assert report.documents["updated"] == 1


def test_a_file_over_the_limit_is_named_with_its_size(store: Store, docs: Path) -> None:
    (docs / "big.txt").write_text("말" * 400_000, encoding="utf-8")
    report, _ = run(store, docs, rules=Rules(max_bytes=1_000_000))
    (skipped,) = report.skipped
    assert str(skipped.reason).startswith("1 MB, and at most 1 MB are read")


def test_what_cannot_be_read_masked_does_not_stay_unmasked(store: Store, docs: Path) -> None:
    run(store, docs)
    (docs / "faq.txt").write_bytes(b"\x00\x01\x02" * 50)
    run(store, docs)
    assert "docs/faq.txt" in sources(store)
    run(store, docs, rules=Rules(redact=True))
    assert sources(store) == {"docs/post.md"}


@pytest.mark.parametrize(
    ("recorded", "names", "redact", "same"),
    [
        ("text/2", (), False, True),
        ("text/2", ("자두",), False, True),
        ("text/1", (), False, False),
        ("text/2 as 자두", ("자두",), False, True),
        ("text/2 as 자두", (), False, True),
        ("text/2 as 자두", ("한결",), False, False),
        ("text/2", (), True, False),
        ("text/2 redacted", (), True, True),
        ("text/2 redacted as 자두", ("자두",), True, True),
        ("text/2 redacted as 자두", ("자두",), False, False),
        ("text/2 as a redacted man", ("a redacted man",), True, False),
    ],
)
def test_a_document_is_read_again_when_it_would_be_read_otherwise(
    recorded: str, names: tuple[str, ...], redact: bool, same: bool
) -> None:
    assert Rules(names, redact).is_current("text/2", recorded) is same
