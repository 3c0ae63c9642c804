import re
import unicodedata
from collections.abc import Callable
from datetime import datetime

import pytest

from persona_cli.loading import load
from persona_cli.loading.chats import whatsapp
from persona_cli.loading.decoding import decode
from persona_cli.models import Dialogue
from tests.dialogues import Said, chunks_in, dialogue_in, place_of, said_in, words_in

LONG = "역 앞에서 봐: 2번 출구\n\n- 아홉 시\n- https://map.example/a?b=1 보고 와"
SAID = [
    ("여울 (회사)", datetime(2024, 8, 30, 23, 59), "자두야, 내일 몇 시에 만나?"),
    ("자두", datetime(2024, 8, 31, 0, 5), LONG),
    ("여울 (회사)", datetime(2024, 8, 31, 12, 30), "good [9:30] - ok"),
    ("자두", datetime(2024, 9, 1, 20, 34), "사진 찍자"),
]
TEXTS = ["자두야, 내일 몇 시에 만나?", LONG, "good [9:30] - ok <This message was edited>", "사진 찍자"]


def spell(style: str, at: datetime) -> str:
    """The time of a message as an app in some language puts it before the name."""
    y, m, d, short = at.year, at.month, at.day, f"{at.hour % 12 or 12}:{at:%M}"
    half = "PM" if at.hour >= 12 else "AM"
    korean = "오후" if at.hour >= 12 else "오전"
    return {
        "android-us": f"{m}/{d}/{at:%y}, {short}\u202f{half} - ",
        "android-gb": f"{at:%d/%m/%Y, %H:%M} - ",
        "android-in": f"{at:%d/%m/%y}, {short} {half.lower()} - ",
        "android-ca": f"{at:%Y-%m-%d}, {short} {half[0].lower()}.m. - ",
        "android-es": f"{d}/{m}/{y}, {short} {half[0].lower()}.\u00a0m. - ",
        "android-fr": f"{at:%d/%m/%Y à %H:%M} - ",
        "android-de": f"{at:%d.%m.%y, %H:%M} - ",
        "android-id": f"{at:%d/%m/%y %H.%M} - ",
        "android-ko": f"{at:%y}/{m}/{d} {half} {short} - ",
        "android-ko-24": f"{at:%y}/{m}/{d} {at:%H:%M} - ",
        "android-ko-long": f"{y}년 {m}월 {d}일 {korean} {short} - ",
        "ios-us": f"[{m}/{d}/{at:%y}, {short}:00\u202f{half}] ",
        "ios-iso": f"[{at:%Y-%m-%d}, {short}:00 {half}] ",
        "ios-ko": f"[{y}. {m}. {d}. {korean} {short}:00] ",
        "ios-ko-after": f"[{y}. {m}. {d}. {short}:00 {korean}] ",
        "ios-ja": f"[{at:%Y/%m/%d %H:%M:%S}] ",
        "ios-fi": f"[{d}.{m}.{y} klo {at:%H.%M.%S}] ",
        "ios-2016": f"{at:%d/%m/%y, %H:%M:%S}: ",
    }[style]


STYLES = [
    *("android-us", "android-gb", "android-in", "android-ca", "android-es", "android-fr", "android-de", "android-id"),
    *("android-ko", "android-ko-24", "android-ko-long", "ios-us", "ios-iso", "ios-ko", "ios-ko-after", "ios-ja"),
    *("ios-fi", "ios-2016"),
]


def export(style: str) -> str:
    """A chat as the app writes it, with what it says itself."""
    is_ios = style.startswith("ios")
    own = "자두: \u200e" if is_ios else ""
    lines = [f"{spell(style, SAID[0][1])}{own}메시지와 통화는 종단간 암호화되어 안전하게 보호됩니다."]
    for (speaker, at, _), text in zip(SAID, TEXTS, strict=True):
        text = text.replace(" <", " \u200e<") if is_ios else text
        lines += [f"{spell(style, at)}{speaker}: {text}", f"\u200e{spell(style, at)}자두: \u200eimage omitted"]
        lines += [f'{spell(style, at)}{own}자두님이 그룹 이름을 "회의"에서 "밥: 점심"으로 변경했습니다.']
    return "\n".join(lines)


def expected() -> list[Said]:
    return [(speaker, at.isoformat(), text) for speaker, at, text in SAID]


def assert_found(name: str, data: bytes, person: str) -> None:
    """Every word of every chunk stands on the lines that the chunk names, and the first line is needed."""
    lines = re.sub("[\u200e\u200f\u2066-\u2069]", "", decode(data)).split("\n")
    chunks = chunks_in(name, data, person)
    assert chunks
    for piece in chunks:
        first, last = place_of(piece)
        standing = lines[first - 1 : last]
        assert all(word in "\n".join(standing) for word in words_in(piece))
        assert words_in(piece)[0] in standing[0]
        assert words_in(piece)[-1] in standing[-1]


@pytest.mark.parametrize("style", STYLES)
def test_a_chat_is_read_in_the_way_of_any_country(style: str) -> None:
    data = export(style).encode()
    assert said_in("_chat.txt", data) == expected()
    for person in ("자두", "여울 (회사)"):
        assert_found("_chat.txt", data, person)


@pytest.mark.parametrize("style", ["android-ko", "ios-ko", "android-gb"])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: ("\ufeff" + text.replace("\n", "\r\n")).encode(),
        lambda text: unicodedata.normalize("NFD", text).encode(),
        lambda text: text.replace("\u200e", "").encode("cp949"),
        lambda text: text.encode("utf-16"),
    ],
)
def test_a_chat_is_read_in_any_encoding(style: str, encode: Callable[[str], bytes]) -> None:
    data = encode(export(style))
    kept = [said for said in said_in("chat.txt", data) if "변경했습니다" not in said[2]]  # told by its mark alone
    assert kept == expected()
    assert_found("chat.txt", data, "자두")


@pytest.mark.parametrize(
    ("moments", "first"),
    [
        (["3/4/24, 9:00 AM", "3/13/24, 9:00 AM"], "2024-03-04T09:00:00"),
        (["3/4/24, 9:00 AM", "13/4/24, 9:00 AM"], "2024-04-03T09:00:00"),
        (["24/3/4, 9:00 AM", "24/3/5, 9:00 AM", "24/4/1, 9:00 AM"], "2024-03-04T09:00:00"),
        (["11/12/24, 09:00", "1/1/25, 09:00"], "2024-12-11T09:00:00"),
        (["9/11/24, 09:00", "10/8/24, 09:00", "10/12/24, 09:00"], "2024-09-11T09:00:00"),
        (["5.6.24, 09:00", "4.7.24, 09:00", "3.8.24, 09:00"], "2024-06-05T09:00:00"),
        (["5/6/24, 9:00 PM"], "2024-05-06T21:00:00"),
        (["05/06/24, 9:00 PM"], "2024-06-05T21:00:00"),
        (["5/6/24, 9:00 p. m."], "2024-06-05T21:00:00"),
        (["5/6/24, 21:00"], "2024-06-05T21:00:00"),
        (["05/06/07 오후 9:00"], "2005-06-07T21:00:00"),
        (["05/06/07 PM 9:00"], "2005-06-07T21:00:00"),
        (["5/6/24, 12:00 AM"], "2024-05-06T00:00:00"),
        (["5/6/24, 12:00 PM"], "2024-05-06T12:00:00"),
        (["31/31/24, 12:00"], None),
        (["5/6/24, 25:00"], None),
    ],
)
def test_the_order_of_day_month_and_year_is_told_by_the_whole_file(moments: list[str], first: str | None) -> None:
    said = said_in("chat.txt", "\n".join(f"{moment} - 자두: 안녕" for moment in moments).encode())
    assert said[0] == ("자두", first, "안녕")


@pytest.mark.parametrize(
    "text",
    [
        "<Media omitted>",
        "<미디어 파일 제외됨>",
        "<미디어 생략>",
        "<Médias omis>",
        "image omitted",
        "Contact card omitted",
        "밥 먹는 사진.jpg (file attached)",
        "\u200ePTT-20240830-WA0001.opus (archivo adjunto)",
        "\u200e<attached: 00000012-PHOTO-2024-08-30-23-59-00.jpg>",
        "\u200eDieses Bild wurde weggelassen",
        "This message was deleted",
        "You deleted this message.",
        "이 메시지는 삭제되었습니다.",
        "Missed group video call",
        "부재중 음성통화",
        "null",
        "",
        " \u200e",
    ],
)
def test_what_stands_for_something_else_is_not_quoted(text: str) -> None:
    chat = f"8/30/24, 11:59 PM - 자두: {text}\n8/30/24, 11:59 PM - 자두: image omitted? null, 사진.jpg\n"
    assert [words for _, _, words in said_in("chat.txt", chat.encode())] == ["image omitted? null, 사진.jpg"]


@pytest.mark.parametrize(
    ("message", "words", "line"),
    [
        ("\u200eIMG-20240830-WA0001.jpg (file attached)\n바다다!\n예쁘지", "바다다!\n예쁘지", "3"),
        ("<Media omitted>\n\n바다다!", "바다다!", "4"),
        ("바다다! \u200e<attached: 0001-PHOTO.jpg>", "바다다!", "2"),
        ("바다다! \u200e<Diese Nachricht wurde bearbeitet>", "바다다!", "2"),
        ("\n바다다!\n ", "바다다!", "3"),
        ("바다 <3 >", "바다 <3 >", "2"),
        ("<공지>\n오늘은 쉽니다", "<공지>\n오늘은 쉽니다", "2"),
    ],
)
def test_a_caption_is_kept_and_a_note_is_cut(message: str, words: str, line: str) -> None:
    dialogue = dialogue_in(
        "chat.txt", f"[8/30/24, 11:58 PM] 여울: 어디야?\n[8/30/24, 11:59 PM] 자두: {message}\n".encode()
    )
    assert [(turn.text, turn.first) for turn in dialogue.turns[1:]] == [(words, line)]


def test_marks_of_direction_and_narrow_spaces_are_no_part_of_names_and_words() -> None:
    chat = "\u200e[8/30/24, 11:59:00\u202fPM] \u202a~\u202f자두\u202c: 안녕 @\u2068여울\u2069\u200f, 나야\n"
    assert said_in("chat.txt", chat.encode()) == [("~ 자두", "2024-08-30T23:59:00", "안녕 @여울, 나야")]


def test_a_chat_whose_beginning_is_cut_off_is_one_still() -> None:
    assert said_in("chat.txt", f"이어지는 말\n\n{export('android-gb')}".encode()) == expected()


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-05 10:30 - 잠\n2024-01-05 11:00 - 장보기: 두부\n2024-01-06 09:00 - 산책\n2024-01-07 12:00 - 휴식",
        "안녕: 나는 자두다.\n8/30/24는 내 생일이다.\n12:30 - 점심",
        "[8/30/24, 11:59:00 PM]\n제목",
        "2015년 7월 9일 오후 8:34, 자두 : 안녕\n",
        "\n" * 30 + "8/30/24, 11:59 PM - 자두: 안녕\n",
    ],
)
def test_another_text_is_no_such_chat(text: str) -> None:
    assert whatsapp.read_text(text) is None


def test_a_diary_stays_prose() -> None:
    diary = "2024-01-05 10:30 - 일어났다\n2024-01-05 11:00 - 장을 봤다\n"
    assert not isinstance(load("diary.txt", diary.encode()), Dialogue)


@pytest.mark.parametrize(
    "text",
    [
        "8/30/24, 11:59 PM - 자두: " + "< " * 500_000 + ">",
        "8/30/24, 11:59 PM - 자두: " + " " * 1_000_000 + ">",
        "8/30/24, 11:59 PM - 자두: 안녕\n" + "[" * 1_000_000 + "\n" + "1" * 1_000_000,
        "8/30/24, 11:59 PM - 자두: " + "a.bcd (" * 200_000,
        "8/30/24, 11:59 PM - " + '"' * 1_000_000,
        "8/30/24, 11:59 PM - 자두: 안녕\n" * 30_000,
        "8/30/24, 11:59 PM - 자두: 안녕\n" + "\n" * 1_000_000,
    ],
)
def test_a_hostile_chat_takes_no_longer_than_its_size(text: str) -> None:
    whatsapp.read_text(text)
