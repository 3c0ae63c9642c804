import math
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.grounding import (
    CALIBRATIONS,
    UNMEASURED,
    Calibration,
    Script,
    bearing_out,
    is_same_question,
    script_of,
    support,
)
from persona_cli.models import Chunk, ChunkId, Passage, StoredChunk

MODELS = [*CALIBRATIONS, "openai:text-embedding-3-small", "openai:anything"]
QUESTIONS = ["고양이 이름은?", "猫叫什么？", "What is the cat called?", ""]

questions = st.sampled_from(QUESTIONS) | st.text()
similarities = st.floats(-1, 1)
shares = st.floats(0, 1)


@settings(deadline=None)
@given(questions, similarities, shares, st.sampled_from(MODELS))
def test_support_is_a_probability_for_whatever_was_found(
    question: str, similarity: float, share: float, embedding: str
) -> None:
    assert 0 <= support(question, similarity, share, embedding) <= 1


@settings(deadline=None)
@given(questions, similarities, similarities, shares, shares, st.sampled_from(MODELS))
def test_more_alike_is_never_less_support(
    question: str, one: float, other: float, share: float, other_share: float, embedding: str
) -> None:
    assume(one <= other)
    assume(share <= other_share)
    assert support(question, one, share, embedding) <= support(question, other, other_share, embedding)


@pytest.mark.parametrize("embedding", MODELS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_found_is_no_support_and_the_very_words_are_full_support(question: str, embedding: str) -> None:
    assert support(question, -1, 0, embedding) < 0.01
    assert support(question, 1, 1, embedding) > 0.99


@pytest.mark.parametrize("fitted", [*CALIBRATIONS.values(), UNMEASURED])
def test_every_calibration_knows_every_script(fitted: Calibration) -> None:
    assert set(fitted.bias) == set(get_args(Script))
    assert fitted.similarity > 0
    assert fitted.share > 0
    assert all(map(math.isfinite, (fitted.similarity, fitted.share, *fitted.bias.values())))


@pytest.mark.parametrize(
    ("recorded", "asked", "other"),
    [
        (
            "유퀴즈하고 아쉬웠던 점은 무엇인가요?",
            "유퀴즈 출연 후 아쉬웠던 점?",
            "양자 컴퓨터의 오류 정정은 어떻게 하나요?",
        ),
        ("Why did you move the studio?", "why'd you leave the old studio?", "How does quantum error correction work?"),
    ],
)
def test_a_question_about_what_was_said_has_support_and_one_about_what_was_not_has_none(
    recorded: str, asked: str, other: str
) -> None:
    embedder = LocalEmbedder()
    (vector,) = embedder.embed_questions([recorded])
    supports = [support(q, float(vector @ embedder.embed_question(q)), 0, LOCAL) for q in (asked, other)]
    assert supports[0] > 0.5 > supports[1]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("고양이 이름?", "hangul"),
        ("BTS 좋아해?", "hangul"),
        ("ㅋㅋ", "hangul"),
        ("猫가 뭐예요?", "hangul"),
        ("\u1100\u1161", "hangul"),  # as macOS spells 가
        ("猫叫什么？", "han"),
        ("ねこの名前は？", "han"),
        ("What?", "other"),
        ("¿Qué?", "other"),
        ("1234 🦆", "other"),
        ("", "other"),
    ],
)
def test_a_text_is_told_by_its_script(text: str, script: Script) -> None:
    assert script_of(text) == script


def passage(text: str) -> Passage:
    return Passage(StoredChunk(ChunkId(1), "a.txt", Chunk(text, "line 1")), 0.9, -1.0, 0.5, 9.0)


CAT, TIMES = passage("고양이 이름은 보류예요. 병원 접수대에서 정해졌어요."), passage("방송은 화요일 밤 아홉 시에 해요.")


@pytest.mark.parametrize(
    ("output", "sources"),
    [
        ("이름은 보류예요. 병원 접수대에서 정했죠.", [CAT]),
        ("이름은 보류예요, 접수대에서 정해졌고요. 방송은 화요일 밤 아홉 시에 해요.", [CAT, TIMES]),
        ("It is called Boryu.", [CAT, TIMES]),
        ("", [CAT, TIMES]),
    ],
)
def test_the_sources_are_what_the_answer_was_made_from_where_its_words_tell(
    output: str, sources: list[Passage]
) -> None:
    assert bearing_out(output, [CAT, TIMES]) == sources


@pytest.mark.parametrize(
    ("asked", "recorded", "similarity", "same"),
    [
        ("구독료 얼마예요", "구독료가 얼마예요?", 0.97, True),
        ("새벽컵 용량 몇ml에요?", "새벽컵 가격은 얼마예요?", 0.951, False),
        ("what did you earn in 2023?", "What did you earn in 2024?", 0.99, False),
        ("고양이 이름이 뭐예요?", "고양이 이름이 뭐예요?", 0.2, True),
        ("???", "!!!", 1.0, False),
    ],
)
def test_the_same_question_is_one_in_meaning_words_and_numbers(
    asked: str, recorded: str, similarity: float, same: bool
) -> None:
    assert is_same_question(asked, recorded, similarity) is same
