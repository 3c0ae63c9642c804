import csv
import io
import re
import unicodedata
from collections.abc import Callable

import pytest

from persona_cli.chunking import chunk
from persona_cli.errors import LoadError
from persona_cli.loading import load
from persona_cli.loading.chats import kakao
from persona_cli.loading.decoding import decode
from persona_cli.models import Chunk, Dialogue, Turn
from persona_cli.testimony import fold_name, words_of

B = "도윤/28:서울, [D]#3"
"""A name with all that names may hold."""
LONG = "역 앞에서 봐 : 2번 출구\n\n- 아홉 시\n- 우산 챙겨"
SAID = [
    (B, "2015-07-09T23:59:00", "내일 몇 시에 만나?"),
    ("민서", "2015-07-10T00:05:00", LONG),
    (B, "2015-07-10T12:30:00", "좋아"),
    ("민서", "2015-07-10T20:34:00", "사진 찍자"),
]
EXPORTS = {
    "windows-ko": f"""여행 님과 카카오톡 대화
저장한 날짜 : 2015-08-03 00:47:14

--------------- 2015년 7월 9일 목요일 ---------------
민서님이 {B}님을 초대하였습니다.
[{B}] [오후 11:59] 내일 몇 시에 만나?
--------------- 2015년 7월 10일 금요일 ---------------
[민서] [오전 12:05] {LONG}

[민서] [오전 12:06] 사진
[{B}] [오후 12:30] 좋아
한별님이 나갔습니다.
[민서] [오후 8:34] 사진 찍자
""",
    "windows-ko-24h": f"""여행 님과 카카오톡 대화
저장한 날짜 : 2015년 8월 3일 오전 12:47

--------------- 2015년 7월 9일 목요일 ---------------
[] [23:58] 시스템 알림
[{B}] [23:59] 내일 몇 시에 만나?
--------------- 2015년 7월 10일 금요일 ---------------
[민서] [00:05] {LONG}
[민서] [00:06] 동영상
[{B}] [12:30] 좋아
[민서] [20:34] 사진 찍자
""",
    "windows-en": f"""여행 with KakaoTalk Chats
Date Saved : 2015-08-03 00:47:14

--------------- Thursday, July 9, 2015 ---------------
[{B}] [11:59 PM] 내일 몇 시에 만나?
Ann Lee left.

--------------- Friday, July 10, 2015 ---------------
[민서] [12:05 AM] {LONG}
[민서] [12:06 AM] photo
[{B}] [12:30 PM] 좋아
[민서] [8:34 PM] 사진 찍자
""",
    "android-ko": f"""여행 4 님과 카카오톡 대화
저장한 날짜 : 2015년 8월 3일 오전 12:51


2015년 7월 9일 오후 11:58
2015년 7월 9일 오후 11:58, 민서님이 한별님과 {B}님을 초대했습니다.
2015년 7월 9일 오후 11:59, {B} : 내일 몇 시에 만나?

2015년 7월 10일 오전 12:05
2015년 7월 10일 오전 12:05, 민서 : {LONG}
2015년 7월 10일 오전 12:06, 민서 : <사진 읽지 않음>
2015년 7월 10일 오후 12:30, {B} : 좋아
2015년 7월 10일 오후 8:34, 민서 : 사진 찍자
""",
    "android-en": f"""KakaoTalk Chats with 여행
Date Saved : November 3, 2020, 1:08 PM


July 9, 2015, 11:59 PM
July 9, 2015, 11:59 PM, {B} : 내일 몇 시에 만나?

July 10, 2015, 12:05 AM
July 10, 2015, 12:05 AM, 민서 : {LONG}
July 10, 2015, 12:06 AM, 민서 : Photo
July 10, 2015, 12:07 AM, Ann left.
July 10, 2015, 12:30 PM, {B} : 좋아
July 10, 2015, 8:34\u202fPM, 민서 : 사진 찍자
""",
    "android-en-older": f"""KakaoTalk Chats with 여행 (4)
Date Saved : 1:01am, August 3, 2015


11:59pm, July 9, 2015
11:59pm, July 9, 2015, 민서 invited {B} and Ann.
11:59pm, July 9, 2015, {B} : 내일 몇 시에 만나?

12:05am, July 10, 2015
12:05am, July 10, 2015, 민서 : {LONG}
12:06am, July 10, 2015, 민서 : <Photo>
12:30pm, July 10, 2015, {B} : 좋아
8:34pm, July 10, 2015, 민서 : 사진 찍자
""",
    "ios-ko": f"""여행 (4명)과 카카오톡 대화-1.txt
저장한 날짜 : 2015. 8. 3. 오전 12:15



2015년 7월 9일 목요일
2015. 7. 9. 오후 11:58: 민서님이 {B}님을 초대했습니다.
2015. 7. 9. 오후 11:59, {B} : 내일 몇 시에 만나?

2015년 7월 10일 금요일
2015. 7. 10. 오전 12:05, 민서 : {LONG}
2015. 7. 10. 오전 12:06, 민서 : 사진
2015. 7. 10. 오후 12:30, {B} : 좋아
2015. 7. 10. 오후 8:34, 민서 : 사진 찍자
""",
    "ios-ko-24h": f"""Talk_2015.8.3 10:20-1.txt
저장한 날짜 : 2015. 8. 3. 00:15
여행 님과 카카오톡 대화

2015. 7. 9. 목요일
2015. 7. 9. 23:59, {B} : 내일 몇 시에 만나?

2015. 7. 10. 금요일
2015. 7. 10. 00:05, 민서 : {LONG}
2015. 7. 10. 12:30, {B} : 좋아
2015. 7. 10. 20:34, 민서 : 사진 찍자
""",
    "ios-ko-by-day": f"""여행 카카오톡 대화
저장한 날짜 : 2015년 8월 3일 오전 12:15


2015년 7월 9일 목요일
오후 11:59, {B} : 내일 몇 시에 만나?

2015년 7월 10일 금요일
오전 12:05, 민서 : {LONG}
오후 12:30, {B} : 좋아
오후 12:31, 한별님이 나갔습니다.
오후 8:34, 민서 : 사진 찍자
""",
    "ios-en": f"""KakaoTalk Chats with 여행 (4 people)-1.txt
Date Saved : Apr 25, 2026 at 10:38


Thursday, July 9, 2015
Jul 9, 2015 at 23:58: 민서 invited {B} .
Jul 9, 2015 at 23:59, {B} : 내일 몇 시에 만나?

Friday, July 10, 2015
Jul 10, 2015 at 00:05, 민서 : {LONG}
Jul 10, 2015 at 12:30, {B} : 좋아
Jul 10, 2015 at 20:34, 민서 : 사진 찍자
""",
    "ios-en-older": f"""KakaoTalk Chats with 여행 (4 people)-1.txt
Date Saved : Aug 3, 2015, 12:20 AM


Thursday, July 9, 2015
Jul 9, 2015, 11:58 PM: 민서 invited {B}.
Jul 9, 2015, 11:59 PM, {B} : 내일 몇 시에 만나?

Friday, July 10, 2015
Jul 10, 2015, 12:05 AM, 민서 : {LONG}
Jul 10, 2015, 12:30 PM, {B} : 좋아
Jul 10, 2015, 8:34 PM, 민서 : 사진 찍자
""",
    "ios-en-british": f"""KakaoTalk Chats with 여행
Date Saved : 3 Aug 2015 at 00:20

Thursday, 9 July 2015
9 Jul 2015 at 23:59, {B} : 내일 몇 시에 만나?

Friday, 10 July 2015
10 Jul 2015 at 00:05, 민서 : {LONG}
10 Jul 2015 at 12:30, {B} : 좋아
10 Jul 2015 at 20:34, 민서 : 사진 찍자
""",
}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "bom, crlf after messages": lambda text: ("\ufeff" + re.sub(r"\n(?!-|\n)", "\r\n", text)).encode(),
    "cp949": lambda text: text.replace("\u202f", " ").replace("\n", "\r\n").encode("cp949"),
    "nfd": lambda text: unicodedata.normalize("NFD", text).encode(),
}
every_export = pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)


def dialogue(data: bytes, name: str = "KakaoTalk.txt") -> Dialogue:
    found = load(name, data)
    assert isinstance(found, Dialogue)
    return found


def chat(*lines: str) -> list[tuple[str, str]]:
    """Who said what in an export that has these lines below its header."""
    found = dialogue("\n".join(("방 님과 카카오톡 대화", "저장한 날짜 : 2020-11-03 10:44:52", "", *lines)).encode())
    return [(turn.speaker, turn.text) for turn in found.turns]


def windows(*lines: str) -> list[tuple[str, str]]:
    return chat("--------------- 2020년 6월 28일 일요일 ---------------", *lines)


def assert_leads_to_its_words(piece: Chunk, unit: str, places: list[str]) -> None:
    """Whether a reader finds the chunk where its locator says: nothing before it, its lines in order, nothing after."""
    located = re.search(rf", {unit}s? (\d+)(?:-(\d+))?$", f", {piece.locator}")
    assert located, piece.locator
    there = places[int(located[1]) - 1 : int(located[2] or located[1])]
    quoted = piece.text.split("\n")
    assert (piece.question or quoted[0]) in there[0]
    assert there[-1].endswith(quoted[-1])
    lines = iter("\n".join(there).split("\n"))
    assert all(any(line.endswith(words) for line in lines) for words in quoted)


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@every_export
def test_every_program_language_and_encoding_gives_the_same_dialogue(
    export: str, encode: Callable[[str], bytes]
) -> None:
    data = encode(export)
    found = dialogue(data)
    assert [(turn.speaker, turn.date, turn.text) for turn in found.turns] == SAID
    assert (found.unit, found.title) == ("line", "여행")
    lines = decode(data).split("\n")
    for turn in found.turns:
        first, *more = turn.text.split("\n")
        at = int(turn.first)
        assert lines[at - 1].endswith(first)
        assert lines[at : int(turn.last)] == more


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@every_export
def test_a_reader_finds_the_quoted_words_where_the_locator_says(export: str, encode: Callable[[str], bytes]) -> None:
    data = encode(export)
    found = dialogue(data)
    for name in ("민서", B):
        pieces = chunk(words_of(found, frozenset((fold_name(name),))))
        assert {piece.speaker for piece in pieces} == {name}
        assert all(piece.locator.startswith("여행, line") for piece in pieces)
        for piece in pieces:
            assert_leads_to_its_words(piece, "line", decode(data).split("\n"))


def test_what_the_person_said_answers_what_was_said_before() -> None:
    segments = words_of(dialogue(EXPORTS["android-ko"].encode()), frozenset(("민서",)))
    assert [(s.question, s.text, s.date) for s in segments] == [
        ("내일 몇 시에 만나?", LONG, "2015-07-10T00:05:00"),
        (None, "사진 찍자", "2015-07-10T20:34:00"),
    ]


@every_export
def test_a_piece_without_its_header_is_recognised(export: str) -> None:
    lines = export.split("\n")
    start = next(at for at, line in enumerate(lines) if line.endswith("만나?"))
    piece = ["끝에서 이어지는 말", *lines[3:start], "", *lines[start:] * 2]
    found = dialogue("\n".join(piece).encode())
    assert found.title is None
    assert [(turn.speaker, turn.text) for turn in found.turns[:3]] == [(name, text) for name, _, text in SAID[:3]]


def test_without_a_date_line_nothing_tells_the_day() -> None:
    found = dialogue("[민서] [오후 3:00] 안녕\n[도윤] [오후 3:01] 응\n[민서] [오후 3:02] 뭐 해?\n둘째 줄\n".encode())
    assert found.turns[2] == Turn("민서", "뭐 해?\n둘째 줄", "3", "4")


@pytest.mark.parametrize(
    "text",
    [
        "2015년 7월 9일 목요일\n\n오늘은 카카오톡 대화를 정리했다. [오후 3:00]에 만나기로 했다.\n",
        "Q. 몇 시에 여나요?\nA. 오후 8:34, 정문 : 열려 있어요.\n\nQ. 어디죠?\nA. 서울이요.\n",
        "2023. 5. 10. 오후 2:05 - 민서: 안녕\n2023. 5. 10. 오후 2:06 - 도윤: 응\n" * 3,
        "[2023. 5. 10. 오후 2:05:12] 민서: 안녕\n[2023. 5. 10. 오후 2:06:00] 도윤: 응\n" * 3,
        "8/8/19, 1:25 PM - Ann: Hi\n8/8/19, 1:26 PM - Bob: Hey\n" * 3,
        "[2017-09-07, 7:58:30 AM] Tom: text\n[2017-09-07, 7:59 AM] Ann : text\n" * 3,
        "[진행자] [00:12] 반갑습니다\n[민서] [00:15] 안녕하세요\n" * 3,
        "진행자 : 반갑습니다\n민서 : 안녕하세요\n" * 3,
        "오전 9:00, 대강당 : 개회식\n오전 10:00, 대강당 : 강연\n오후 2:00, 세미나실 : 토론\n",
        "그날의 대화를 옮겨 적는다.\n\n[민서] [오후 3:00] 안녕\n[도윤] [오후 3:01] 응\n[민서] [오후 3:02] 뭐 해?\n\n"
        + "그리고 나는 걸었다.\n" * 9,
        "우리의 카카오톡 대화\n\n[민서] [오후 3:00] 안녕\n\n그 한마디가 전부였다.\n",
        "",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_export_is_left_to_others(text: str) -> None:
    assert kakao.read_text(text) is None


@pytest.mark.parametrize(
    ("clock", "time"),
    [
        *(("오전 12:00", "00:00"), ("오전 1:01", "01:01"), ("오후 12:59", "12:59"), ("오후 1:00", "13:00")),
        *(
            ("12:00 AM", "00:00"),
            ("12:00 PM", "12:00"),
            ("AM 9:04", "09:04"),
            ("PM 9:04", "21:04"),
            ("7:05 pm", "19:05"),
        ),
    ],
)
def test_noon_and_midnight_are_told_apart(clock: str, time: str) -> None:
    export = f"Date Saved : 2020-11-03\n--------------- 2020년 6월 28일 일요일 ---------------\n[민서] [{clock}] 안녕\n"
    assert dialogue(export.encode()).turns[0].date == f"2020-06-28T{time}:00"


@pytest.mark.parametrize(
    "day", ["2020년 2월 30일 일요일", "2020년 13월 1일 월요일", "0000년 1월 1일 월요일", "Sunday, February 30, 2020"]
)
def test_a_day_that_never_was_leaves_the_messages_without_a_date(day: str) -> None:
    lines = ("[민서] [오후 3:00] 안녕", f"--------------- {day} ---------------", "[도윤] [오후 3:01] 응")
    found = dialogue("\n".join(("저장한 날짜 : 2020-11-03", *lines)).encode())
    assert [(turn.text, turn.date) for turn in found.turns] == [("안녕", None), ("응", None)]
    assert words_of(found, frozenset(("도윤",)))


@pytest.mark.parametrize("name", ["[서울][30대] 민서", "민서:]", "=[", "민 / 서 # 1", "A, B", "[ ]", "오후 3:00"])
def test_a_name_on_windows_may_hold_brackets(name: str) -> None:
    assert windows(f"[{name}] [오후 3:00] 들어 봐 [도윤] [오후 2:59] 이랬잖아") == [
        (name, "들어 봐 [도윤] [오후 2:59] 이랬잖아")
    ]


def test_a_line_that_only_speaks_of_a_message_does_not_start_one() -> None:
    text = "이거 봐\n[공지] 아래는 [도윤] [오후 2:59] 의 말\n[공지] 오후 3:00 회의\n도윤 : 안녕"
    assert windows(f"[민서] [오후 3:00] {text}") == [("민서", text)]


@pytest.mark.parametrize(
    "notice",
    [
        "한별님이 들어왔습니다.",
        "한별님이 들어왔습니다.운영정책을 위반한 메시지로 신고 접수 시 이용에 제한이 있을 수 있습니다.",
        "한별님이 나갔습니다.",
        "한별님을 내보냈습니다.",
        "민서님이 한별님을 초대했습니다.",
        "채팅방 관리자가 메시지를 가렸습니다.",
        "삭제된 메시지입니다.",
        "한별님이 부방장이 되었습니다.",
        "Ann Lee joined.",
        "Ann joined this chatroom.",
        "한별 left.",
        "민서 invited Ann and 한별.",
    ],
)
def test_a_notice_on_windows_ends_a_message_and_is_nobodys_words(notice: str) -> None:
    assert windows("[민서] [오후 3:00] 첫 줄", "둘째 줄", notice, "안내 문구", "[도윤] [오후 3:01] 응") == [
        ("민서", "첫 줄\n둘째 줄"),
        ("도윤", "응"),
    ]


@pytest.mark.parametrize(
    "line", ["한별님이 들어왔습니다. 그래서 웃었어요", "then he left.", "We all left.", "사진 봤어?", "My dad joined."]
)
def test_a_line_that_resembles_a_notice_stays(line: str) -> None:
    assert windows(f"[민서] [오후 3:00] 첫 줄\n{line}\n끝") == [("민서", f"첫 줄\n{line}\n끝")]


def test_on_a_phone_notices_have_a_time_and_the_same_words_in_a_message_stay() -> None:
    stamp = "2015년 7월 9일 오후 8:34"
    text = "들어 봐\n한별님이 나갔습니다.\n끝"
    assert chat(stamp, f"{stamp}, 민서 : {text}", f"{stamp}, 한별님이 나갔습니다.", "안내 문구") == [("민서", text)]


@pytest.mark.parametrize("stamp", ["2015년 7월 9일 오후 8:34", "2015. 7. 9. 오후 8:34", "Jul 9, 2015, 8:34 PM"])
def test_dates_and_copied_chats_inside_a_message_stay(stamp: str) -> None:
    dates = f"2015년 7월 9일 목요일\n{stamp}\nThursday, July 9, 2015"
    text = f"모임 안내\n\n{dates}\n장소 : 정문\n[도윤] [오후 3:00] 언제야?\n끝"
    assert chat(f"{stamp}, 민서 : {text}", f"{stamp}, 도윤 : 응") == [("민서", text), ("도윤", "응")]


def test_a_message_without_words_on_its_first_line_starts_where_they_are() -> None:
    export = (
        "저장한 날짜 : 2015년\n\n2015년 7월 9일 오후 8:34, 민서 :\n\n  안녕\n\n\n2015년 7월 9일 오후 8:35, 도윤 : \n"
    )
    assert dialogue(export.encode()).turns == [Turn("민서", "안녕", "5", "5", "2015-07-09T20:34:00")]


@pytest.mark.parametrize(
    "placeholder",
    [
        *(
            "사진",
            "사진 3장",
            "동영상",
            "이모티콘",
            "파일: 보고서.pdf",
            "음성메시지",
            "삭제된 메시지입니다.",
            "(이모티콘)",
        ),
        *(
            "보이스톡 해요",
            "보이스톡 부재중",
            "페이스톡 12:34",
            "라이브톡 종료 1:02:03",
            "지도: 서울역",
            "연락처: 한별",
            "연락처",
        ),
        *(
            "샵검색: #날씨",
            "투표",
            "톡게시판 '투표': 점심",
            "선물",
            "<사진>",
            "카카오톡 프로필",
            "Photo",
            "photos",
            "3 photos",
        ),
        *("Video", "videos", "Emoticons", "Sticker", "File: report.pdf", "This message was deleted.", "(Photo)"),
        *("Voice Note", "Voice Call 1:02", "Live Talk ended 10:20", "0123456789abcdef" * 4 + ".jpg"),
    ],
)
def test_what_stands_for_a_picture_or_a_call_is_left_out(placeholder: str) -> None:
    assert windows(f"[민서] [오후 3:00] {placeholder}", "[도윤] [오후 3:01] 응") == [("도윤", "응")]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "사진 찍었어",
            "사진\n찍었어",
            "동영상 봤어?",
            "파일 보냈어",
            "보이스톡 하자",
            "투표 했어?",
            "선물 고마워",
            "이모티콘 3개 샀다",
        ),
        *("톡게시판 '공지': 내일 쉽니다", "Photo of me", "Video games!", "File it", "Live Talk was fun"),
    ],
)
def test_words_that_begin_like_a_picture_stay(text: str) -> None:
    assert windows(f"[민서] [오후 3:00] {text}") == [("민서", text)]


def test_an_export_of_nothing_but_pictures_is_empty() -> None:
    with pytest.raises(LoadError):
        windows("[민서] [오후 3:00] 사진", "한별님이 나갔습니다.")


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("민서 님과 카카오톡 대화", "민서"),
        ("민서님과 카카오톡 대화", "민서"),
        ("모임 2024 님과 카카오톡 대화", "모임 2024"),
        ("민서,도윤,한별 12 님과 카카오톡 대화", "민서,도윤,한별"),
        ("약의 효과 카카오톡 대화", "약의 효과"),
        ("Study group (12) with KakaoTalk Chats", "Study group"),
        ("KakaoTalk Chats with Ann, Bob (3 people)-2.txt", "Ann, Bob"),
        ("Talk_2026.4.25 10:20-1.txt", None),
    ],
)
def test_the_header_names_the_room(header: str, title: str | None) -> None:
    export = f"{header}\n저장한 날짜 : 2015년\n\n2015년 7월 9일 오후 8:34, 민서 : 우리 카카오톡 대화\n"
    assert dialogue(export.encode()).title == title


def test_exports_put_together_in_one_file_are_read_on() -> None:
    turns = dialogue((EXPORTS["android-ko"] + EXPORTS["android-ko"]).encode()).turns
    assert [(turn.speaker, turn.date, turn.text) for turn in turns] == SAID * 2


MAC = f"""Date,User,Message
2015-07-09 23:58:26,"민서","민서 invited {B} and."
2015-07-09 23:59:00,"{B}","내일 몇 시에 만나?"
2015-07-10 00:05:00,"민서","{LONG}"
2015-07-10 00:06:07,"민서","(사진)"
2015-07-10 12:30:00,"{B}","좋아"
2015-07-10 12:31:00,"","시스템 알림"
2015-07-10 12:32:00,"한별","한별님이 나갔습니다."
2015-07-10 20:34:00,"민서","사진 찍자"
"""


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_table_from_macos_gives_the_same_dialogue(encode: Callable[[str], bytes]) -> None:
    data = encode(MAC)
    found = dialogue(data, "KakaoTalk.csv")
    assert [(turn.speaker, turn.date, turn.text) for turn in found.turns] == SAID
    assert [(turn.first, turn.last) for turn in found.turns] == [(row, row) for row in "3469"]
    rows = ["\n".join(cells) for cells in csv.reader(io.StringIO(decode(data)))]
    for piece in chunk(words_of(found, frozenset(("민서",)))):
        assert_leads_to_its_words(piece, "row", rows)


def test_a_table_from_macos_may_quote_nothing() -> None:
    text = 'Date,User,Message\n2015-07-09 20:34:26,민서,응, 그래,\n둘째, 줄\n2015-07-09 20:34:27,도윤,"왜" 물어?\n'
    assert dialogue(text.encode(), "chat.csv").turns == [
        Turn("민서", "응, 그래,\n둘째, 줄", "2", "3", "2015-07-09T20:34:26"),
        Turn("도윤", "왜 물어?", "4", "4", "2015-07-09T20:34:27"),
    ]


@pytest.mark.parametrize(
    "text", ["Date,User,Message\n", "date,user,message,id\n", "Date,User,Message\n어제,민서,안녕\n"]
)
def test_other_tables_are_no_chat(text: str) -> None:
    assert kakao.read_table([(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1)]) is None


@pytest.mark.parametrize(
    "part", ["[", "]", "[a", "[]", "] [", "님이 ", "님이 나갔습니다. ", " : ", "a left", "-", "사진", "\n", "사진\n"]
)
@pytest.mark.parametrize("start", ["[민서] [오후 3:00] 안녕\n", "2015년 7월 9일 오후 8:34, "])
def test_no_text_takes_long(part: str, start: str) -> None:
    kakao.read_text(f"저장한 날짜 : 2015\n{start}{part * (500_000 // len(part))}\n{start}민서 : 끝")
