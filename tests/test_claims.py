import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.claims import unsupported

DATA = Path(__file__).parent.parent / "benchmarks" / "data" / "claims.jsonl"
LONG = 100_000


def flagged(answer: str, *evidence: str) -> list[str]:
    return [answer[start:end] for start, end in unsupported(answer, evidence)]


@pytest.mark.parametrize(
    ("spellings", "another"),
    [
        (["1200개", "1,200개", "천이백 개", "1.2천 개", "１２００개", "twelve hundred", "1.2k"], "1300개"),
        (["35,000원", "3만 5천 원", "3.5만 원", "삼만 오천 원", "35k", "thirty-five thousand"], "3만 6천 원"),
        (["스물다섯 살", "이십오 세", "25살", "twenty-five"], "스물여섯 살"),
        (["세 명", "3명", "셋이서", "three people"], "네 명"),
        (["두 시간 반", "2시간 30분", "150분", "two and a half hours"], "세 시간 반"),
        (["사흘 동안", "3일 동안", "for 3 days"], "나흘 동안"),
        (["2024년 3월 5일", "2024-03-05", "2024. 3. 5.", "March 5, 2024", "5th of March 2024"], "2024년 3월 6일"),
        (["오후 3시 반", "15:30", "3:30 pm", "세 시 반", "half past three"], "오후 4시 반"),
        (["화요일과 목요일", "화·목", "on Tuesday and Thursday", "Tue/Thu"], "금요일"),
        (["nineteen ninety-eight", "1998", "천구백구십팔 년"], "1997"),
        (["70%", "칠십 퍼센트", "seventy percent"], "80%"),
    ],
)
def test_a_quantity_is_the_same_in_every_spelling(spellings: list[str], another: str) -> None:
    for told in spellings:
        assert [flagged(f"It was {answer}.", f"그건 {told}") for answer in spellings] == [[]] * len(spellings), told
        assert flagged(another, f"그건 {told}")


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("2024년이었어요.", "2024-03-05 면접"),
        ("It was in March.", "2024-03-05 interview"),
        ("2024년 3월 5일이에요.", "그해 3월 5일, 2024년이었다"),
        ("20대에 썼어요.", "스물네 살에 쓴 글"),
        ("거의 1,200명이 왔어요.", "1,187명"),
        ("민수 형이랑 부산에서요.", "부산광역시에서 민수와"),
        ("“느리게, 가도 닿는다”고요.", "느리게 가도  닿는다!"),
        ("Ann's book, The Slow Train, and the Norwegians.", "Ann wrote the slow train in Norway"),
    ],
)
def test_a_part_or_a_rewording_of_what_was_told_is_borne_out(answer: str, evidence: str) -> None:
    assert flagged(answer, evidence) == []


@pytest.mark.parametrize(
    "answer",
    [
        "한 번 더요. 하나도 몰랐고, 한마디로 그랬어요. 두 번째로 중요한 건 잠이에요."
        " 두 번 다시 안 해요. 천만에요, 만일 그렇다면요.",
        "이 일은 사실 이상해요. 다시 도시로 갔고 친구는 연구를 했죠."
        " 친한 형도 사장님도 손님도 날씨도 좋았어요. PC방도 갔고요.",
        "1. 먼저 봅니다. [1]\n2. 기다립니다. [2, 3]",
        "One of the best, for one thing. Second, no one knew."
        " I said it a thousand times. 24/7! Well, Mum may march on.",
        "",
    ],
)
def test_idioms_and_common_words_claim_nothing(answer: str) -> None:
    assert flagged(answer) == []


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        (
            "김민수 씨는 서울대학교에서 《푸른 밤》을 삼백 권 팔았어요. 최 교수님이 GPT4도 봤대요.",
            ["김민수", "서울대학교", "《푸른 밤》", "삼백", "최 교수님", "GPT4"],
        ),
        ("I met Priya Rao in Leeds on 5 May.", ["Priya", "Rao", "Leeds", "5 May"]),
        ("He'd say 'never trust a machine' at 3 pm.", ["'never trust a machine'", "3 pm"]),
    ],
)
def test_without_evidence_every_claim_is_unsupported(answer: str, claims: list[str]) -> None:
    assert flagged(answer) == claims


def test_names_are_not_compared_with_evidence_in_another_script() -> None:
    assert flagged("I met Minsu in Busan.", "부산에서 민수를 만났다") == []
    assert flagged("I met Minsu in 1999.", "부산에서 민수를 만났다") == ["1999"]


def test_spans_are_those_of_the_answer_as_it_came() -> None:
    answer = unicodedata.normalize("NFD", "카페에서 김민수 씨가 ㎞를 ３０번 쟀어요.")
    assert [unicodedata.normalize("NFC", span) for span in flagged(answer, "가")] == ["김민수", "３０"]


@given(st.text(alphabet="가나민수씨역동시월일이천만 \"'“”‘1,.:/-ABab\n\u0301\u1100\u1161½", max_size=60))
def test_spans_ascend_and_an_answer_bears_itself_out(text: str) -> None:
    ends = [0, *(place for span in unsupported(text, []) for place in span), len(text)]
    assert ends == sorted(ends)
    assert unsupported(text, [text]) == []


@pytest.mark.parametrize(
    "unit",
    [
        '"',
        "“",
        "'a ",
        "1,",
        "1",
        "만",
        "천 이",
        "one hundred and ",
        "Ab ",
        "가동 ",
        "March 5 ",
        "月·월",
        "\u0301",
        "ᄒ",
    ],
)
def test_hostile_answers_end(unit: str) -> None:
    text = unit * (LONG // len(unit))
    unsupported(text, [text])


def test_planted_mistakes_are_found_and_little_else() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for line in DATA.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        answer, group = case["answer"], f"{case['language']} {case['split']}"
        wrong = [(answer.index(span), answer.index(span) + len(span)) for span in case["wrong"]]
        found = unsupported(answer, case["evidence"])
        counts[group, "found"] += len(found)
        counts[group, "right"] += sum(any(s < end and start < e for s, e in wrong) for start, end in found)
        counts[group, "wrong"] += len(wrong)
        counts[group, "caught"] += sum(any(s < end and start < e for s, e in found) for start, end in wrong)
    for group in {group for group, _ in counts}:
        assert counts[group, "right"] >= 0.95 * counts[group, "found"], group
        assert counts[group, "caught"] >= 0.95 * counts[group, "wrong"], group
