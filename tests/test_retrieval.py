from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.embedding import LocalEmbedder
from persona_cli.models import Chunk, ChunkId
from persona_cli.retrieval import LEXICAL_WEIGHT, Retriever, distinct, fuse
from persona_cli.store import Store
from tests.stores import FAQ, make_store


def retrieve(folder: Path, question: str, top_k: int = 4) -> list[tuple[str, str]]:
    store = Store(folder)
    found = Retriever(store, LocalEmbedder()).retrieve(question, top_k)
    store.close()
    return [(p.stored.source, p.stored.chunk.text) for p in found.passages]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("retrieval") / "store")


@pytest.mark.parametrize(
    ("question", "source", "n"),
    [
        ("유퀴즈 출연 후 아쉬웠던 점?", "faq.txt", 0),
        ("냥이 이름 알려줘", "faq.txt", 1),
        ("what is your cat called?", "faq.txt", 1),
        ("뱅송 언제 해요", "faq.txt", 2),
    ],
)
def test_a_paraphrase_finds_its_pair(folder: Path, question: str, source: str, n: int) -> None:
    assert retrieve(folder, question)[0] == (source, FAQ[n].text)


def test_prose_is_found_beside_pairs(folder: Path) -> None:
    assert retrieve(folder, "Why did you leave your old studio?")[0][0] == "post.md"


def test_no_more_passages_come_than_asked_for(folder: Path) -> None:
    assert len(retrieve(folder, "고양이", top_k=2)) == 2


def test_the_same_words_in_two_documents_are_two_passages_and_one_distinct_one(tmp_path: Path) -> None:
    store = Store(make_store(tmp_path / "store", {"a.txt": FAQ, "b.csv": FAQ}))
    passages = Retriever(store, LocalEmbedder()).retrieve("고양이 이름이 뭐예요?", 6).passages
    assert len(passages) == 6
    assert distinct(passages) == [passages[0], passages[2], passages[4]]
    store.close()


def test_a_store_of_one_chunk_answers(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", {"a.txt": [Chunk("하나뿐인 말", "line 1")]})
    assert retrieve(folder, "말") == [("a.txt", "하나뿐인 말")]


def test_similarities_are_cosines_and_shares_are_shares(folder: Path) -> None:
    store = Store(folder)
    found = Retriever(store, LocalEmbedder()).retrieve(str(FAQ[1].question), 4)
    best = found.passages[0]
    assert 0.85 < best.similarity <= 1
    assert best.share == pytest.approx(1)
    assert (found.similarity, found.share) == (best.similarity, best.share)
    assert set(found.timings_ms) == {"embed", "search"}
    store.close()


ids = st.integers(1, 30).map(ChunkId)
numbers = st.dictionaries(ids, st.floats(-1, 1), max_size=12)


@given(numbers, st.dictionaries(ids, st.floats(0, 1), max_size=12))
def test_fusion_ranks_every_candidate_once_by_its_score(
    similarities: dict[ChunkId, float], shares: dict[ChunkId, float]
) -> None:
    ranked = fuse(similarities, shares, mean=0.1, spread=0.05)
    assert sorted(i for i, _ in ranked) == sorted(similarities)
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
    for i, score in ranked:
        assert score == pytest.approx((similarities[i] - 0.1) / 0.05 + LEXICAL_WEIGHT * shares.get(i, 0))
