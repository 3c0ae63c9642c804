from textwrap import dedent

import pytest

from persona_cli.loading import text as loader
from persona_cli.models import Dialogue, Segment

Pair = tuple[str | None, str]


def read_plain(data: bytes) -> list[Segment]:
    found = loader.read_plain(data)
    assert not isinstance(found, Dialogue)
    return list(found)


def read_markdown(data: bytes) -> list[Segment]:
    found = loader.read_markdown(data)
    assert not isinstance(found, Dialogue)
    return list(found)


def pairs(text: str) -> list[Pair]:
    return [(segment.question, segment.text) for segment in read_plain(text.encode())]


def places(segments: list[Segment]) -> list[tuple[int | None, int | None]]:
    return [(segment.line, segment.end_line) for segment in segments]


def test_prose_is_one_segment_that_knows_its_line() -> None:
    assert read_plain("\n\n첫 문단.\n이어서.\n\n둘째 문단.\n\n".encode()) == [
        Segment("첫 문단.\n이어서.\n\n둘째 문단.", line=3)
    ]


def test_blank_text_has_no_segments() -> None:
    assert read_plain(b" \n\t\n") == []
    assert read_markdown(b" \n\t\n") == []


def test_the_faq_of_the_model_case_is_read() -> None:
    data = "유퀴즈하고 아쉬웠던 점은 무엇인가요? 내 템포대로 쳐지면서.\r\n\r\n취미가 있나요?네.게임이요.\r\n".encode()
    assert read_plain(data) == [
        Segment("내 템포대로 쳐지면서.", question="유퀴즈하고 아쉬웠던 점은 무엇인가요?", line=1, end_line=1),
        Segment("네.게임이요.", question="취미가 있나요?", line=3, end_line=3),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "이름이 뭔가요?\n침착맨\n\n나이는？\n마흔",
        "이름이 뭔가요?\n\n침착맨\n\n나이는？\n\n마흔",
        "이름이 뭔가요? 침착맨\n\n나이는？마흔",
        "Q: 이름이 뭔가요?\nA: 침착맨\nQ: 나이는？\nA: 마흔",
        "Q. 이름이 뭔가요?\n\nA. 침착맨\n\n\nQ. 나이는？\n\nA. 마흔",
        "Q. 이름이 뭔가요? A. 침착맨\nQ. 나이는？ A. 마흔",
        "Q1. 이름이 뭔가요?\n침착맨\n\nQ2. 나이는？\n마흔",
        "q: 이름이 뭔가요?\na: 침착맨\nq: 나이는？\na: 마흔",
        "**Q:** 이름이 뭔가요?\n**A:** 침착맨\n\n**Q**: 나이는？\n**A**: 마흔",
        "**Q: 이름이 뭔가요?**\n**A: 침착맨**\n\n**Q: 나이는？**\nA: 마흔".replace("침착맨**", "침착맨"),
        "**이름이 뭔가요?**\n침착맨\n\n**나이는？**\n마흔",
        "[질문] 이름이 뭔가요?\n[답변] 침착맨\n\n[질문]: 나이는？\n[답변]: 마흔",
        "질문: 이름이 뭔가요?\n답변: 침착맨\n\n질문： 나이는？\n답변： 마흔",
        "문: 이름이 뭔가요?\n답: 침착맨\n\n문 1: 나이는？\n답 1: 마흔",
        "- Q: 이름이 뭔가요?\n- A: 침착맨\n\n> Q: 나이는？\n> A: 마흔",
        "1. 이름이 뭔가요?\n침착맨\n2. 나이는？\n마흔",
        "1. 이름이 뭔가요?\n\n침착맨\n\n2) 나이는？\n\n마흔",
        "1. 이름이 뭔가요? 침착맨\n2. 나이는？ 마흔",
        "**1. 이름이 뭔가요?** 침착맨\n\n**2. 나이는？** 마흔",
    ],
)
def test_pairs_are_read_however_they_are_written(text: str) -> None:
    assert pairs(text) == [("이름이 뭔가요?", "침착맨"), ("나이는？", "마흔")]


def test_a_labelled_question_needs_no_question_mark() -> None:
    assert pairs("Q: 좋아하는\n음식\nA: 떡볶이\nQ: 취미\n게임") == [("좋아하는 음식", "떡볶이"), ("취미", "게임")]


def test_an_answer_after_a_label_goes_on_to_the_next_question() -> None:
    found = read_plain(b"Q: one?\nA: first\n\nsecond\n\n- third\n\nQ: two?\nA: fourth\n")
    assert [(s.question, s.text) for s in found] == [("one?", "first\n\nsecond\n\n- third"), ("two?", "fourth")]
    assert places(found) == [(1, 6), (8, 9)]


def test_title_and_introduction_stay_prose() -> None:
    found = read_plain("방송 FAQ\n\n자주 묻는 질문입니다.\n\n이름?\n침착맨\n\n나이? 마흔\n\n끝으로 한마디.".encode())
    assert [(s.question, s.text) for s in found] == [
        (None, "방송 FAQ\n\n자주 묻는 질문입니다."),
        ("이름?", "침착맨"),
        ("나이?", "마흔"),
        (None, "끝으로 한마디."),
    ]
    assert places(found) == [(1, None), (5, 6), (8, 8), (10, None)]


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        ("정말요? 왜요? 그냥요.", "정말요? 왜요?", "그냥요."),
        ("왜 하나요?! 재밌으니까요.", "왜 하나요?!", "재밌으니까요."),
        ('뭘 묻나요? "왜 해요?"라고 물어요.', "뭘 묻나요?", '"왜 해요?"라고 물어요.'),
        ('"왜?"라는 말이 싫은가요? 네.', '"왜?"라는 말이 싫은가요?', "네."),
        ("평점 3.5는 어때요? 좋죠. 왜요?", "평점 3.5는 어때요?", "좋죠. 왜요?"),
        ("https://a.kr/?v=1 이거 보셨나요? 네.", "https://a.kr/?v=1 이거 보셨나요?", "네."),
        ("(방송 전?) 뭘 하나요? 잔다.", "(방송 전?) 뭘 하나요?", "잔다."),
    ],
)
def test_a_glued_pair_is_split_after_its_leading_questions(text: str, question: str, answer: str) -> None:
    assert pairs(f"{text}\n\n나이는? 마흔") == [(question, answer), ("나이는?", "마흔")]


def test_an_answer_may_ask_back() -> None:
    assert pairs("이름?\n알아서 뭐해.\n그쪽은?") == [("이름?", "알아서 뭐해.\n그쪽은?")]


@pytest.mark.parametrize(
    "text",
    [
        "왜 그랬을까? 나는 모른다.\n\n다음 날 나는 갔다.\n\n또 하루가 갔다.",
        "왜 그랬을까? 나는 모른다. 정말이다.",
        "왜?\n왜?\n왜?",
        "왜 그랬을까?",
        "왜 그런가요?라는 질문을 받는다.\n\n왜 사는가?라고도 묻는다.",
        "생각할 것:\n1. 왜?\n2. 어떻게?\n3. 언제?",
        "제목\n\n정말일까?\n그렇다.",
        "A. 하나\nB. 둘",
        "Q.\n\n이름 없는 글.",
    ],
)
def test_prose_that_asks_stays_prose(text: str) -> None:
    assert [question for question, _ in pairs(text)] == [None]


def test_lines_that_are_all_pairs_need_no_blank_lines_between() -> None:
    assert pairs("방송 FAQ\n이름? 침착맨\n나이? 마흔\n취미? 게임") == [
        (None, "방송 FAQ"),
        ("이름?", "침착맨"),
        ("나이?", "마흔"),
        ("취미?", "게임"),
    ]


def test_a_very_long_line_is_no_question() -> None:
    assert [question for question, _ in pairs(f"{'아주 ' * 200}긴가요?\n네.")] == [None]


def markdown(text: str) -> list[Segment]:
    return read_markdown(dedent(text).encode())


def test_a_section_knows_its_headings_and_lines() -> None:
    found = markdown("""\
        before

        # Guide
        ## *Setup* ##

        do it

        ### Deep
        deep
        ## Next
        next
    """)
    assert found == [
        Segment("before", line=1, markup="markdown"),
        Segment("do it", line=6, heading="Guide > Setup", markup="markdown"),
        Segment("deep", line=9, heading="Guide > Setup > Deep", markup="markdown"),
        Segment("next", line=11, heading="Guide > Next", markup="markdown"),
    ]


def test_headings_may_be_underlined() -> None:
    found = markdown("""\
        Guide
        ===

        text

        Setup
        -----
        more

        - item
        ---
        two lines
        and a rule
        ---
    """)
    assert [(s.heading, s.text.split("\n")[0], s.line) for s in found] == [
        ("Guide", "text", 4),
        ("Guide > Setup", "more", 8),
    ]


def test_headings_in_code_are_none() -> None:
    found = markdown("""\
        # One
        ````sh
        # no
        ```
        # no
        ````
        ~~~
        # no
    """)
    assert [(s.heading, s.line, s.text.count("\n")) for s in found] == [("One", 2, 6)]


def test_front_matter_tells_title_date_and_speaker() -> None:
    found = markdown("""\
        ---
        title: "My Blog"
        Author: 침착맨
        date: 2024.3.5
        tags:
          - a
        # a comment

        empty:
        ---
        before
        # Post
        text
    """)
    assert [(s.heading, s.line, s.speaker, s.date) for s in found] == [
        ("My Blog", 11, "침착맨", "2024-03-05"),
        ("Post", 13, "침착맨", "2024-03-05"),
    ]


@pytest.mark.parametrize("text", ["---\n\nprose\n\n---\nmore", "---\nkey: value\nno end", "---\nkey: value"])
def test_a_rule_at_the_top_is_no_front_matter(text: str) -> None:
    assert [s.text.startswith("---\n") for s in read_markdown(text.encode())] == [True]


def test_a_heading_that_asks_has_its_section_as_the_answer() -> None:
    found = markdown("""\
        # FAQ

        ## 어떻게 시작했나요?

        그냥요.

        둘째 문단.

        ### 더
        많이

        Q2. 좋아하는 음식
        -----------------
        떡볶이

        ## 답이 없나요?
    """)
    assert [(s.question, s.text, s.heading) for s in found] == [
        ("어떻게 시작했나요?", "그냥요.\n\n둘째 문단.", "FAQ"),
        (None, "많이", "FAQ > 어떻게 시작했나요? > 더"),
        ("좋아하는 음식", "떡볶이", "FAQ"),
    ]
    assert places(found) == [(3, 7), (10, None), (12, 14)]


def test_labelled_pairs_below_a_heading_that_asks_are_kept_apart() -> None:
    found = markdown("# 무엇이 궁금하세요?\n\n**Q:** 이름?\n**A:** 침착맨\n")
    assert [(s.question, s.text, s.heading) for s in found] == [("이름?", "침착맨", "무엇이 궁금하세요?")]


def test_pairs_of_all_sections_are_judged_together() -> None:
    found = markdown("# 방송\n\n왜 하나요? 그냥\n\n# 음식\n\n뭘 먹나요?\n밥\n")
    assert [(s.question, s.heading) for s in found] == [("왜 하나요?", "방송"), ("뭘 먹나요?", "음식")]


@pytest.mark.parametrize(
    "line",
    ["Q{}x", "Q: a?\nA{}x", "1.{}x", "# a{}x", "# a{}#x", "{}x\n---", "---\nkey{}x\n---", "- {}x", "가?{}x", ">{}x"],
)
def test_a_long_gap_in_a_line_takes_no_long_time(line: str) -> None:
    for read in (loader.read_plain, loader.read_markdown):
        read(line.format(" " * 50_000).encode())
