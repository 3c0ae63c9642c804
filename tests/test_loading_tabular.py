import json
from collections.abc import Sequence

import pytest

from persona_cli.errors import LoadError
from persona_cli.loading import load, loader_name
from persona_cli.models import Dialogue, Segment, Turn
from tests.dialogues import chunks_in, dialogue_in


def segments(name: str, data: bytes) -> Sequence[Segment]:
    reading = load(name, data)
    assert not isinstance(reading, Dialogue)
    return reading


def rows(name: str, text: str) -> list[tuple[str | int | None, str | None, str]]:
    return [(piece.place or piece.line, piece.question, piece.text) for piece in segments(name, text.encode())]


def test_a_faq_table_is_read_with_its_dates() -> None:
    assert load("faq.csv", "\ufeffid,question,answer,date\r\n1,이름?,침착맨,2024.3.5\r\n".encode()) == [
        Segment("침착맨", question="이름?", place="row 2", date="2024-03-05")
    ]


@pytest.mark.parametrize(
    "header", ["question,answer", " Question , ANSWER", "Q,A", "질문,답변", "문의,응답", "prompt,response"]
)
def test_columns_are_known_by_many_names(header: str) -> None:
    assert rows("faq.csv", f"{header}\n이름?,침착맨\n") == [("row 2", "이름?", "침착맨")]


def test_rows_are_counted_as_a_spreadsheet_counts_them() -> None:
    text = '\nquestion,answer\n"이름이\n뭔가요?","침착맨\n입니다"\n\n나이?,마흔\n'
    assert rows("faq.csv", text) == [("row 3", "이름이 뭔가요?", "침착맨\n입니다"), ("row 5", "나이?", "마흔")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_the_delimiter_is_found_out(delimiter: str, encoding: str) -> None:
    text = f'질문{delimiter}답변\n안녕{delimiter}"네, 안녕; 하세요\t"\n이름{delimiter}침착맨\n'
    found = segments("faq.csv", text.encode(encoding))
    assert [(s.question, s.text) for s in found] == [("안녕", "네, 안녕; 하세요"), ("이름", "침착맨")]


def test_a_tsv_has_tabs_whatever_else_is_in_it() -> None:
    assert rows("faq.tsv", "q\ta\na, b, c?\td, e, f\n") == [("row 2", "a, b, c?", "d, e, f")]


def test_ragged_rows_lose_no_words() -> None:
    text = "id,question,answer,date\n1,취미?,게임, 그림,2024-01-01\n2,이름?,침착맨,,,\n3,나이?,마흔\n"
    found = segments("faq.csv", text.encode())
    assert [(s.question, s.text, s.date) for s in found] == [
        ("취미?", "게임, 그림", "2024-01-01"),
        ("이름?", "침착맨", None),
        ("나이?", "마흔", None),
    ]
    assert rows("facts.csv", "나이,취미\n40,게임,그림\n") == [("row 2", None, "나이: 40\n취미: 게임,그림")]


def test_a_question_nobody_answered_is_left_out() -> None:
    assert rows("faq.csv", "question,answer\n이름?,\n나이?,마흔\n") == [("row 3", "나이?", "마흔")]


def test_text_rows_know_their_speaker() -> None:
    assert load("chat.csv", "작성자,내용,작성일\n침착맨,안녕하세요,1709600000\n주펄,,1709600001\n".encode()) == [
        Segment("안녕하세요", place="row 2", speaker="침착맨", date="2024-03-05T00:53:20+00:00")
    ]


TALK = [
    {"id": 1, "작성자": "여울", "내용": "오늘 방송 해?", "작성일": "2024-03-05 21:30"},
    {"id": 2, "작성자": "자두", "내용": "응,\n열 시에", "작성일": "2024-03-05 21:31"},
    {"id": 3, "작성자": "", "내용": "(웃음)", "작성일": ""},
    {"id": 4, "작성자": "자두", "내용": "꼭 와", "작성일": "2024-03-05 21:32"},
]


def table_of(talk: Sequence[dict[str, object]], delimiter: str) -> str:
    return "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in [TALK[0], *(row.values() for row in talk)])


@pytest.mark.parametrize(
    ("name", "text", "locator"),
    [
        ("a.csv", table_of(TALK, ","), "rows 2-5"),
        ("a.tsv", table_of(TALK, "\t"), "rows 2-5"),
        ("a.json", json.dumps({"title": "방송 이야기", "talk": TALK}), "items 1-4"),
        ("a.jsonl", "\n\n".join(map(json.dumps, TALK)), "lines 1-7"),
    ],
)
def test_rows_of_several_speakers_are_a_dialogue(name: str, text: str, locator: str) -> None:
    first, *_, last = dialogue_in(name, text.encode()).turns
    assert (first.speaker, first.text, first.date) == ("여울", "오늘 방송 해?", "2024-03-05T21:30:00")
    assert (last.speaker, last.text, last.date) == ("자두", "꼭 와", "2024-03-05T21:32:00")
    found = [(piece.question, piece.text, piece.locator) for piece in chunks_in(name, text.encode(), "자두")]
    assert found == [("오늘 방송 해?", "응,\n열 시에\n꼭 와", locator)]


def test_rows_that_begin_with_the_latest_are_turned_round() -> None:
    turns = dialogue_in("a.csv", table_of(TALK[::-1], ",").encode()).turns
    assert [turn.first for turn in turns] == ["5", "4", "2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", table_of([row for row in TALK if row["작성자"] != "여울"], ",")),
        ("a.csv", "speaker,question,answer\n자두,이름?,자두\n여울,나이?,서른\n"),
        ("a.csv", "이름,나이\n자두,서른\n여울,마흔\n"),
        ("a.json", json.dumps([row for row in TALK if row["작성자"] != "여울"])),
        ("a.json", json.dumps([{"q": "이름?", "a": "자두", "author": name} for name in ("자두", "여울")])),
    ],
)
def test_rows_of_one_speaker_pairs_and_facts_stay_rows(name: str, text: str) -> None:
    assert segments(name, text.encode())


def test_json_lines_with_newlines_in_them_keep_to_their_line() -> None:
    text = '{"text": "a\\nb\\nc", "user": "kim"}\n{"text": "d", "user": "lee"}\n'
    assert dialogue_in("a.jsonl", text.encode()) == Dialogue(
        [Turn("kim", "a\nb\nc", "1", "1"), Turn("lee", "d", "2", "2")]
    )


def test_a_glossary_is_no_talk() -> None:
    text = "name,text\n" + "".join(f"낱말{n},그 뜻은 {n}이에요.\n" for n in range(5))
    assert len(segments("a.csv", text.encode())) == 5


def test_other_rows_become_facts_without_ids_and_empty_values() -> None:
    text = "id,이름,나이,user_id,\n1,침착맨,40,x,그림 작가\n2,주펄,,y,\n"
    assert load("people.csv", text.encode()) == [
        Segment("이름: 침착맨\n나이: 40\n그림 작가", place="row 2"),
        Segment("이름: 주펄", place="row 3"),
    ]


def test_two_columns_of_questions_and_answers_need_no_header() -> None:
    assert rows("faq.csv", "이름이 뭔가요?,침착맨\n나이는?,마흔\n") == [
        ("row 1", "이름이 뭔가요?", "침착맨"),
        ("row 2", "나이는?", "마흔"),
    ]


def test_one_column_without_a_known_name_is_all_text() -> None:
    assert rows("quotes.csv", "나는 게임을 좋아한다\n나는 밥을 좋아한다\n") == [
        ("row 1", None, "나는 게임을 좋아한다"),
        ("row 2", None, "나는 밥을 좋아한다"),
    ]
    assert rows("quotes.csv", "text\n게임을, 좋아한다\n") == [("row 2", None, "게임을, 좋아한다")]


def test_a_cell_may_be_longer_than_csv_takes_by_default() -> None:
    assert [len(text) for _, _, text in rows("a.csv", f"text\n{'가' * 200_000}\n")] == [200_000]


@pytest.mark.parametrize(
    "value",
    [
        [{"question": "이름?", "answer": "침착맨"}, {"Q ": "나이?", "A": ["마", "흔"]}],
        {"faq": [{"질문": "이름?", "답변": "침착맨"}, {"질문": "나이?", "answers": [{"text": "마"}, {"text": "흔"}]}]},
        {"이름?": "침착맨", "나이?": ["마", "흔"]},
        {"data": {"faq": {"이름?": "침착맨", "나이?": "마\n흔"}}},
        [{"이름?": "침착맨"}, {"나이?": "마\n흔"}],
        {"data": [{"kind": "a", "items": [{"q": "이름?", "a": "침착맨"}]}, {"items": [{"q": "나이?", "a": "마\n흔"}]}]},
    ],
)
def test_pairs_are_found_in_json_of_any_shape(value: object) -> None:
    assert rows("faq.json", json.dumps(value)) == [("item 1", "이름?", "침착맨"), ("item 2", "나이?", "마\n흔")]


def test_json_items_are_counted_whether_they_say_something_or_not() -> None:
    assert rows("a.json", '["하나", "", null, "넷", {"text": "다섯", "entities": [{"text": "tag"}]}]') == [
        ("item 1", None, "하나"),
        ("item 4", None, "넷"),
        ("item 5", None, "다섯"),
    ]


def test_a_text_beside_a_list_is_kept_and_a_status_word_is_not() -> None:
    value = {"status": "ok", "message": "방송 모음", "data": [{"text": "a", "time": 1709600000, "user": "kim"}]}
    assert load("a.json", json.dumps(value).encode()) == [
        Segment("방송 모음", place="message"),
        Segment("a", place="item 1", speaker="kim", date="2024-03-05T00:53:20+00:00"),
    ]


def test_an_object_of_facts_is_one_record() -> None:
    value = {
        "id": 7,
        "이름": "침착맨",
        "나이": 40,
        "주소": {"시": "서울"},
        "취미": ["게임 하기", "그림"],
        "x": None,
        "y": True,
    }
    text = "이름: 침착맨\n나이: 40\n주소: 시: 서울\n취미: 게임 하기\n그림\ny: true"
    assert load("a.json", json.dumps(value).encode()) == [Segment(text, place="item 1")]


def test_columns_of_more_than_a_word_are_no_questions() -> None:
    assert rows("a.json", '[{"full name": "Kim", "home town": "Seoul"}]') == [
        ("item 1", None, "full name: Kim\nhome town: Seoul")
    ]


def test_a_list_of_quotes_may_have_a_name() -> None:
    assert rows("a.json", '{"quotes": ["첫 번째 말", "둘째"]}') == [
        ("item 1", None, "첫 번째 말"),
        ("item 2", None, "둘째"),
    ]


def test_lone_surrogates_and_endless_numbers_in_json_are_survived() -> None:
    assert rows("a.json", f'["\\ud800 말", {"9" * 5000}]') == [
        ("item 1", None, "\ufffd 말"),
        ("item 2", None, "9" * 5000),
    ]


def test_json_lines_know_their_lines() -> None:
    text = '{"text": "a\\nb", "user": "kim"}\n\n{"q": "x?", "a": "y"}\n["c", "d"]\n'
    assert load("a.ndjson", text.encode()) == [
        Segment("a\nb", line=1, end_line=1, speaker="kim"),
        Segment("y", question="x?", line=3, end_line=3),
        Segment("c", line=4, end_line=4),
        Segment("d", line=4, end_line=4),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": [1,\n 2,}', "not valid JSON at line 2, column 4: Expecting value"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": b}', "not valid JSON at line 3, column 10: Expecting value"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a":' * 990 + "1" + "}" * 990, "nested too deeply"),
    ],
)
def test_broken_json_is_refused_with_its_place(name: str, text: str, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(name, text.encode())
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.tsv", "a.json", "a.jsonl", "a"])
@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"\xef\xbb\xbf\n", " \n".encode("utf-16"), "\u3000".encode()])
def test_a_file_without_text_is_empty(name: str, data: bytes) -> None:
    if data == "\u3000".encode() and "json" in name:
        data = b'""'
    with pytest.raises(LoadError, match=r"^empty$"):
        load(name, data)


@pytest.mark.parametrize("data", [b"question,answer\n", b"question,answer\nwho?,\n"])
def test_a_table_that_says_nothing_is_empty(data: bytes) -> None:
    with pytest.raises(LoadError, match=r"^empty$"):
        load("a.csv", data)


def test_the_suffix_tells_the_loader_in_any_case() -> None:
    names = ["a.TXT", "notes", "folder.d/a.Markdown", "a.csv", "a.tsv", "a.json", "a.jsonl", "a.ndjson"]
    loaders = ["text/2", "text/2", "markdown/2", "csv/2", "tsv/2", "json/2", "jsonl/2", "jsonl/2"]
    assert [loader_name(name) for name in names] == loaders


def test_a_file_nobody_reads_is_refused() -> None:
    with pytest.raises(LoadError, match=r"^no reader for \.log files$"):
        load("a.log", b"text")
    with pytest.raises(LoadError, match=r"^no reader for \.exe files$"):
        loader_name("a.EXE")
