import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.chunking import MAX_COLUMNS, chunk
from persona_cli.errors import LoadError
from persona_cli.loading import load
from persona_cli.loading.decoding import clean, decode
from persona_cli.models import Chunk, Dialogue, Markup, Segment

KOREAN = "내 템포대로 쳐지면서 말했어야 하는데 그러지 못했습니다. "
ENGLISH = "He was a key figure in the Scientific Revolution. "


def fold(text: str) -> str:
    return " ".join(text.split())


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


def segments_in(name: str, data: bytes) -> list[Segment]:
    reading = load(name, data)
    assert not isinstance(reading, Dialogue)
    return list(reading)


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def lines_of(found: Chunk, lines: list[str]) -> list[str]:
    """The lines of the file that a locator names."""
    numbers = re.search(r"lines? (\d+)(?:-(\d+))?$", found.locator)
    assert numbers
    return lines[int(numbers[1]) - 1 : int(numbers[2] or numbers[1])]


@pytest.mark.parametrize(
    ("segment", "locator"),
    [
        (Segment("a", line=4), "line 4"),
        (Segment("\n\na\nb\n\n", line=4), "lines 6-7"),
        (Segment("a", line=4, heading="Early life"), "Early life, line 4"),
        (Segment("a", heading="Early life"), "Early life"),
        (Segment("a", place="row 3"), "row 3"),
        (Segment("a\nb", place="item 2", line=9), "item 2"),
        (Segment("a\nb", question="q?", line=3, end_line=9), "lines 3-9"),
        (Segment("a", question="q?", line=3, end_line=3), "line 3"),
        (Segment("a\nb", line=3, end_line=3), "line 3"),
        (Segment("a"), "part 1"),
    ],
)
def test_a_short_segment_is_one_chunk_that_says_where(segment: Segment, locator: str) -> None:
    found = chunk([segment])
    assert [(c.text, c.question, c.locator) for c in found] == [(segment.text.strip(), segment.question, locator)]


def test_a_chunk_knows_speaker_and_date() -> None:
    found = chunk([Segment("a", question="q?", line=1, end_line=2, speaker="침착맨", date="2024-03-05")])
    assert found == [Chunk("a", "lines 1-2", "q?", "침착맨", "2024-03-05")]


@pytest.mark.parametrize("markup", ["plain", "markdown"])
@pytest.mark.parametrize(("sentence", "capacity"), [(KOREAN, 700), (ENGLISH, 1_200)])
def test_wide_characters_count_double(sentence: str, capacity: int, markup: Markup) -> None:
    found = chunk([Segment(sentence * 200, line=1, markup=markup)])
    assert all(columns(c.text) <= MAX_COLUMNS for c in found)
    assert all(c.text.endswith(".") for c in found)
    assert capacity * 0.8 < len(found[0].text) <= capacity


def test_short_paragraphs_are_joined_and_long_texts_split_between_them() -> None:
    paragraphs = [f"{number} {ENGLISH * 3}" for number in range(20)]
    found = chunk([Segment("\n\n".join(paragraphs), line=1)])
    assert len(found) == 3
    assert all(re.match(r"\d+ ", c.text) for c in found)


def test_an_answer_of_a_page_stays_whole() -> None:
    found = chunk([Segment(KOREAN * 60, question="어땠어요?", line=1, end_line=2)])
    assert [c.text for c in found] == [(KOREAN * 60).strip()]


def test_a_very_long_answer_becomes_chunks_that_each_carry_the_question() -> None:
    text = "\n".join([ENGLISH * 70] * 3)
    found = chunk([Segment(text, question="who?", line=5, end_line=8)])
    assert {c.question for c in found} == {"who?"}
    assert [c.locator for c in found] == ["lines 5-6", "line 7", "line 8"]


@pytest.mark.parametrize(
    ("segment", "locator"),
    [
        (Segment(ENGLISH * 50, place="row 3"), "row 3, part 2"),
        (Segment(ENGLISH * 50, heading="Early life"), "Early life, part 2"),
        (Segment(ENGLISH * 50), "part 2"),
        (Segment(f"a\nb\n{ENGLISH * 50}", line=4, end_line=4), "line 4, part 2"),
        (Segment(ENGLISH * 50, line=4), "line 4"),
    ],
)
def test_parts_of_what_has_no_lines_are_counted(segment: Segment, locator: str) -> None:
    assert chunk([segment])[1].locator == locator


@pytest.mark.parametrize("text", ["", " \n ", "---", "***\n\n___", "```\n```", "| --- | --- |", "…!?"])
def test_what_holds_no_words_is_left_out(text: str) -> None:
    assert chunk([Segment(text, line=1, markup="markdown"), Segment(text, place="row 1")]) == []


@pytest.mark.parametrize("text", ["네", "ㅋㅋ", "7", "❤", "👍"])
def test_one_character_can_be_an_answer(text: str) -> None:
    assert [c.text for c in chunk([Segment(text, question="좋아요?", line=1, end_line=2)])] == [text]


@pytest.mark.parametrize("unit", ["가나다라마바사", "x", "word ", KOREAN])
def test_a_line_of_any_length_is_split_without_loss(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    found = chunk([Segment(text, line=7)])
    assert letters("".join(c.text for c in found)) == letters(text)
    assert {c.locator for c in found} == {"line 7"}
    assert all(columns(c.text) <= MAX_COLUMNS for c in found)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949"])
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_locators_hold_in_every_encoding(name: str, encoding: str, newline: str) -> None:
    written = ["", "머리말", "", *[KOREAN * 8, "", "- 둘째", ""] * 18, "끝"]
    data = newline.join(written).encode(encoding)
    lines = decode(data).split("\n")
    found = chunk(segments_in(name, data))
    assert len(lines) == len(written)
    assert len(found) > 5
    assert all(fold(c.text) == fold("\n".join(lines_of(c, lines))) for c in found)


WORDS = st.sampled_from(
    ["템포", "왜", "word", "e\u0301", "네.", "무엇인가요?", '"왜?"', "3.5", "…", "\u2028", "\x0c", "👍", "가" * 700]
)
LINES = st.one_of(
    st.just(""),
    st.just(""),
    st.sampled_from(
        ["---", "```", "# Head", "## 왜?", "===", "- item", "| a | b |", "Q: who?", "A: me", "1. why?", "> q"]
    ),
    st.lists(WORDS, min_size=1, max_size=9).map(" ".join),
    st.text(st.characters(exclude_categories=[]), max_size=9),
)
DOCUMENTS = st.lists(LINES, max_size=40).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda n: n.join(lines))
)


@given(DOCUMENTS, st.sampled_from(["a.txt", "a.md"]))
@settings(deadline=None)
def test_the_lines_of_a_locator_hold_the_words_of_the_chunk(text: str, name: str) -> None:
    text = clean(text)
    try:
        found = chunk(segments_in(name, text.encode()))
    except LoadError:
        return
    lines = text.split("\n")
    for c in found:
        named = lines_of(c, lines)
        words = [
            line for line in named if not re.fullmatch(r" {0,3}(=+|-+)\s*", line)
        ]  # a heading's underline is no words
        assert letters(c.text) in letters("\n".join(words))
        assert fold(named[0])
        assert fold(named[-1])
        if c.question is None:
            written = c.text.split("\n")
            assert len(written) == len(named)
            assert all(fold(part) in fold(line) for part, line in zip(written, named, strict=True))


@pytest.mark.parametrize(
    ("segment", "locator"),
    [
        (Segment("a b", unit="page", marks=[(0, "3")]), "page 3"),
        (Segment("a b", unit="page", marks=[(0, "3"), (2, "4")]), "pages 3-4"),
        (Segment("a b", marks=[(0, "00:12:03"), (2, "00:12:31")]), "00:12:03-00:12:31"),
        (Segment("a\nb", question="c", unit="line", marks=[(0, "7"), (0, "9"), (2, "10")]), "lines 7-10"),
        (Segment("a", unit="row", marks=[(0, "2")], heading="The room"), "The room, row 2"),
    ],
)
def test_marks_tell_the_place_from_the_question_to_the_end_of_the_answer(segment: Segment, locator: str) -> None:
    assert [c.locator for c in chunk([segment])] == [locator]


def test_each_piece_of_a_marked_text_has_the_places_it_reaches_over() -> None:
    pages = ["".join(f"{page}쪽 {n}번째로 {KOREAN}" for n in range(9)) for page in range(1, 5)]
    offsets = [sum(map(len, pages[:at])) for at in range(4)]
    text = "".join(pages)
    marks = [(offset, str(page)) for page, offset in enumerate(offsets, 1)]
    found = chunk([Segment(text, unit="page", marks=marks)])
    assert len(found) > 2
    assert any("-" in piece.locator for piece in found)
    for piece in found:
        at = text.index(piece.text)
        first, last = (max(n for n, o in enumerate(offsets, 1) if o <= end) for end in (at, at + len(piece.text) - 1))
        assert piece.locator == (f"page {first}" if first == last else f"pages {first}-{last}")


@given(DOCUMENTS)
@settings(deadline=None)
def test_plain_text_is_loaded_without_loss_of_words(text: str) -> None:
    text = re.sub(r"[QA]: |1\. ", "", clean(text))
    try:
        segments = segments_in("a.txt", text.encode())
    except LoadError:
        segments = []
    kept = letters("".join((s.question or "") + s.text for s in segments))
    assert kept == letters(text)


@given(st.text(), st.sampled_from(["plain", "markdown"]), st.booleans())
@settings(deadline=None)
def test_chunking_loses_no_words(text: str, markup: Markup, is_long: bool) -> None:
    text = clean(text) * (100 if is_long else 1)
    found = chunk([Segment(text, line=1, markup=markup)])
    assert letters("".join(c.text for c in found)) == letters(text)
    assert all(letters(c.text) or any(ord(char) > 0x2600 for char in c.text) for c in found)
