"""The index by itself: what is made from the previous generation is what would be made anew."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
from chromadb import Collection
from chromadb.errors import InternalError

from persona_cli.errors import IndexDamaged, StoreUnwritable
from persona_cli.index import DELETED_SHARE, MANIFEST, Content, Index
from persona_cli.models import Chunk, ChunkId, IndexRow, Matrix, Vector
from persona_cli.vectors import VectorIndex

DIMENSIONS = 16
WORDS = ["고양이", "이름", "보류", "병원", "접수대", "방송", "화요일", "밤", "아홉", "시", "studio", "moved", "bakery"]


def vectors_of(keys: Iterable[bytes]) -> dict[bytes, Matrix]:
    """A made-up vector for each key, always the same one."""
    drawn = {key: np.random.default_rng(list(key)).standard_normal((1, DIMENSIONS)) for key in keys}
    return {key: (vector / np.linalg.norm(vector)).astype(np.float32) for key, vector in drawn.items()}


def make_chunks(first: int, count: int) -> dict[ChunkId, Chunk]:
    """Chunks by id, every second one a pair."""
    draw = random.Random(first)
    return {
        ChunkId(i): Chunk(" ".join(draw.choices(WORDS, k=8)) + f" {i}", f"line {i}", f"{i}번?" if i % 2 else None)
        for i in range(first, first + count)
    }


class Built:
    """Generations of an index, with the ids whose texts were read for the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder)
        self.number = 0
        self.read: list[ChunkId] = []

    def build(self, chunks: Mapping[ChunkId, Chunk]) -> Path:
        def texts_of(ids: Sequence[ChunkId]) -> Iterator[tuple[ChunkId, str]]:
            self.read += ids
            yield from ((i, chunks[i].whole) for i in ids)

        self.read = []
        rows = [IndexRow.of(i, chunk) for i, chunk in chunks.items()]
        self.index.build(self.number + 1, Content(rows, texts_of, vectors_of), self.number)
        self.index.sweep(keep=self.number + 1)
        self.number += 1
        return self.folder / str(self.number)

    def nearest(self, question: Vector) -> dict[int, float]:
        """All chunks with their similarities."""
        generation = self.index.open(self.number)
        found = generation.nearest(question, 1_000)
        generation.close()
        return found


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path / "index")


def arrays(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npy", ".bin")}


@pytest.mark.parametrize("seed", range(2))
def test_many_small_changes_give_what_making_it_anew_gives(built: Built, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    chunks, last, changed = make_chunks(1, 60), 60, 0
    built.build(chunks)
    question = vectors_of([b"question"])[b"question"][0]
    for step in range(6):
        gone = draw.sample(sorted(chunks), draw.randint(0, 3))
        new = make_chunks(last + 1, draw.randint(not gone, 3))
        last += len(new)
        chunks = {i: chunk for i, chunk in chunks.items() if i not in gone} | new
        folder = built.build(chunks)
        changed += built.read == list(new)
        anew = Built(tmp_path / f"anew {step}")
        assert arrays(folder) == arrays(anew.build(chunks))
        found = built.nearest(question)
        assert found == pytest.approx(anew.nearest(question), abs=1e-6)
        assert found.keys() == chunks.keys()
    assert changed >= 4


@pytest.mark.parametrize(("gone", "new"), [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2)])
def test_reading_leaves_the_files_of_a_changed_generation_as_they_are(built: Built, gone: int, new: int) -> None:
    """Chroma leaves a single record unwritten, and a reader would then write it."""
    chunks = {i: Chunk(f"말 {i}", "line 1") for i in map(ChunkId, range(1, 21))}
    built.build(chunks)
    chunks = dict(list(chunks.items())[gone:]) | {i: Chunk(f"새 {i}", "") for i in map(ChunkId, range(21, 21 + new))}
    folder = built.build(chunks)
    assert len(built.read) == new
    before = {path: path.read_bytes() for path in folder.rglob("*.bin")}
    assert built.nearest(vectors_of([b"x"])[b"x"][0]).keys() == chunks.keys()
    assert built.index.is_whole(built.number)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.bin")}


def test_what_was_deleted_does_not_pile_up(built: Built) -> None:
    chunks, sizes = make_chunks(1, 20), []
    for i in range(21, 33):
        folder = built.build(chunks)
        manifest = json.loads((folder / MANIFEST).read_text())
        assert manifest["deleted"] < DELETED_SHARE * manifest["vectors"]
        sizes.append(next(folder.rglob("data_level0.bin")).stat().st_size)
        del chunks[min(chunks)]
        chunks |= make_chunks(i, 1)
    assert max(sizes) <= (1 + DELETED_SHARE) * sizes[0]


def truncate(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = next(folder.rglob(name))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def lose_a_vector(folder: Path) -> None:
    """As no checksum tells, for Chroma's own catalog changes with each opening."""
    connection = sqlite3.connect(folder / "chroma.sqlite3")
    with connection:
        connection.execute("DELETE FROM embeddings WHERE embedding_id = '4'")
    connection.close()


def make_older(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 0}))


@pytest.mark.parametrize(
    "damage",
    [
        truncate("data_level0.bin"),
        truncate("lexical-postings.npy"),
        truncate("rows.bin"),
        truncate("chroma.sqlite3"),
        truncate(MANIFEST),
        lose_a_vector,
        make_older,
    ],
)
def test_a_generation_is_made_anew_when_the_previous_one_is_not_whole(
    built: Built, damage: Callable[[Path], None]
) -> None:
    chunks = make_chunks(1, 30)
    damage(built.build(chunks))
    chunks |= make_chunks(31, 2)
    built.build(chunks)
    assert built.read[-len(chunks) :] == list(chunks)
    assert built.nearest(vectors_of([b"x"])[b"x"][0]).keys() == chunks.keys()


def test_an_id_that_came_back_with_other_words_is_indexed_with_those(built: Built, tmp_path: Path) -> None:
    """As when somebody puts back an older copy of the catalog."""
    chunks = make_chunks(1, 30)
    built.build(chunks)
    chunks[ChunkId(8)] = Chunk("다른 말", "line 8", "다른 질문?")
    assert arrays(built.build(chunks)) == arrays(Built(tmp_path / "anew").build(chunks))


def test_a_generation_of_too_few_vectors_is_refused_and_chroma_closed(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_a_vector(built.build(make_chunks(1, 9)))
    closing = create_autospec(VectorIndex.close, side_effect=VectorIndex.close)
    monkeypatch.setattr(VectorIndex, "close", closing)
    with pytest.raises(IndexDamaged, match="vectors of"):
        built.index.open(built.number)
    closing.assert_called_once()


def test_a_full_disk_is_said_to_be_the_cause_and_costs_nothing(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = make_chunks(1, 20)
    built.build(chunks)
    full = create_autospec(Collection.add, side_effect=InternalError("(code: 13) database or disk is full"))
    monkeypatch.setattr(Collection, "add", full)
    with pytest.raises(StoreUnwritable, match="disk is full"):
        built.build(chunks | make_chunks(21, 1))
    assert [path.name for path in built.folder.iterdir()] == ["1"]
    assert built.index.is_whole(1)


@pytest.mark.parametrize("name", ["100%", "a#b?c", "%20", "한글 이름"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    built = Built(tmp_path / name)
    chunks = make_chunks(1, 20)
    built.build(chunks)
    built.build(chunks | make_chunks(21, 1))
    assert built.read == [21]
    assert built.index.is_whole(built.number)
