import math
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.grounding import CALIBRATIONS, UNMEASURED, Calibration, Script, refuse, script_of, support

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


@pytest.mark.parametrize(
    ("question", "nearest", "refusal"),
    [
        ("에어컨 어디 거예요?", None, "그건 제가 아직 이야기한 적이 없어요."),
        (
            "고양이 나이는요?",
            "고양이 이름이 뭐예요?",
            "그건 제가 아직 이야기한 적이 없어요. 비슷한 이야기라면 이런 게 있어요: 고양이 이름이 뭐예요?",
        ),
        ("How old is the cat?", None, "I have not talked about that."),
        (
            "How old is the cat?",
            "고양이 이름이 뭐예요?",
            "I have not talked about that. The nearest I have come to it: 고양이 이름이 뭐예요?",
        ),
    ],
)
def test_a_refusal_is_in_the_questions_language_and_offers_the_nearest(
    question: str, nearest: str | None, refusal: str
) -> None:
    assert refuse(question, nearest) == refusal
