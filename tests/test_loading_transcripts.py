import re
import unicodedata
from textwrap import dedent
from typing import Literal

import pytest

from persona_cli.loading import load
from persona_cli.loading.decoding import decode
from persona_cli.loading.transcripts import read_turns
from persona_cli.models import Dialogue, Turn
from persona_cli.testimony import words_of
from tests.dialogues import chunks_in, dialogue_in, place_of, said_in, words_in

Normal = Literal["NFC", "NFD"]
SAID = [
    ("기자", "왜 반 박자 늦나요?"),
    ("박자두", "서랍에 라벨이 없어서요. (웃음)"),
    ("기자", "그럼 언제 찾나요?"),
    ("박자두", "내릴 때쯤요."),
]
FORMS = {
    "a name and a colon": "{name}: {words}",
    "a space before the colon": "{name} : {words}",
    "a wide colon": "{name}：{words}",
    "a colon without a space": "{name}:{words}",
    "bold": "**{name}:** {words}\n",
    "bold before the colon": "**{name}**: {words}\n",
    "a bold paragraph": "**{name}: {words}**\n",
    "bold without a colon": "**{name}** {words}\n",
    "brackets": "[{name}] {words}",
    "brackets and a colon": "[{name}]: {words}",
    "a list": "- {name}: {words}",
    "a list in bold": "* **{name}**: {words}",
    "who they are": "{name} (골목과 하천): {words}",
    "a time after the name": "{name} (00:1{n}:03): {words}",
    "a time before the name": "[00:1{n}:03] {name}: {words}",
    "a time before a bold name": "00:1{n} **{name}:** {words}\n",
    "a line for name and time": "{name}  0:1{n}  \n{words}\n",
    "a line for name and time in brackets": "[{name}] 10:1{n}:25\n{words}\n",
    "a line for bold name and time": "**{name}** (00:1{n})\n{words}\n",
    "a line for name and time of day": "{name} 오후 1:1{n}\n{words}\n",
    "a line for the name": "{name}:\n{words}\n",
}


def written(form: str) -> str:
    lines = (FORMS[form].format(name=name, words=words, n=n) for n, (name, words) in enumerate(SAID))
    return "\n".join(["# 늦게 도착하는 사람", "", "약속은 세 시였고, 그는 세 시 칠 분에 왔다.", "", *lines])


def turns(text: str) -> list[Turn]:
    found = read_turns(dedent(text).split("\n"))
    return list(found.turns) if found else []


def said(text: str) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in turns(text)]


def assert_found(name: str, data: bytes, person: str) -> None:
    """Every word of every chunk stands on the lines that the chunk names."""
    lines = decode(data).split("\n")
    chunks = chunks_in(name, data, person)
    assert chunks
    for piece in chunks:
        first, last = place_of(piece)
        there = "\n".join(lines[first - 1 : last])
        assert all(word in there for word in words_in(piece))
        assert all(lines[at - 1].strip() for at in (first, last))


@pytest.mark.parametrize("suffix", ["txt", "md"])
@pytest.mark.parametrize("form", FORMS)
def test_turns_are_read_however_names_are_set_off(form: str, suffix: str) -> None:
    name, data = f"interview.{suffix}", written(form).encode()
    assert [(speaker, words) for speaker, _, words in said_in(name, data)] == SAID
    assert dialogue_in(name, data).title == "늦게 도착하는 사람"
    assert_found(name, data, "박자두")


@pytest.mark.parametrize("form", ["a name and a colon", "a line for name and time", "bold"])
@pytest.mark.parametrize(
    ("encoding", "newline", "normal"),
    [("utf-8-sig", "\r\n", "NFC"), ("cp949", "\r\n", "NFC"), ("utf-16", "\n", "NFC"), ("utf-8", "\n", "NFD")],
)
def test_turns_and_places_are_the_same_in_every_encoding(
    form: str, encoding: str, newline: str, normal: Normal
) -> None:
    data = newline.join(unicodedata.normalize(normal, written(form)).split("\n")).encode(encoding)
    assert dialogue_in("a.txt", data) == dialogue_in("a.txt", written(form).encode())
    assert_found("a.txt", data, "박자두")


def test_an_interview_goes_with_its_questions() -> None:
    data = dedent("""\
        ---
        title: Lost and found
        date: 2026-03-05
        ---
        # A man half a beat late

        He came at seven past three, with two umbrellas.

        **Interviewer:** Is anything left of those years?

        **Mallory Duck:** A lot. People never begin with the thing they lost.

        They begin with the day.

        ### On silence

        **Interviewer:** Your pauses are famous.
        Do they scare you?

        **Mallory Duck:** They did (laughs).

        ---

        Mallory Duck streams on three nights a week.
        """).encode()
    found = words_of(dialogue_in("interview.md", data), frozenset(("mallory duck",)))
    assert [(s.question, s.text, s.heading, s.date) for s in found] == [
        (
            "Is anything left of those years?",
            "A lot. People never begin with the thing they lost.\n\nThey begin with the day.",
            "Lost and found",
            "2026-03-05",
        ),
        ("Do they scare you?", "They did (laughs).", "Lost and found", "2026-03-05"),
    ]
    assert [piece.locator for piece in chunks_in("interview.md", data, "Mallory Duck")] == [
        "Lost and found, lines 9-13",
        "Lost and found, lines 17-20",
    ]
    assert_found("interview.md", data, "Mallory Duck")


def test_the_lines_of_a_turn_are_lines_of_the_file() -> None:
    assert turns("""\
        사회자:

          오늘의 손님은 누구죠?
        박자두: 접니다.   
          반 박자 늦었네요.


        여기까지 오는 데
        사회자: 네?
        박자두: 십 년.
        """) == [
        Turn("사회자", "오늘의 손님은 누구죠?", "3", "3"),
        Turn("박자두", "접니다.\n반 박자 늦었네요.\n\n\n여기까지 오는 데", "4", "8"),
        Turn("사회자", "네?", "9", "9"),
        Turn("박자두", "십 년.", "10", "10"),
    ]


def test_a_recording_program_tells_title_and_date_above_the_turns() -> None:
    found = read_turns(
        dedent("""\
        하천 산책 인터뷰
        2026.03.05 목 오후 2:30 ・ 12분 3초
        김여울

        참석자 1 00:00
        네 그럼 시작하겠습니다

        참석자 2 00:06
        네

        참석자 1 00:12
        요즘은 뭘 하며 지내시는지

        참석자 2 59:58
        걷습니다

        참석자 2 1:00:02
        뛰지는 않고요

        notes.example.com
        """).split("\n")
    )
    assert found
    assert (found.title, found.turns[0].date) == ("하천 산책 인터뷰", "2026-03-05T14:30:00")
    assert [(turn.speaker, turn.text, turn.first) for turn in found.turns] == [
        ("참석자 1", "네 그럼 시작하겠습니다", "6"),
        ("참석자 2", "네", "9"),
        ("참석자 1", "요즘은 뭘 하며 지내시는지", "12"),
        ("참석자 2", "걷습니다", "15"),
        ("참석자 2", "뛰지는 않고요", "18"),
    ]


WEB = """\
늦게 도착하는 사람
입력 2023.09.14. 오전 10:00

기자: 왜 반 박자 늦나요?

박자두: 서랍에 라벨이 없어서요.

(웃음)

(박 대표(52)는 웃으며 차를 따랐다.
그의 손은 거칠었다.)

그래서 늦어요.
(그는 다시 창밖을 오래 보았다.)

◇ 두 번째 이야기

기자: 그럼 언제 찾나요?

박자두: 내릴 때쯤요.
"""
FOOTERS = {
    "none": "",
    "a byline": "최기자 기자 choi@monthly.example\n",
    "a byline with brackets": "[월간책방] 최기자 인턴기자 (choi.k@monthly.example)\n",
    "a notice": "저작권자 ⓒ 월간책방. 무단전재 및 재배포 금지\n",
    "a notice with brackets": "<저작권자(c) 월간책방, 무단 전재-재배포, AI 학습 및 활용 금지>\n",
    "a notice in English": "Copyright 2023 Monthly. All Rights Reserved.\n",
    "all of them": "최기자 기자 choi@monthly.example\n\n© 월간책방\n무단 전재 금지\n\nwww.monthly.example\n",
}


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_what_the_editors_add_is_nobodys_words(name: str, footer: str) -> None:
    data = f"{WEB}\n{FOOTERS[footer]}".replace("\n", "\r\n").encode()
    date = "2023-09-14T10:00:00"
    dialogue = dialogue_in(name, data)
    assert dialogue.title == "늦게 도착하는 사람"
    assert dialogue.turns == [
        Turn("기자", "왜 반 박자 늦나요?", "4", "4", date),
        Turn("박자두", "서랍에 라벨이 없어서요.\n\n(웃음)", "6", "8", date),
        Turn("박자두", "그래서 늦어요.", "13", "13", date),
        Turn("기자", "그럼 언제 찾나요?", "18", "18", date),
        Turn("박자두", "내릴 때쯤요.", "20", "20", date),
    ]
    assert [(piece.question, piece.locator) for piece in chunks_in(name, data, "박자두")] == [
        ("왜 반 박자 늦나요?", "늦게 도착하는 사람, lines 4-13"),
        ("그럼 언제 찾나요?", "늦게 도착하는 사람, lines 18-20"),
    ]
    assert_found(name, data, "박자두")


@pytest.mark.parametrize("sign", "◇◆■□▶▷")
def test_what_follows_a_heading_with_a_sign_is_nobodys_until_somebody_speaks(sign: str) -> None:
    text = (
        f"기자: 왜요?\n두루: 그냥요.\n{sign}장면: 둘\n비가 왔다.\n기자: 네?\n두루: 네.\n{sign} 언제요?\n두루: 밤에요.\n"
    )
    assert said(text) == [
        ("기자", "왜요?"),
        ("두루", "그냥요."),
        ("기자", "네?"),
        ("두루", "네."),
        ("Q", "언제요?"),
        ("두루", "밤에요."),
    ]


@pytest.mark.parametrize(
    "last",
    [
        "무단전재 금지라고 쓰여 있었죠.",
        "저작권자 표시요? © 말이죠.",
        "저는 월간지 기자 출신이에요.\n저작권자는 저예요.",
        "(웃으며 조금) 네.\n(아주 조금 웃음)\n(웃음) 그때는 다 그랬어요 (웃음)",
    ],
)
def test_words_that_only_look_like_the_editors_stay(last: str) -> None:
    assert said(f"기자: 왜요?\n두루: 그냥요.\n기자: 네?\n두루: {last}\n")[-1] == ("두루", last)


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("입력 2023.09.14. 오전 10:00", "2023-09-14T10:00:00"),
        ("입력2023.09.14. 오후 1:00   수정2023.09.15. 오전 9:00", "2023-09-14T13:00:00"),
        ("입력: 2023-09-14 10:00", "2023-09-14T10:00:00"),
        ("기사입력 : 2023-09-14 10:00 | 최기자", "2023-09-14T10:00:00"),
        ("등록 2023.09.14", "2023-09-14"),
        ("등록일 2023년 9월 14일", "2023-09-14"),
        ("수정: 2023-09-14", "2023-09-14"),
        ("입력 장치 2023", None),
    ],
)
def test_the_day_of_publication_above_the_turns_is_the_date(line: str, date: str | None) -> None:
    found = turns(f"{line}\n\n기자: 왜 반 박자 늦나요?\n두루: 서랍에 라벨이 없어서요. 그냥요.\n기자: 네?\n두루: 네.\n")
    assert [turn.date for turn in found] == [date] * 4


def test_who_speaks_once_is_a_speaker_if_the_name_looks_like_the_others() -> None:
    assert said("""\
        **사회자:** 관객 질문 받겠습니다. 있나요?

        **관객:** 고양이는 잘 있나요?

        **박자두:** 네. 규칙이 있어요.
        규칙: 밤 열 시 이후에는 부르지 않는다.

        **사회자:** 그걸 고양이가 아나요?

        **박자두:** 모르죠.
        """) == [
        ("사회자", "관객 질문 받겠습니다. 있나요?"),
        ("관객", "고양이는 잘 있나요?"),
        ("박자두", "네. 규칙이 있어요.\n규칙: 밤 열 시 이후에는 부르지 않는다."),
        ("사회자", "그걸 고양이가 아나요?"),
        ("박자두", "모르죠."),
    ]


@pytest.mark.parametrize("question", ["Q. {}", "**Q1. {}**\n", "[질문] {}", "## {}\n", "## Q. {} ##\n"])
def test_a_question_that_several_answer_under_their_names_is_asked_by_nobody_named(question: str) -> None:
    first, second = question.format("컴백 소감은?"), question.format("목표는?")
    text = f"{first}\n김하늬: 설레요.\n이마루: 떨려요.\n\n{second}\n김하늬: 완주요.\n이마루: 저도요.\n"
    assert said(text) == [
        ("Q", "컴백 소감은?"),
        ("김하늬", "설레요."),
        ("이마루", "떨려요."),
        ("Q", "목표는?"),
        ("김하늬", "완주요."),
        ("이마루", "저도요."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Q: 이름이 뭔가요?\nA: 두루미\nQ: 취미는?\nA: 게임",
        "질문: 이름이 뭔가요?\n답변: 두루미\n질문: 취미는?\n답변: 게임",
        "**Q.** 이름이 뭔가요?\n\n**A.** 두루미\n\n**Q.** 취미는?\n\n**A.** 게임",
        "Q. 이름이 뭔가요?\n두루미\nQ. 취미는?\n게임",
        "Q. 이름이 뭔가요?\n두루미\n단서: 있음\n근거: 있음\nQ. 취미는?\n게임\n단서: 있음\n근거: 있음",
    ],
)
def test_labelled_pairs_stay_pairs(text: str) -> None:
    for name in ("faq.txt", "faq.md"):
        found = load(name, text.encode())
        assert not isinstance(found, Dialogue)
        assert [segment.question for segment in found] == ["이름이 뭔가요?", "취미는?"]


NO_DIALOGUES = {
    "a profile": "이름: 홍두루\n나이: 20\n취미: 산책?\n좋아하는 것: 칼국수\n싫어하는 것: 오이\n",
    "profiles": "이름: 홍두루\n별명: 두루\n말버릇: 그럴 수 있죠?\n\n이름: 김여울\n별명: 여울\n말버릇: 왜요\n",
    "records": "품목: 우산\n상태: 새것\n\n품목: 장갑\n상태: 한 짝\n\n품목: 목도리\n상태: 젖음\n",
    "a recipe": "재료: 바지락, 칼국수\n분량: 2인분\n순서: 조개를 깐다.\n팁: 재촉하지 않는다.\n순서: 끓인다.\n",
    "minutes": "일시: 2026-03-05 14:00\n장소: 회의실\n참석자: 가위, 풀\n안건: 예산은?\n\n예산을 늘리기로 했다.\n",
    "tasks": "- 가위: 영상 자르기\n- 풀: 영상 붙이기\n- 가위: 예고편\n- 테이프: 자막\n- 풀: 음악\n",
    "notes": "우산은 어디에 두나요? 입구요.\n\n참고: 노란 우산은 예외.\n\n주의: 젖은 우산.\n\n참고: 장갑도 같다.\n",
    "quiz": "문제: 느린 새는?\n정답: 두루미\n해설: 반 박자.\n\n문제: 빠른 새는?\n정답: 모름\n해설: 없음\n",
    "verses": "요 3:16\n우산을 이처럼 사랑하사\n시 23:10\n나의 우산이시니\n요 3:17\n보내신 것은\n",
    "verses in a line": "요 3:16 우산이?\n시 23:1 나의?\n요 3:17 우산?\n시 23:2 그?\n",
    "a timetable": "산책 09:00\n하천에서\n점심 12:00\n칼국수\n산책 09:30\n하천에서\n점심 11:00\n칼국수\n",
    "chapters": "00:00 인사\n01:20 우산\n03:40 인사\n05:00 우산\n",
    "code": "if a:\n    b?\nelse:\n    c\nif d:\n    e?\nelse:\n    f\nfor g in h:\n    i\n",
    "configuration": "name: a\nvalue: b?\n---\nname: c\nvalue: d?\n---\nname: e\nvalue: f?\n",
    "addresses": "http://a.example/?q=1\nhttps://b.example/?q=2\nhttp://c.example/?q=3\nhttps://d.example/?q=4\n",
    "keys and values": "host:a?\nport:80\nhost:b?\nport:81\nhost:c?\nport:82\n",
    "a log": "[INFO] started\n[WARN] slow\n[INFO] request /a?b=1\n[WARN] slower\n[INFO] stopped\n",
    "a changelog": "- Fixed: a crash\n- Added: an umbrella\n- Fixed: a leak\n- Added: a glove\n",
    "a dictionary": "박자: 음악의 단위\n반: 둘로 나눈 것\n두루미: 새?\n유실물: 잃은 것\n",
    "a mail": "From: a@example.org\nTo: b@example.org\nSubject: umbrella?\nDate: 2026-03-05\n\nIs it yours?\n",
    "prose": "나는 물었다: 왜 늦었느냐고?\n그는 답했다: 늦지 않았다고.\n그리고 우리는 걸었다.\n",
    "a story": "그가 말했다. “왜?”\n\n여울: 그것은 이름이었다.\n\n다음 날도 비가 왔다.\n" + "\n비가 왔다.\n" * 9,
    "a passage of talk in an essay": "비가 왔다. 나는 걸었다. 하천은 불어 있었다.\n\n" * 6
    + "나: 왜요?\n\n누나: 그냥.\n\n나: 네?\n\n누나: 응.\n\n"
    + "비가 왔다. 나는 걸었다. 하천은 불어 있었다.\n\n" * 6,
    "talk in a block of code": "이렇게 쓴다.\n\n```\n기자: 왜?\n두루: 그냥.\n기자: 네?\n두루: 네.\n```\n",
    "one who speaks": "두루: 왜요?\n두루: 그냥요?\n두루: 네?\n",
    "talk without end": "기자: 왜?\n두루: 그냥.\n",
}


@pytest.mark.parametrize("kind", NO_DIALOGUES)
def test_what_only_looks_like_turns_is_no_dialogue(kind: str) -> None:
    for name in ("a.txt", "a.md"):
        assert not isinstance(load(name, NO_DIALOGUES[kind].encode()), Dialogue)


@pytest.mark.parametrize(
    "line",
    [
        "Name: a?\nBob: b\n",
        "Name (a",
        "# h?\n",
        "Q. a?\n",
        "**",
        "[00:12] ",
        "오전 ",
        "a b ",
        "- ",
        "a.b-",
        "Q ",
        ": ",
        "\n",
        "(a\n",
        "(a (b)\n",
        "(a b c d)\n",
        "((",
        "(a) ",
        "ⓒ\n",
        "기자 a@b ",
        "입력 ",
        "◇ \n",
    ],
)
def test_time_grows_with_the_text_only(line: str) -> None:
    talk = "Bob: a?\nAnn: b\n" * 2
    for text in (
        line * 30_000,
        f"{talk}{line * 30_000}",
        f"Name: a?\nBob:{' ' * 100_000}b\nName: c\nQ{' ' * 100_000}x\n# a{' ' * 100_000}x\n",
    ):
        read_turns(re.split("\n", text))
