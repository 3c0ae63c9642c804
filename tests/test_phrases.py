"""What the bot says of its own accord."""

from typing import get_args

import pytest

from persona_cli.phrases import (
    Register,
    avoided,
    disclose,
    noted,
    refusal,
    small_talk,
    told_before,
)
from persona_cli.smalltalk import Kind

REGISTERS: tuple[Register, ...] = get_args(Register)
ENDS = {"hapsyo": ("니다.", "오.", "까?", "니까,"), "haeyo": ("요.", "요!"), "banmal": ("어.", "봐.", "야.", "래.")}


@pytest.mark.parametrize("name", ["하늘", "보류", "Jane", None])
@pytest.mark.parametrize("kind", get_args(Kind))
def test_small_talk_speaks_the_language_of_the_text(kind: Kind, name: str | None) -> None:
    assert "물어보세요" in small_talk(kind, "ㅎㅇ", name, "haeyo")
    assert "sk" in small_talk(kind, "hi", name, "haeyo")


@pytest.mark.parametrize("register", REGISTERS)
def test_each_sentence_of_its_own_is_in_the_persons_register(register: Register) -> None:
    said = [refusal("왜?", None, register), avoided("왜?", register), noted("저는 민수예요", register)]
    said += [small_talk(kind, "ㅎㅇ", "하늘", register) for kind in get_args(Kind)]
    for text in said:
        assert text.endswith(ENDS[register]), text
    assert "“민수”" in told_before("제 이름이 뭐죠?", "민수", register)


def test_the_bot_says_what_it_is() -> None:
    korean = small_talk("about_bot", "너 AI야?", "하늘", "haeyo")
    assert korean.startswith("저는 하늘 본인이 아니라, 기록된 하늘의 말로 만든 모델이에요.")
    assert "이 사람의 말로" in small_talk("about_bot", "너 AI야?", None, "banmal")
    assert "not Jane in person" in small_talk("about_bot", "are you a bot", "Jane", "haeyo")
    assert "words of the person" in small_talk("about_bot", "are you a bot", None, "haeyo")


@pytest.mark.parametrize(
    ("question", "nearest", "said"),
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
    question: str, nearest: str | None, said: str
) -> None:
    assert refusal(question, nearest, "haeyo") == said
    address = "두부님" if said.startswith("그") else "friends"
    assert refusal(question, nearest, "haeyo", address) == f"{address}, {said}"
    assert refusal("Why?", None, "haeyo", "두부님") == refusal("Why?", None, "haeyo")


SOURCES = ["faq.txt", "interview.md", "post.md", "chat.txt"]


def test_the_disclosure_names_the_person_and_the_sources() -> None:
    korean, english = (disclose(question, "하늘", SOURCES) for question in ("왜요?", "why?"))
    assert "하늘 본인이 아니라" in korean
    assert "faq.txt, interview.md, post.md 외 1개" in korean
    assert "not 하늘 in person" in english
    assert "faq.txt, interview.md, post.md and 1 more" in english
    assert "faq.txt)" in disclose("why?", None, SOURCES[:1])


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{name} 팬이 만든 봇이에요.", "하늘 팬이 만든 봇이에요. (faq.txt)"),
        ("{name}의 말 {sources}로 만들었어요.", "하늘의 말 faq.txt로 만들었어요."),
        ("{0.__class__} {x} {{name}}", "{0.__class__} {x} {하늘} (faq.txt)"),
    ],
)
def test_the_disclosure_can_be_reworded_but_keeps_its_sources(own: str, said: str) -> None:
    assert disclose("왜요?", "하늘", ["faq.txt"], own) == said


@pytest.mark.parametrize("own", ["", "  ", "\n"])
def test_the_disclosure_cannot_be_removed(own: str) -> None:
    assert disclose("왜요?", "하늘", ["faq.txt"], own) == disclose("왜요?", "하늘", ["faq.txt"])
