import unicodedata
from collections import Counter
from collections.abc import Sequence

import pytest

from persona_cli.chunking import chunk
from persona_cli.models import Dialogue, Segment, Turn
from persona_cli.testimony import CONTEXT_CHARS, JOIN_CHARS, count_speakers, fold_name, person_in, words_of

ME = frozenset(("두루",))


def turn(speaker: str, text: str, at: int = 1, date: str | None = None, **more: str) -> Turn:
    return Turn(speaker, text, str(at), str(at + text.count("\n")), date=date, **more)


def chat(*turns: tuple[str, str, str]) -> Dialogue:
    """Speaker, words and time of day of messages, one on each line from line 1 on."""
    return Dialogue([turn(name, text, at, f"2026-03-05T{time}:00") for at, (name, text, time) in enumerate(turns, 1)])


def said(dialogue: Dialogue) -> list[tuple[str | None, str]]:
    return [(segment.question, segment.text) for segment in words_of(dialogue, ME)]


def locators(segments: Sequence[Segment]) -> list[str]:
    return [piece.locator for piece in chunk(segments)]


@pytest.mark.parametrize(
    "name",
    [
        *("박자두 Kim", "박자두  kim", " 박자두\tKIM ", "박자두\u00a0Kim", "@박자두 Kim", "~\u202f박자두 Kim"),
        *("\u202a박자두 Kim\u202c", "박자두 Ｋｉｍ", unicodedata.normalize("NFD", "박자두 Kim")),
    ],
)
def test_a_name_is_the_same_however_a_program_writes_it(name: str) -> None:
    assert fold_name(name) == "박자두 kim"


@pytest.mark.parametrize(
    ("speakers", "names", "found"),
    [
        (["두루", "여울"], [], None),
        (["두루", "여울"], ["두루"], {"두루"}),
        (["두루", "여울"], ["반박자", "@두루"], {"두루"}),
        (["두루", "반박자", "여울"], ["반박자", "두루"], {"두루", "반박자"}),
        (["두루", "여울"], ["홍두루"], set()),
        (["두루", "기자", "사회자"], [], {"두루"}),
        (["Duru", "Interviewer", "Q"], [], {"duru"}),
        (["두루"], [], {"두루"}),
        (["기자"], [], {"기자"}),
        (["기자", "사회자"], [], None),
    ],
)
def test_the_person_is_who_is_named_or_the_only_one_beside_interviewers(
    speakers: list[str], names: list[str], found: set[str] | None
) -> None:
    assert person_in(Dialogue([turn(name, "네") for name in speakers]), names) == found


def test_speakers_are_counted_by_the_names_in_the_file() -> None:
    assert count_speakers(chat(("두루", "네", "09:00"), ("여울", "왜", "09:00"), ("두루", "응", "09:01"))) == Counter(
        {"두루": 2, "여울": 1}
    )


def test_an_answer_carries_what_was_asked_last_and_nothing_else_is_kept() -> None:
    dialogue = chat(
        ("여울", "우산 왜 두 개예요?", "09:00"),
        ("서리", "저도 두 개예요. 비가 잦아서요", "09:01"),
        ("두루", "하나는 빌린 거요", "09:02"),
        ("두루", "하나는 빌려줄 거요", "09:03"),
        ("여울", "아하", "09:04"),
    )
    assert said(dialogue) == [("우산 왜 두 개예요?", "하나는 빌린 거요\n하나는 빌려줄 거요")]
    assert locators(words_of(dialogue, ME)) == ["lines 1-4"]


def test_the_person_may_begin() -> None:
    dialogue = chat(("두루", "자요?", "09:00"), ("여울", "네", "09:00"))
    assert said(dialogue) == [(None, "자요?")]
    assert locators(words_of(dialogue, ME)) == ["line 1"]


@pytest.mark.parametrize(
    ("times", "stretches"),
    [
        (["09:00", "09:05"], ["하나\n둘"]),
        (["09:00", "09:06"], ["하나", "둘"]),
        (["09:05", "09:00"], ["하나\n둘"]),  # clocks that were set back
    ],
)
def test_messages_are_joined_while_they_follow_each_other(times: list[str], stretches: list[str]) -> None:
    assert [text for _, text in said(chat(("두루", "하나", times[0]), ("두루", "둘", times[1])))] == stretches


def test_messages_are_joined_up_to_a_length() -> None:
    half = "가" * (JOIN_CHARS // 2)
    assert [len(text) for _, text in said(chat(*[("두루", half, "09:00")] * 5))] == [JOIN_CHARS + 1] * 2 + [len(half)]


def test_the_turns_of_a_transcript_are_one_answer_however_long() -> None:
    dialogue = Dialogue([turn("기자", "왜?"), turn("두루", "가" * JOIN_CHARS, 2), turn("두루", "나", 4)])
    assert said(dialogue) == [("왜?", "가" * JOIN_CHARS + "\n나")]


@pytest.mark.parametrize(
    ("first", "second", "question"),
    [
        ("2026-03-05T09:00:00", "2026-03-05T09:59:00", "자요?"),
        ("2026-03-05T09:00:00", "2026-03-05T10:01:00", None),
        ("2026-03-05T09:00:00+09:00", "2026-03-05T00:30:00Z", "자요?"),
        ("2026-03-05T09:00:00+09:00", "2026-03-05T09:30:00", "자요?"),
        ("2026-03-05", "2026-03-05T21:00:00", "자요?"),
        ("2026-03-05", "2026-03-06", None),
        (None, "2026-03-05T21:00:00", "자요?"),
    ],
)
def test_what_was_said_long_before_is_not_what_is_answered(
    first: str | None, second: str, question: str | None
) -> None:
    assert said(Dialogue([turn("여울", "자요?", 1, first), turn("두루", "네", 2, second)])) == [(question, "네")]


def test_of_a_long_context_the_end_is_kept() -> None:
    dialogue = chat(("여울", "처음", "09:00"), ("서리", "가" * CONTEXT_CHARS + "왜?", "09:01"), ("두루", "네", "09:02"))
    [(question, _)] = said(dialogue)
    assert question == "가" * (CONTEXT_CHARS - 2) + "왜?"
    assert locators(words_of(dialogue, ME)) == ["lines 2-3"]


def test_a_reply_answers_what_it_replies_to_and_begins_a_stretch() -> None:
    dialogue = Dialogue(
        [
            turn("여울", "우산은?", 1),
            turn("서리", "밥은?", 2),
            turn("두루", "먹었어", 3),
            turn("두루", "없어", 4, replies_to="우산은?"),
        ]
    )
    assert said(dialogue) == [("밥은?", "먹었어"), ("우산은?", "없어")]
    assert locators(words_of(dialogue, ME)) == ["lines 2-3", "line 4"]


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("부산에서 자라셨다고 들었습니다. 책은 어떻게 읽으세요?", "책은 어떻게 읽으세요?"),
        ("I grew up in Leeds. And you? Anyway.", "And you?"),
        ("저녁 뭐 먹음", "저녁 뭐 먹음"),
        ("오늘 늦어요.", "오늘 늦어요."),
    ],
)
def test_what_others_tell_beside_a_question_is_left_out(told: str, asked: str) -> None:
    assert said(chat(("여울", told, "09:00"), ("두루", "그래요", "09:01"))) == [(asked, "그래요")]


@pytest.mark.parametrize("speaker", ["두루 대표", "두루님", "두루 작가님"])
def test_a_title_after_the_name_is_no_other_person(speaker: str) -> None:
    dialogue = chat(("기자", "왜요?", "09:00"), (speaker, "그냥요", "09:01"))
    assert person_in(dialogue, ["두루"]) == frozenset({fold_name(speaker)})
    assert person_in(dialogue, ["두"]) == frozenset()


def test_nothing_in_one_chat_answers_what_is_said_in_another() -> None:
    dialogue = Dialogue(
        [
            turn("여울", "자요?", 1, chat="여울"),
            turn("두루", "밥 먹자", 2, chat="가족"),
            turn("두루", "자요", 3, chat="여울"),
        ],
        title="대화",
    )
    found = words_of(dialogue, ME)
    assert [(s.question, s.text, s.heading) for s in found] == [
        (None, "밥 먹자", "대화 > 가족"),
        (None, "자요", "대화 > 여울"),
    ]


def test_words_without_any_letters_before_an_answer_are_no_question() -> None:
    dialogue = Dialogue([turn("여울", " \n", 1), turn("두루", "네", 3)])
    assert said(dialogue) == [(None, "네")]
    assert locators(words_of(dialogue, ME)) == ["line 3"]


@pytest.mark.parametrize(
    ("unit", "first", "last", "locator"),
    [("line", "3", "5", "lines 1-5"), ("row", "3", "5", "rows 1-5"), ("", "00:03", "00:05", "1-00:05")],
)
def test_each_line_row_or_moment_of_an_answer_is_in_its_place(unit: str, first: str, last: str, locator: str) -> None:
    turns = [Turn("여울", "왜?", "1", "1"), Turn("두루", "하나\n\n둘", first, last)]
    assert locators(words_of(Dialogue(turns, unit), ME)) == [locator]


def test_the_name_to_be_shown_takes_the_place_of_the_one_in_the_file() -> None:
    dialogue = chat(("두루", "네", "09:00"))
    assert [s.speaker for s in words_of(dialogue, ME)] == ["두루"]
    assert [s.speaker for s in words_of(dialogue, ME, "반박자두루미")] == ["반박자두루미"]


def test_time_grows_with_the_number_of_messages_only() -> None:
    for speakers in (["두루"], ["여울"], ["두루", "여울"]):
        words_of(chat(*[(speaker, "ㅋ", "09:00") for speaker in speakers] * 50_000), ME)
