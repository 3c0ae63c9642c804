"""Subtitles as the programs that make them write them: what is said is known, and how a file puts it is made here."""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.chunking import MAX_COLUMNS, chunk
from persona_cli.errors import LoadError, NoWords
from persona_cli.loading import load
from persona_cli.models import Chunk, Dialogue, Segment
from persona_cli.testimony import count_speakers, words_of

Shown = Sequence[tuple[float, str]]
"""Lines, and the second at which each first appears."""
LASTS_S = 2.4
"""How long each takes to be said."""

KOREAN = """안녕하세요 여러분 오늘은 만년필 이야기를
좀 해 보려고 합니다
제가 처음 산 만년필은 학교 앞 문구점에 있던 건데요
한 달 용돈이 다 들어갔어요
그때 사장님이 잉크를 그냥 한 병 주셨거든요
그래서 지금도 파란 잉크만 씁니다
비 오는 날에는 종이가 눅눅해져서
글씨가 번지는데
저는 그게 오히려 좋더라고요
편지를 쓸 때는 꼭 새벽에 쓰는 편이에요
""".splitlines()
ENGLISH = """So I moved to the lighthouse in the
spring. Nobody had lived there for nine years. The
keeper before me, Mr. Odell, left a note
that said: feed the gull. I did not know which one.
There were 3.5 kilometres of stairs, or so it felt.
At night the lamp hums, and you
learn to sleep in the key of G. It took a month!
Would I do it again? In a heartbeat.
""".splitlines()
PLAIN = """today i want to talk about the greenhouse
we built behind the school and why it
fell over twice before it stood
the first winter we used bamboo
which as it turns out does not like snow
""".splitlines()


def timed(lines: Sequence[str], rounds: int = 12, step: float = 2.5) -> Shown:
    """Lines one after the other, told apart by the round they are in, from the end of the first hour on."""
    said = [f"{at} {line}" for at in range(rounds) for line in lines]
    return [(3590 + at * step, line) for at, line in enumerate(said)]


def clock(seconds: float, comma: str = ".") -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{comma}{ms:03}"


def srt(shown: Shown) -> str:
    cues = (f"{n}\n{clock(at, ',')} --> {clock(at + 2.4, ',')}\n{line}\n" for n, (at, line) in enumerate(shown, 1))
    return "\n".join(cues)


def webvtt(shown: Shown) -> str:
    cues = (f"{clock(at)} --> {clock(at + 2.4)} line:90% align:center\n{line}\n" for at, line in shown)
    return "WEBVTT\nKind: captions\nLanguage: ko\n\nNOTE made by hand,\nnot by ear\n\n" + "\n".join(cues)


def youtube(shown: Shown) -> str:
    """Automatic captions: each line word by word below the one before, then for 10 ms alone."""
    text, before = "WEBVTT\nKind: captions\nLanguage: en\n\n", " "
    for (at, line), (end, _) in pairwise([*shown, (shown[-1][0] + 2.5, "")]):
        first, *words = line.split(" ")
        step = (end - at) / (len(words) + 1)
        spoken = first + "".join(f"<{clock(at + n * step)}><c> {word}</c>" for n, word in enumerate(words, 1))
        text += f"{clock(at)} --> {clock(end - 0.01)} align:start position:0%\n{before}\n{spoken}\n\n"
        text += f"{clock(end - 0.01)} --> {clock(end)} align:start position:0%\n{line}\n \n\n"
        before = line
    return text


def rolling_srt(shown: Shown) -> str:
    """The same made SubRip by a converter, which keeps the cues and loses what tells words apart."""
    text, number, before = "", 0, ""
    for at, line in shown:
        for start, end, lines in ((at, at + 2.49, [before, line]), (at + 2.49, at + 2.5, [line])):
            number += 1
            text += f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n" + "\n".join(filter(None, lines)) + "\n\n"
        before = line
    return text


def sami(shown: Shown) -> str:
    text = "<SAMI>\n<HEAD>\n<TITLE>무제</TITLE>\n<STYLE TYPE='text/css'>\n<!--\nP { color: white; }\n"
    text += ".KRCC { Name: 한국어; lang: ko-KR; }\n-->\n</STYLE>\n</HEAD>\n<BODY>\n"
    for at, line in shown:
        first, _, rest = line.partition(" ")
        text += f"<SYNC Start={at * 1000:.0f}><P Class=KRCC>\n<font color=yellow>{first}</font><br>{rest}\n"
        text += f"<SYNC Start={at * 1000 + 2400:.0f}><P Class=KRCC>&nbsp;\n"
    return text + "</BODY>\n</SAMI>\n"


FORMATS: list[tuple[str, Callable[[Shown], str]]] = [
    ("a.srt", srt),
    ("a.vtt", webvtt),
    ("자막.VTT", youtube),
    ("a.srt", rolling_srt),
    ("a.smi", sami),
]


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


def assert_leads_to_words(found: Chunk, shown: Shown) -> None:
    """A reader who listens from the first second named to the last hears all words, and not a line sooner or longer."""
    times = re.fullmatch(r"(\d\d:\d\d:\d\d)(?:-(\d\d:\d\d:\d\d))?", found.locator)
    assert times
    first, last = times[1], times[2] or times[1]
    heard = [(clock(at)[:8], clock(math.ceil(round(at + LASTS_S, 3)))[:8], letters(line)) for at, line in shown]
    words = letters(found.whole)
    assert words in "".join(line for start, end, line in heard if first <= start and end <= last)
    assert words not in "".join(line for start, end, line in heard if first < start and end <= last)
    assert words not in "".join(line for start, end, line in heard if first <= start and end < last)


def prose(name: str, text: str | bytes) -> Segment:
    reading = load(name, text if isinstance(text, bytes) else text.encode())
    assert not isinstance(reading, Dialogue)
    (segment,) = reading
    return segment


def dialogue(name: str, text: str) -> Dialogue:
    reading = load(name, text.encode())
    assert isinstance(reading, Dialogue)
    return reading


def turns(name: str, text: str) -> list[tuple[str, str, str, str]]:
    return [(turn.speaker, turn.text, turn.first, turn.last) for turn in dialogue(name, text).turns]


VARIANTS = [
    ("utf-8", "\n", "NFC"),
    ("utf-8", "\r\n", "NFD"),
    ("utf-8-sig", "\r\n", "NFC"),
    ("utf-16", "\n", "NFC"),
    ("cp949", "\r\n", "NFC"),
]


@pytest.mark.parametrize(("encoding", "newline", "form"), VARIANTS)
@pytest.mark.parametrize(("name", "write"), FORMATS)
@pytest.mark.parametrize("lines", [KOREAN, ENGLISH, PLAIN], ids=["ko", "en", "unmarked"])
def test_every_chunk_leads_to_its_words(
    lines: list[str], name: str, write: Callable[[Shown], str], encoding: str, newline: str, form: Literal["NFC", "NFD"]
) -> None:
    shown = timed(lines, 18)
    segment = prose(name, unicodedata.normalize(form, write(shown)).replace("\n", newline).encode(encoding))
    chunks = chunk([segment])
    assert len(chunks) > 2
    assert segment.text.split() == " ".join(line for _, line in shown).split()
    for found in chunks:
        assert_leads_to_words(found, shown)


def test_a_locator_ends_when_the_words_have_been_said() -> None:
    asked, said = "00:07.000 --> 00:09.000\n<v 진행자>왜요?\n", "00:09.100 --> 00:13.000\n<v 박자두>비가 왔거든요.\n"
    (found,) = chunk(words_of(dialogue("a.vtt", f"WEBVTT\n\n{asked}\n{said}"), frozenset({"박자두"})))
    assert found.locator == "00:00:07-00:00:13"


@pytest.mark.parametrize("word", ["네", "왜냐하면"])
def test_a_piece_begins_with_its_own_words_however_short_they_are(word: str) -> None:
    fills_the_rest = "가" * (MAX_COLUMNS // 2 - 1 - len(word))
    found = chunk([prose("a.srt", srt([(5.0 * at, fills_the_rest if at % 2 else word) for at in range(6)]))])
    assert [piece.text for piece in found] == [f"{word}\n{fills_the_rest}"] * 3
    assert [piece.locator for piece in found] == ["00:00:00-00:00:08", "00:00:10-00:00:18", "00:00:20-00:00:28"]


def test_a_line_longer_than_a_chunk_is_led_to_by_each_of_its_chunks() -> None:
    found = chunk([prose("a.srt", "00:01,0 --> 00:59,5\n" + "쉼표도 없이 " * 400)])
    assert len(found) > 2
    assert {piece.locator for piece in found} == {"00:00:01-00:01:00"}


def test_the_last_words_of_a_sami_file_have_an_end_though_it_names_none() -> None:
    (found,) = chunk([prose("a.smi", "<SAMI><BODY><SYNC Start=1500><P Class=KRCC>비가 왔어요")])
    assert found.locator == "00:00:01-00:00:07"


def test_cues_are_joined_into_sentences() -> None:
    assert prose("a.srt", srt([(2.5 * at, line) for at, line in enumerate(ENGLISH)])).text.splitlines() == [
        "So I moved to the lighthouse in the spring.",
        "Nobody had lived there for nine years.",
        "The keeper before me, Mr. Odell, left a note that said: feed the gull.",
        "I did not know which one.",
        "There were 3.5 kilometres of stairs, or so it felt.",
        "At night the lamp hums, and you learn to sleep in the key of G. It took a month!",
        "Would I do it again?",
        "In a heartbeat.",
    ]


def test_korean_sentences_end_without_marks() -> None:
    shown = [(2.0 * at, line) for at, line in enumerate([*KOREAN, "아주 필요", "없는 이야기죠", "2024. 5.", "1. 부터"])]
    assert prose("a.srt", srt(shown)).text.splitlines() == [
        "안녕하세요 여러분 오늘은 만년필 이야기를 좀 해 보려고 합니다",
        "제가 처음 산 만년필은 학교 앞 문구점에 있던 건데요",
        "한 달 용돈이 다 들어갔어요",
        "그때 사장님이 잉크를 그냥 한 병 주셨거든요",
        "그래서 지금도 파란 잉크만 씁니다",
        "비 오는 날에는 종이가 눅눅해져서 글씨가 번지는데 저는 그게 오히려 좋더라고요",
        "편지를 쓸 때는 꼭 새벽에 쓰는 편이에요",
        "아주 필요 없는 이야기죠",
        "2024. 5.",
        "1. 부터",
    ]


def test_a_pause_ends_a_sentence_and_a_silence_a_paragraph() -> None:
    shown = [(0.0, "one"), (2.5, "two"), (7.0, "three"), (30.0, "four"), (3.0, "of another tape")]
    assert prose("a.srt", srt(shown)).text == "one two\nthree\n\nfour\n\nof another tape"


def test_automatic_captions_pause_where_the_words_do() -> None:
    text = (
        "WEBVTT\n\n00:01.000 --> 00:05.990\n \nso<00:01.300><c> it</c><00:01.600><c> stood</c>\n\n"
        "00:05.990 --> 00:06.000\nso it stood\n \n\n00:06.000 --> 00:08.000\nso it stood\nthen\n\n"
        "00:08.000 --> 00:10.000\nthen\nspring<00:08.400><c> came</c>\n"
    )
    assert prose("a.vtt", text).text == "so it stood\nthen spring came"


def test_without_marks_and_pauses_a_sentence_ends_with_a_cue() -> None:
    lines = prose("a.srt", srt(timed(PLAIN, 4))).text.splitlines()
    assert len(lines) == 4
    assert all(200 <= len(line) < 250 for line in lines[:-1])


def test_what_is_said_twice_is_kept_where_captions_do_not_roll() -> None:
    shown = [(2.4 * at, line) for at, line in enumerate(["네.", "네.", "그렇죠.", "비가 와요.", "집에 가요.", "아뇨."])]
    assert prose("a.srt", srt(shown)).text.splitlines() == [line for _, line in shown]


def test_what_is_said_twice_in_rolling_captions_is_kept() -> None:
    shown = [(2.5 * at, line) for at, line in enumerate(["well", "yeah", "yeah", "yeah", "so be it"])]
    assert prose("a.vtt", youtube(shown)).text == "well yeah yeah yeah so be it"


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n하나\n\n2\n00:00:03,000 --> 00:00:04,000\n둘\n",
        "\n\n1\n0:00:01.0 -> 0:00:02\n하나\n2\n0:00:03.5-->0:00:04\n둘",
        "00:01,000 --> 00:02,000\n하나\n\n00:03,000 --> 00:04,000\n둘\n",
        "1 \n00:00:01,000 --> 00:00:02,000  X1:100 Y1:050\n하나 \n \n2 \n00:00:03,000 --> 00:00:04,000\n둘",
        "1\n00:00:01,000 --> 00:00:02,000\n\n하나\n\n2\n00:00:03,000 --> 00:00:04,000\n\n둘\n\n",
        "WEBVTT - 첫 방송\n\nintro\n00:01.000 --> 00:02.000 line:0\n하나\n\nguid/2-0\n00:03.000 --> 00:04.000\n둘\n",
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.000\n하나\n\nNOTE 여기서 쉰다\n둘째 줄\n\n"
        "00:03.000 --> 00:04.000\n둘\n\nREGION\nid:fred\n\nNOTE\n끝",
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000\n\n0:0:1.0 --> 0:0:1.570\n하나\n0:0:3.0 --> 0:0:4.0\n둘\n",
    ],
)
def test_untidy_files_are_read(text: str) -> None:
    segment = prose("a.srt", text)
    assert segment.text == "하나 둘"
    assert segment.marks == [(0, "00:00:01"), (1, "00:00:02"), (3, "00:00:03"), (3, "00:00:04")]


def test_a_number_that_is_said_stays() -> None:
    assert prose("a.srt", srt([(1, "몇 년이었죠?"), (3, "2024")])).text == "몇 년이었죠?\n2024"
    assert prose("a.srt", "00:01,0 --> 00:02,0\n2024\n00:03,0 --> 00:04,0\n년").text == "2024 년"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"{\an8}<i>Tea</i> &amp; <font color='#ff0000'>biscuits</font>{y:i}", "Tea & biscuits"),
        ("1 &lt; 2, I &#60;3 you &nbsp;and a<b", "1 < 2, I <3 you and a<b"),
        ("<c.yellow.bg_blue>차 </c><lang ko>한 잔</lang>", "차 한 잔"),
        ("<ruby>漢<rt>한</rt>字<rt>자</rt></ruby>와 붓", "漢字와 붓"),
        (r"one\Ntwo", "one two"),
        ("그래서<00:00:00.690><c> 제가</c>", "그래서 제가"),
        ("‎\u202a오른쪽\u202c\u200b", "오른쪽"),
        ("가&#4449;&#x1;&#" + "9" * 5000 + ";", "가ᅡ\ufffd"),
        ("- 어디 가?\n- 집에.", "어디 가?\n집에."),
        (">> So where now?\n>>> Home.", "So where now?\nHome."),
        ("-5 degrees", "-5 degrees"),
        ("[Music]\n안녕", "안녕"),
        ("[음악] 안녕 [박수]", "안녕"),
        ("[문이 쾅 닫힌다]\n(웃음)\n♪ 비가 내리고 ♪\n안녕", "안녕"),
        ("안녕 (웃음) 반가워", "안녕 (웃음) 반가워"),
        ("(그땐 정말 아무것도 몰랐지)", "(그땐 정말 아무것도 몰랐지)"),
        ("we told [the company] no", "we told [the company] no"),
    ],
)
def test_only_words_are_left(written: str, text: str) -> None:
    assert prose("a.vtt", f"WEBVTT\n\n00:01.000 --> 00:02.000\n{written}\n").text == text


INTERVIEW = [
    (1.0, "진행자", "등대에서는 어떻게"),
    (3.5, "진행자", "지내셨어요?"),
    (6.0, "박자두", "매일 계단을 셌어요."),
    (8.5, "박자두", "삼백열두 개였는데, 어느 날"),
    (11.0, "박자두", "하나가 사라졌죠."),
    (13.5, "진행자", "정말요? 왜요?"),
    (16.0, "박자두", "잘못 센 거였어요."),
]


def voiced(speaker: str, words: str, is_new: bool) -> str:
    return f"<v.calm {speaker}>{words}"


def closed(speaker: str, words: str, is_new: bool) -> str:
    return f"<v {speaker}>{words}</v>"


def named(speaker: str, words: str, is_new: bool) -> str:
    return f"{speaker}: {words}" if is_new else words


def named_each(speaker: str, words: str, is_new: bool) -> str:
    return f"- {speaker}：{words}"


def boxed(speaker: str, words: str, is_new: bool) -> str:
    return f"[{speaker}] {words}" if is_new else words


def above(speaker: str, words: str, is_new: bool) -> str:
    return f"{speaker}:\n{words}" if is_new else words


@pytest.mark.parametrize("say", [voiced, closed, named, named_each, boxed, above])
@pytest.mark.parametrize(("name", "write"), [("a.srt", srt), ("a.vtt", webvtt)])
def test_named_speakers_make_a_dialogue(
    name: str, write: Callable[[Shown], str], say: Callable[[str, str, bool], str]
) -> None:
    speakers = ["", *(speaker for _, speaker, _ in INTERVIEW)]
    shown = [(at, say(who, words, who != speakers[n])) for n, (at, who, words) in enumerate(INTERVIEW)]
    found = dialogue(name, write(shown))
    assert count_speakers(found) == {"박자두": 3, "진행자": 3}
    chunks = chunk(words_of(found, frozenset({"박자두"})))
    assert [(c.locator, c.question, c.text) for c in chunks] == [
        (
            "00:00:01-00:00:14",
            "등대에서는 어떻게 지내셨어요?",
            "매일 계단을 셌어요.\n삼백열두 개였는데, 어느 날 하나가 사라졌죠.",
        ),
        ("00:00:13-00:00:19", "정말요? 왜요?", "잘못 센 거였어요."),
    ]
    for each in chunks:
        assert_leads_to_words(each, [(at, words) for at, _, words in INTERVIEW])


@pytest.mark.parametrize("lines", [KOREAN, ENGLISH, PLAIN], ids=["ko", "en", "unmarked"])
def test_every_chunk_of_a_long_speech_leads_to_its_words(lines: list[str]) -> None:
    shown = timed(lines, 40)
    found = dialogue("a.vtt", webvtt([(at, f"<v 박자두>{line}") for at, line in shown]))
    chunks = chunk(words_of(found, frozenset({"박자두"})))
    assert len(chunks) > 5
    for each in chunks:
        assert_leads_to_words(each, shown)


def test_sami_may_name_speakers() -> None:
    shown = [(at, f"{speaker} : {words}") for at, speaker, words in INTERVIEW]
    found = dialogue("a.smi", sami(shown).replace("<br>", " "))
    chunks = chunk(words_of(found, frozenset({"박자두"})))
    assert [c.locator for c in chunks] == ["00:00:01-00:00:14", "00:00:13-00:00:19"]
    for each in chunks:
        assert_leads_to_words(each, [(at, words) for at, _, words in INTERVIEW])


def test_two_voices_may_share_a_cue() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v R&amp;D>Hi!</v> <v.loud Mary\tAnn>Hello\nthere.\n"
    assert turns("a.vtt", text) == [
        ("R&D", "Hi!", "00:00:01", "00:00:02"),
        ("Mary Ann", "Hello there.", "00:00:01", "00:00:02"),
    ]


def test_names_before_every_cue_may_look_like_anything() -> None:
    lines = [
        "jane odell: So the gull",
        "jane odell: came back.",
        "박자두 (손님): 정말요?",
        "jane odell: And I said: no.",
    ]
    shown = [(3.0 * at, line) for at, line in enumerate(lines)]
    assert [(speaker, words) for speaker, words, *_ in turns("a.vtt", webvtt(shown))] == [
        ("jane odell", "So the gull came back."),
        ("박자두 (손님)", "정말요?"),
        ("jane odell", "And I said: no."),
    ]


def test_words_of_no_voice_are_nobody_s() -> None:
    text = webvtt([(1, "나란히 걷던 날."), (4, "<v 박자두>비가 왔죠."), (7, "<v 박자두>조금.")])
    assert [(speaker, words) for speaker, words, *_ in turns("a.vtt", text)] == [
        ("?", "나란히 걷던 날."),
        ("박자두", "비가 왔죠."),
        ("박자두", "조금."),
    ]


def test_words_after_a_dash_are_not_those_of_the_last_name() -> None:
    lines = ["KIM: One.", "LEE: Two.", "KIM: Three.", "- Who said that?", "Not me.", "LEE: Four."]
    assert [turn[0] for turn in turns("a.srt", srt([(3.0 * at, line) for at, line in enumerate(lines)]))] == [
        *("KIM", "LEE", "KIM", "?", "?", "LEE"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ["Three things: tea.", "Tea: hot.", "Rain: wet.", "That is all.", "Nearly."],
        ["결론: 비가 와요.", "그래서 뛰었죠.", "결론: 젖었어요.", "네.", "아주 많이.", "그랬어요."],
        [*"abcdef", "KIM: What?", "g", "h", "i", "LEE: Who?", *"jklmn", "KIM: Oh.", *"op", "LEE: Ah."],
        ["[Music] Hello.", "[Applause] Thanks.", "[Music] So.", "[Applause] Well.", "[Music]", "[Applause]"],
    ],
)
def test_a_colon_alone_makes_no_speaker(lines: list[str]) -> None:
    text = prose("a.srt", srt([(3.0 * at, line) for at, line in enumerate(lines)])).text
    assert text.split() == " ".join(lines).replace("[Music]", "").replace("[Applause]", "").split()


def test_of_two_languages_in_a_sami_file_the_first_is_read() -> None:
    text = sami([(1, "비가 와요."), (4, "그래서 뛰었죠.")])
    text += "<SYNC Start=1000><P Class=ENCC>It rains.\n<SYNC Start=4000><P Class='ENCC'>So I ran.\n"
    assert prose("a.smi", text).text == "비가 와요.\n그래서 뛰었죠."


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ("WEBVTT\nKind: captions\nDate: 2024-05-01\n\n", "2024-05-01"),
        ("WEBVTT - 첫 방송 2024-05-01\n\n", "2024-05-01"),
        ("WEBVTT\n\nNOTE 방송일: 2024년 5월 1일\n\n", "2024-05-01"),
        ("WEBVTT\n\nNOTE\nRecorded: 2024-05-01 21:30\n\n", "2024-05-01T21:30:00"),
        ("WEBVTT\n\nNOTE converted 2024-05-01\n\n", None),
        ("WEBVTT - 2024-02-31\n\n", None),
        ("1\n", None),
    ],
)
def test_the_date_is_what_the_header_says(head: str, date: str | None) -> None:
    assert prose("a.vtt", f"{head}00:01.000 --> 00:02.000\nDate: 1999-01-01\n").date == date
    voiced = dialogue("a.vtt", f"{head}00:01.000 --> 00:02.000\n<v 박자두>네.\n")
    assert voiced.turns[0].date == date


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.smi"])
def test_a_file_without_cues_is_refused(name: str) -> None:
    with pytest.raises(LoadError, match="no subtitles in it"):
        load(name, "WEBVTT\n\n어제는 비가 왔다. --> 그래서\n".encode())


@pytest.mark.parametrize("line", ["", "[음악]", "♪", "..."])
def test_a_file_of_sounds_has_no_words(line: str) -> None:
    with pytest.raises(NoWords):
        load("a.srt", srt([(1, line)]).encode())


PIECES = [
    *(
        "1\n",
        "\n",
        "\n\n",
        " ",
        "00:00:01,000 --> 00:00:02,000\n",
        "00:02.0 --> 00:01.0\n",
        "WEBVTT\n",
        "NOTE\n",
        "-->",
    ),
    *(
        "네",
        "KIM: ",
        "[",
        "]",
        "(",
        "♪",
        "- ",
        ">> ",
        ".",
        "?",
        "요",
        "<v A>",
        "</v>",
        "<c>",
        "<",
        ">",
        "&amp;",
        "&#55296;",
    ),
    *("<rt>", "{\\an8}", "<00:00:01.000>", "<SYNC Start=1000>", "<P Class=KRCC>", "<br>", "\\N", "\0", "\ufeff"),
]


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(["a.srt", "a.vtt", "a.smi"]))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str, name: str) -> None:
    try:
        reading = load(name, text.encode())
    except LoadError:
        return
    assert chunk(words_of(reading, frozenset()) if isinstance(reading, Dialogue) else reading) is not None


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([*KOREAN, *PLAIN])), min_size=1, max_size=60))
def test_words_keep_their_times_however_they_are_spaced(gaps: list[tuple[float, str]]) -> None:
    shown: list[tuple[float, str]] = []
    for number, (gap, line) in enumerate(gaps):
        shown.append(((shown[-1][0] if shown else 0) + round(gap, 3), f"{number} {line}"))
    for found in chunk([prose("a.srt", srt(shown))]):
        assert_leads_to_words(found, shown)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line",
    [
        *("<v", "<v.a", "<rt>", "<", "{\\", "&#9", "&", "[", "[ [", "(a ", "♪a", ".", '."', "A. ", "가요", "- ", "A: "),
        *("<!--", "00:", "1 ", "\\N", "<p ", "<sync start=", "<sync start=1 ", "class=", " ", "--", "<v a>"),
    ],
)
def test_time_is_linear_whatever_is_repeated(line: str) -> None:
    times = "00:00:01,000 --> 00:00:02,000\n<SYNC Start=1000><P "
    for name in ("a.srt", "a.smi"):
        for text in (times + line * 200_000, (times + line + "\n") * 5_000):
            assert load(name, (text + "\nx").encode())
