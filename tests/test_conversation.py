"""What of a conversation a question goes on from."""

import pytest

from persona_cli.budget import fitting, shorten, tokens_of
from persona_cli.conversation import goes_on, is_about_talk, is_telling, plan, recall
from persona_cli.models import Message


def said(*pairs: tuple[str, str]) -> list[Message]:
    return [
        message
        for question, answer in pairs
        for message in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    ]


@pytest.mark.parametrize(
    "question", ["그건 왜요?", "And 2023?", "왜요?", "그럼 언제 옮겼어요?", "Did she like it?", "몇 살?"]
)
def test_a_question_that_goes_on_is_known(question: str) -> None:
    assert goes_on(question)


@pytest.mark.parametrize(
    "question", ["방송은 보통 무슨 요일에 하세요?", "Where did you move the studio to in November?"]
)
def test_a_question_that_stands_by_itself_needs_no_rewriting(question: str) -> None:
    assert not goes_on(question)


LONG_AGO = said(
    ("고양이 있어요?", "네, 보류라고 해요."),
    ("제 강아지 이름은 두부예요. 말티즈고요.", "그렇군요, 기억해 둘게요."),
    ("방송은 언제 해요?", "화요일 밤 아홉 시요."),
    ("My sister is called Marigold and she lives in Busan.", "Good to know."),
)


@pytest.mark.parametrize(
    "question",
    [
        "제 강아지 이름이 뭐라고 했죠?",
        "아까 내가 뭐라고 했어?",
        "내가 처음에 뭐 물어봤지?",
        "제 이름 기억해요?",
        "내 강아지 이름이 뭐였지?",
        "What did I say about my dog?",
        "What's my dog's name?",
        "Do you remember my name?",
        "What is my sister called?",
    ],
)
def test_a_question_about_the_conversation_is_known(question: str) -> None:
    assert is_about_talk(question)


@pytest.mark.parametrize(
    "question",
    ["고양이 이름이 뭐예요?", "왜 그 말을 했어요?", "혈액형이 뭐예요?", "What is your name?", "Why did you move?"],
)
def test_a_question_to_the_person_is_not_taken_for_one(question: str) -> None:
    assert not is_about_talk(question)


@pytest.mark.parametrize(
    "text",
    [
        "제 강아지 이름은 두부예요.",
        "저는 부산에 살아요ㅎㅎ",
        "나 요즘 도예 배워!",
        "My dog is called Biscuit.",
        "I live in Busan",
    ],
)
def test_what_somebody_tells_of_themselves_is_no_question(text: str) -> None:
    assert is_telling(text)


@pytest.mark.parametrize(
    "text",
    [
        "제 강아지 이름이 뭐예요",
        "저는 고양이 이름이 궁금해요",
        "나 방송 언제 하는지 알고 싶어",
        "I want to know your blood type",
        "I wonder why you moved",
        "고양이 이름은 보류예요.",
        "혈액형",
    ],
)
def test_a_question_without_a_question_mark_is_still_one(text: str) -> None:
    assert not is_telling(text)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "text",
    [
        "내 " + "가" * 4_000,
        "내 " * 2_000,
        "아까 " * 1_300,
        "저는 " + "ㅋ" * 4_000,
        "my " * 1_300,
        "니." * 2_000,
        "i " * 2_000,
        "before " * 600,
        "내가나" * 1_300,
    ],
    ids=lambda text: text[:6],
)
def test_no_text_takes_long(text: str) -> None:
    plan(text, [{"role": "user", "content": text}, {"role": "assistant", "content": text}] * 20, room=100)
    is_about_talk(text)
    is_telling(text)
    goes_on(text)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("제 강아지 이름이 뭐라고 했죠?", "두부"),
        ("What was my sister's name again?", "Marigold"),
        ("보류는 몇 살이에요?", "보류라고"),
    ],
)
def test_the_turns_that_have_to_do_with_a_question_are_brought_back(question: str, found: str) -> None:
    recalled = recall(question, LONG_AGO)
    assert any(found in message["content"] for message in recalled)
    assert len(recalled) <= 4


@pytest.mark.parametrize("question", ["xyzzy", "", "?"])
def test_nothing_is_brought_back_for_a_question_on_something_else(question: str) -> None:
    assert recall(question, LONG_AGO) == []
    assert recall(question, []) == []


def test_the_last_turns_are_whole_and_the_rest_is_searched() -> None:
    talk = plan("강아지는 무슨 종이에요?", LONG_AGO, room=40, summary="notes")
    assert list(talk.history) == LONG_AGO[-2:]
    assert talk.summary == "notes"
    assert any("두부" in message["content"] for message in talk.recalled)
    whole = plan("강아지는 무슨 종이에요?", LONG_AGO, room=1_000)
    assert (list(whole.history), list(whole.recalled)) == (LONG_AGO, [])


def test_a_question_on_what_somebody_told_gets_that_turn_alone() -> None:
    talk = plan("제 강아지 이름이 뭐라고 했죠?", LONG_AGO, room=1_000, summary="notes")
    assert (list(talk.history), talk.told) == (LONG_AGO[2:4], LONG_AGO[2]["content"])


def test_tokens_are_counted_by_script() -> None:
    assert tokens_of("") == 0
    assert tokens_of("고양이") == 3
    assert tokens_of("abcdef") == 2
    assert tokens_of("고양이 is") == 3 + 1
    assert fitting(["고양이", "고양이", "고양이"], 14) == 2


@pytest.mark.parametrize("text", ["", "짧아요", "가" * 500, "word " * 300, "섞어 mixed " * 90])
@pytest.mark.parametrize("tokens", [0, 1, 7, 100])
def test_a_shortened_text_fits_and_begins_like_the_whole(text: str, tokens: int) -> None:
    short = shorten(text, tokens)
    assert tokens_of(short) <= max(tokens, 0) + 1
    assert text.startswith(short.removesuffix("…"))
