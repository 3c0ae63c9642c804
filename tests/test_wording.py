import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.wording import NOUNS, STEMS, WORDS, plain


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("방송 첨에 왜 켰어요ㅋㅋ", "방송 처음에 왜 켰어요"),
        ("젤 무서운 겜은 뭐예요??", "제일 무서운 게임은 뭐예요?"),
        ("어케해요 ㅠㅠ", "어떻게해요"),
        ("담 목표 뭐임~", "다음 목표 뭐임"),
        ("화욜에 ㄱㄴ?", "화요일에 가능?"),
        ("김하늘쌤 최애 메뉴 😂", "김하늘 선생님 가장 좋아하는 메뉴"),
        ("soooo\u200b good...", "so good."),
    ],
)
def test_what_is_typed_becomes_what_is_meant(typed: str, meant: str) -> None:
    assert plain(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "첨단 기술과 첨가물",
            "젤리 좋아하세요?",
            "머리에 젤 발라요?",
            "돈을 낼 때",
            "낼 수 있어요?",
            "벽 너머 담에 그린 그림",
        ),
        *(
            "담배",
            "알바니아 여행",
            "인스타그램 해요?",
            "무를 썰 때",
            "자전거 타고 도네요",
            "넘어가도 돼요?",
            "겜블링",
            "햇빛",
        ),
        *(
            "3~5시",
            "ㅋㅋ라고 왜 써요?",
            "🐢 뜻이 뭐예요?",
            "do you use R?",
            "whats ur fav food",
        ),
        *("a U-turn", "1..10", "node.js", "two  spaces"),
    ],
)
def test_an_ordinary_word_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", ["ㅋㅋㅋ", "😂😂", "?!?!", " ", "", "솔까말"])
def test_a_text_that_would_be_left_empty_or_double_stays(text: str) -> None:
    assert plain(text) == text


parts = st.sampled_from([*WORDS, *NOUNS, *STEMS, *" ?!.~…ㅋㅠㅇ😂🐢은a", "젤", "좋아", "담", "낼", "\u200b"])


@given(st.lists(parts, max_size=12).map("".join) | st.lists(parts, max_size=8).map(" ".join))
def test_a_plain_text_stays_and_is_never_long_or_empty(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert len(once) <= 2 * len(text)
    assert bool(once) == bool(text)
