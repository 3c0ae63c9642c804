from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.lexical import FILES, LexicalIndex, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("나 는", ["나", "는"]),
        ("Hello, WORLD 2024!", ["hello", "world", "2024"]),
        ("GPU를 샀다", ["gpu", "를", "샀다"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("ｶﾞｯﾂ ＡＢＣ", ["ガッ", "ッツ", "abc"]),
        ("ㅋㅋㅋ", ["ᄏᄏ", "ᄏᄏ"]),
        ("สวัสดี", ["สว", "วั", "ัส", "สด", "ดี"]),
        ("", []),
        ("… !? ---", []),
    ],
)
def test_unspaced_scripts_become_bigrams_and_others_words(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_decomposed_hangul_gives_the_same_tokens() -> None:
    assert tokenize("\u1100\u1161\u1102\u1161") == tokenize("가나")


def test_a_chunk_that_holds_the_whole_question_has_share_one() -> None:
    index = LexicalIndex.build([(3, "고양이 이름은 보류"), (7, "방송은 밤 아홉 시")])
    shares = index.shares("고양이 이름")
    assert index.share_of(3, shares) == pytest.approx(1.0)
    assert index.share_of(7, shares) == 0.0
    assert index.best(shares, 10) == [3]


def test_rare_tokens_weigh_more_than_common_ones() -> None:
    index = LexicalIndex.build([(1, "apple common"), (2, "pear common"), (3, "plum common")])
    shares = index.shares("pear common")
    assert index.share_of(2, shares) > 0.9
    assert index.share_of(1, shares) < 0.2


def test_a_token_no_chunk_holds_lowers_every_share() -> None:
    index = LexicalIndex.build([(1, "apple pie"), (2, "pear pie")])
    assert index.shares("apple").max() > index.shares("apple zucchini").max() > 0


def test_an_empty_index_answers() -> None:
    index = LexicalIndex.build([])
    shares = index.shares("무엇이든")
    assert shares.shape == (0,)
    assert index.best(shares, 5) == []


def test_a_question_without_tokens_matches_nothing() -> None:
    index = LexicalIndex.build([(1, "apple")])
    assert index.best(index.shares("?!"), 5) == []


words = st.lists(st.sampled_from(["가나다", "나다라", "apple", "pear", "의", "2024"]), max_size=6).map(" ".join)


@given(st.lists(words, min_size=1, max_size=8), words)
def test_shares_are_what_the_formula_says(texts: list[str], question: str) -> None:
    index = LexicalIndex.build(enumerate(texts))
    held = [set(tokenize(text)) for text in texts]
    idf = {
        token: np.log1p((len(texts) - n + 0.5) / (n + 0.5))
        for token in set(tokenize(question))
        for n in [sum(token in tokens for tokens in held)]
    }
    mass = sum(idf.values())
    expected = [sum(idf[t] for t in tokens & set(idf)) / mass if mass else 0 for tokens in held]
    assert index.shares(question) == pytest.approx(expected, abs=1e-5)


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    built = LexicalIndex.build([(1, "고양이 이름"), (5, "밤 아홉 시"), (9, "고양이 밥")])
    built.save(tmp_path)
    loaded = LexicalIndex.load(tmp_path)
    assert loaded.shares("고양이 밥").tolist() == built.shares("고양이 밥").tolist()
    assert loaded.ids.tolist() == [1, 5, 9]


@given(st.lists(st.tuples(st.sets(st.integers(0, 7)), st.lists(words, max_size=4)), min_size=1, max_size=5))
def test_an_index_that_was_changed_is_the_one_that_is_built_from_what_is_left(
    changes: list[tuple[set[int], list[str]]],
) -> None:
    """A change takes away the chunks at some places and adds some."""
    index, chunks, last = LexicalIndex.build([]), dict[int, str](), 0
    for places, texts in changes:
        gone = [chunk_id for place, chunk_id in enumerate(chunks) if place in places]
        added = dict(enumerate(texts, last + 1))
        last += len(added)
        index = index.changed(gone, LexicalIndex.build(added.items()))
        chunks = {i: text for i, text in chunks.items() if i not in gone} | added
        built = LexicalIndex.build(chunks.items())
        for name in FILES:
            here, there = getattr(index, name), getattr(built, name)
            assert (here.dtype, here.tolist()) == (there.dtype, there.tolist())


def test_a_chunk_that_does_not_come_last_is_not_added() -> None:
    with pytest.raises(ValueError, match="ascend"):
        LexicalIndex.build([(1, "apple"), (5, "pear")]).changed([], LexicalIndex.build([(3, "plum")]))
