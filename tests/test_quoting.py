from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from persona_cli.embedding import LocalEmbedder
from persona_cli.models import Chunk, ChunkId, Matrix, Passage, StoredChunk, Vector
from persona_cli.quoting import (
    MARGIN,
    MAX_SENTENCES,
    QUOTE_COLUMNS,
    best_run,
    nearest_words,
    quote,
)
from persona_cli.sentences import split_sentences

SPREAD = 0.03
"""About what the similarities of a question with real stores vary by."""


def passage(chunk: Chunk) -> Passage:
    return Passage(StoredChunk(ChunkId(1), "interview.md", chunk), 0.9, -1.0, 0.5, 9.0)


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def quotation(question: str, text: str, embedder: LocalEmbedder) -> str:
    return quote(question, embedder.embed_question(question), passage(Chunk(text, "lines 1-9")), embedder, SPREAD)


@pytest.mark.parametrize(
    "sentences",
    [
        # Korean
        ["방송은 아홉 시에 켜요.", "끝은 늦어도 한 시예요.", "옆집도 자야 되잖아요!"],
        ["정말요?", "네!", "그래요?!", "아뇨…", "몰라요."],
        ["음...", "글쎄요."],
        ["“일찍 자라.”", "그래서 네 하고 잤어요."],
        ["그랬어요.", "(웃음) 지금은 아니에요."],
        ["그는 “이제 가자.”라고 했다.", "모두 일어섰다."],
        ["그는 “이제 가자.” 라고 했다.", "모두 일어섰다."],
        ["'쉼표'라고 써서 붙여 놨어요.", "다들 웃었어요."],
        # English
        ["I moved in November.", "Why?", "The room was damp!", "So there…", "Fine."],
        ['He said "Go."', "Then he left."],
        ["“Stop!” he cried.", "Nobody did."],
        ["I like tea (green, mostly.)", "You know that."],
        ["So did I.", "Then we left."],
        ["No.", "I never did."],
        # Chinese and Japanese need no space
        ["我搬家了。", "为什么？", "因为太潮湿！", "现在很好。"],
        ["他说：「走吧。」", "然后走了。"],
        ["真的吗？！", "是的。"],
        ["引っ越しました。", "本当ですか？", "はい。"],
        # mixed
        ["BTS 좋아해요.", "Really?", "네。", "我也是。"],
    ],
    ids=lambda sentences: sentences[0],
)
def test_sentences_are_told_apart(sentences: list[str]) -> None:
    unspaced = all(sentence[-1] in "。？！」" for sentence in sentences)
    assert split_sentences(("" if unspaced else " ").join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentence",
    [
        "Mr. Kim and Dr. Lee met Mrs. Park at St. Paul.",
        "I left the U.S. Army in spring.",
        "J. K. Rowling wrote it.",
        "We start at 9 a.m. sharp.",
        "Pets, e.g. Cats, i.e. Boryu, are welcome.",
        "It is 3.5 km, or 2.2 miles.",
        "See No. 5 and Fig. 2 on pp. 10 to 12.",
        "방송은 2024. 3. 5. 밤에 했어요.",
        "2024. 3. 5.에 시작해서 2024. 12. 31.에 끝났어요.",
        "2024. 3. 방송분에서 말했어요.",
        "몸무게가 3.5kg 늘었어요.",
        "www.example.com/a?b=c!d 에 있어요.",
        "1. 첫째는 느리게 말하기예요.",
        "What?No space, no end.",
        "12:30. 5분 뒤에 봐요.",
    ],
)
def test_what_looks_like_an_end_and_is_none_does_not_cut(sentence: str) -> None:
    assert split_sentences(sentence) == [sentence]
    assert split_sentences(f"Before. {sentence} After.") == ["Before.", sentence, "After."]


def test_the_items_of_a_list_keep_their_numbers() -> None:
    assert split_sentences("1. 천천히. 2. 다시 한 번.\n3. 끝.") == ["1. 천천히.", "2. 다시 한 번.", "3. 끝."]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\t\n ", []),
        ("...", ["..."]),
        ("끝", ["끝"]),
        ("점심은\n국수\n\n저녁은\n밥", ["점심은", "국수", "저녁은", "밥"]),
        ("- 하나\n- 둘", ["- 하나", "- 둘"]),
    ],
)
def test_lines_are_told_apart_too(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_a_line_broken_by_its_width_is_no_end() -> None:
    text = (
        "I moved the studio in November because the old one was far too\n"
        "damp. The upstairs neighbour, who practised the trombone every\n"
        "evening, did not help.\n"
        "- And this is a list, whose lines may be as wide as the others\n"
        "- so that width alone does not tell\n\n"
        "The end."
    )
    assert split_sentences(text) == [
        "I moved the studio in November because the old one was far too\ndamp.",
        "The upstairs neighbour, who practised the trombone every\nevening, did not help.",
        "- And this is a list, whose lines may be as wide as the others",
        "- so that width alone does not tell",
        "The end.",
    ]


prose = st.lists(
    st.sampled_from([*'가b1 .!?…。！？\n"”)」-', "Mr", "No", "2024", "라고", "말 " * 40]), max_size=40
).map("".join)


@settings(deadline=None)
@given(prose | st.text())
@example("“")
@example(".”\n")
@example("。」」")
def test_splitting_loses_and_adds_nothing(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() and sentence in text for sentence in sentences)


runs = st.lists(st.tuples(st.floats(-50, 50), st.integers(1, QUOTE_COLUMNS * 2)), min_size=1, max_size=MAX_SENTENCES)


@settings(deadline=None)
@given(runs)
def test_a_run_holds_the_best_and_only_what_is_nearly_as_good_and_fits(pairs: list[tuple[float, int]]) -> None:
    scores, lengths = [score for score, _ in pairs], [length for _, length in pairs]
    first, last = best_run(scores, lengths)
    best = max(scores)
    assert 0 <= first <= scores.index(best) <= last < len(scores)
    assert min(scores[first : last + 1]) >= best - MARGIN
    assert first == last or sum(lengths[first : last + 1]) <= QUOTE_COLUMNS


@settings(deadline=None)
@given(runs)
def test_a_run_could_not_have_taken_another_neighbour(pairs: list[tuple[float, int]]) -> None:
    scores, lengths = [score for score, _ in pairs], [length for _, length in pairs]
    first, last = best_run(scores, lengths)
    room = QUOTE_COLUMNS - sum(lengths[first : last + 1])
    for at in (first - 1, last + 1):
        assert not (0 <= at < len(scores) and scores[at] >= max(scores) - MARGIN and lengths[at] <= room)


def test_a_run_prefers_what_follows() -> None:
    half = QUOTE_COLUMNS // 2
    assert best_run([1, 1.5, 1], [half, half, half]) == (1, 2)


PARAGRAPHS = [
    (
        "11월에 작업실을 옮겼어요. 예전 방은 습하고 윗집에서 트롬본을 불었거든요. 고양이 보류는 이사하는 날 싱크대 "
        "밑에 숨었어요. 새 작업실은 빵집 위층이라 한 달에 2kg씩 쪄요. 방송은 여전히 화요일 밤 9시에 켜요.",
        {
            "고양이는 이사할 때 어디 있었어요?": "싱크대 밑에 숨었어요",
            "윗집에서는 뭘 했어요?": "윗집에서 트롬본을 불었거든요",
            "방송은 무슨 요일에 해요?": "화요일 밤 9시에 켜요",
            "새 작업실은 어디예요?": "빵집 위층이라",
        },
    ),
    (
        "I moved the studio in November. The old room was damp and Mr. Kim upstairs practised the trombone. My cat hid "
        "under the sink on moving day. The new one is above a bakery, so I gain 2.5 kilos a month. I still stream on "
        "Tuesdays at nine.",
        {
            "Where was the cat when you moved?": "My cat hid under the sink on moving day.",
            "What was wrong with the old room?": "The old room was damp and Mr. Kim upstairs practised the trombone.",
            "On which days do you stream?": "I still stream on Tuesdays at nine.",
            "이사하는 날 고양이는 뭐 했어요?": "My cat hid under the sink on moving day.",
        },
    ),
    (
        "我十一月搬了工作室。以前的房间很潮湿，楼上的邻居天天吹长号。搬家那天我的猫躲在水槽下面。新的工作室在面包店楼上。",
        {"搬家那天猫在哪里？": "搬家那天我的猫躲在水槽下面。", "新的工作室在哪里？": "新的工作室在面包店楼上。"},
    ),
]


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [(text, question, answer) for text, cases in PARAGRAPHS for question, answer in cases.items()],
)
def test_the_sentence_that_answers_is_quoted_out_of_its_paragraph(
    embedder: LocalEmbedder, text: str, question: str, answer: str
) -> None:
    quoted = quotation(question, text, embedder)
    assert answer in quoted
    assert quoted in text
    assert len(quoted) < len(text)
    assert cell_len(quoted) <= QUOTE_COLUMNS + 10


def test_a_quotation_keeps_the_marks_and_the_lines_of_its_source(embedder: LocalEmbedder) -> None:
    text = 'She asked why.\n"Because I am slow."\n(That was all.) Nobody laughed at the crane.'
    assert quotation("Why?", text, embedder) in text


def test_a_pair_is_answered_by_its_recorded_answer_alone(embedder: LocalEmbedder) -> None:
    chunk = Chunk("보류예요. 병원 접수대에서 정해졌어요.", "line 3", "고양이 이름이 뭐예요?")
    vector = embedder.embed_question("고양이 이름?")
    assert quote("고양이 이름?", vector, passage(chunk), embedder, SPREAD) == chunk.text


@pytest.mark.parametrize("text", ["보류예요", "보류예요.", "\n 보류예요. \n"])
def test_a_single_sentence_is_quoted_as_it_is(embedder: LocalEmbedder, text: str) -> None:
    assert quotation("고양이 이름?", text, embedder) == text


@pytest.mark.parametrize("question", ["?!", "🦆", " "])
def test_a_question_without_a_token_still_gets_a_quotation(embedder: LocalEmbedder, question: str) -> None:
    text = "작업실을 옮겼어요. 고양이는 숨었어요."
    assert quotation(question, text, embedder) in text


class Counting:
    """An embedder that notes how many texts it was given."""

    model = "counting"
    batch_chars = 1_000
    by_sentence = False

    def __init__(self) -> None:
        self.embedded = 0

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        self.embedded += len(texts)
        return np.ones((len(texts), 1), np.float32)

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        raise AssertionError("quoting embeds no questions")

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        raise AssertionError("quoting embeds no questions")


def test_a_long_passage_costs_a_bounded_number_of_embeddings() -> None:
    embedder = Counting()
    text = "천천히 말해요. " * 10_000
    quote("왜?", np.ones(1, np.float32), passage(Chunk(text, "lines 1-9")), embedder, SPREAD)
    assert embedder.embedded == MAX_SENTENCES


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (Chunk("보류예요. 왜냐면요.", "line 3", "고양이 이름이 뭐예요?"), "고양이 이름이 뭐예요?"),
        (Chunk("Mr. Kim moved. I did not.", "line 3"), "Mr. Kim moved."),
        (Chunk("끝", "line 3"), "끝"),
        (Chunk("...", "line 3"), "..."),
        (Chunk(" ", "line 3"), " "),
    ],
)
def test_the_nearest_words_are_the_question_or_the_first_sentence(chunk: Chunk, words: str) -> None:
    assert nearest_words(chunk) == words
