import pytest

from persona_cli.smalltalk import Kind, kind_of

SMALL_TALK: dict[Kind, str] = {
    "greeting": "안녕하세요|안녕하세요?|ㅎㅇ|하이루~|hi there!|Hi Jane!|good morning|안녕하세요 반갑습니다ㅎㅎ",
    "thanks": "감사합니다!!|ㄱㅅ|thx|네 답변 감사합니다 ㅎㅎ|Thank you so much|알려주셔서 감사합니다 선생님",
    "farewell": "ㅂㅇ|잘자요|bye|감사합니다 안녕히 계세요|see you later!",
    "apology": "미안해요|죄송합니다ㅠㅠ|sorry!|I'm so sorry",
    "who": "누구세요?|넌 누구야|이름이 뭐예요?|성함이 어떻게 되세요?|자기소개 해주세요|어떤 사람이에요?"
    "|who are you?|what's your name|tell me about yourself",
    "laughter": "ㅋㅋㅋㅋ|lol|😂|ㅎㅎ|hahaha",
    "about_bot": "너 AI야?|진짜 본인이세요?|안녕하세요 혹시 AI세요?|누가 만들었어요 이 챗봇|널 누가 만들었어?"
    "|are you a bot|is this really you|who made you|Am I talking to a real person?",
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in SMALL_TALK.items() for text in texts.split("|")]
)
def test_small_talk_is_told_by_its_kind(text: str, kind: Kind) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        *(
            "안녕하세요 고양이 이름이 뭐예요?",
            "AI 그림을 어떻게 생각하세요?",
            "어떻게 인사하세요?",
            "왜 감사하다고 했어요?",
        ),
        *(
            "잘 자요?",
            "부모님 안녕하세요?",
            "바이올린",
            "누가 만들었어요?",
            "본인이 직접 쓰신 거예요?",
            "서울 사람이에요?",
        ),
        *(
            "누구 좋아하세요?",
            "챗GPT 써요?",
            "네",
            "",
            "?",
            "who made the table",
            "who made you laugh",
            "who are you fond of?",
        ),
        *("who trained you?", "hi, do you like bots?", "thanks to whom?", "Hello Kitty", "are you a real doctor?"),
    ],
)
def test_what_may_be_asked_about_the_person_is_no_small_talk(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize(
    "text", ["바이" * 40 + "!", "진짜 정말 " * 13, "hahaha" * 13 + "x", "감사 " * 26 + "x", "안녕" * 10**6]
)
def test_no_text_takes_long(text: str) -> None:
    kind_of(text)
