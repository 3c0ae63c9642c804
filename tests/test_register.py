from pathlib import Path

import pytest

from persona_cli.persona.register import ending_of, register_of

DATA = Path(__file__).parent / "data"


def labelled(name: str) -> list[tuple[str, str]]:
    """Label, "none" where nothing tells a register, and sentence."""
    rows = [line.split("\t") for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    return [(label, sentence) for label, sentence in rows]


@pytest.mark.parametrize(("name", "count", "each"), [("registers.tsv", 300, 65), ("registers_heldout.tsv", 100, 21)])
def test_it_agrees_with_hand_labels(name: str, count: int, each: int) -> None:
    rows = labelled(name)
    assert len(set(rows)) == count
    assert all(sum(1 for label, _ in rows if label == told) == each for told in ("hapsyo", "haeyo", "banmal", "plain"))
    wrong = [(label, register_of(text), text) for label, text in rows if (register_of(text) or "none") != label]
    assert len(wrong) <= 0.05 * count, wrong


@pytest.mark.parametrize(
    ("sentence", "register"),
    [
        ("했엌ㅋㅋㅋ", "banmal"),
        ("부엌", None),
        ("감사합니다아아아~~~", "hapsyo"),
        ("뭐야 이게 ㅋㅋ", "banmal"),
        ("안녕하세요 여러분!", "haeyo"),
        ("그냥 걸어요, 날이 좋으니까.", "haeyo"),
        ("그는 '가지 마'라고 했다.", "plain"),
        ("집에 갑니다(웃음)", "hapsyo"),
        ("좋아요 lol", "haeyo"),
        ("ㅋ" * 100_000, None),
        ("(" * 100_000 + "가자", "banmal"),
        ("", None),
        ("I went there.", None),
        ("そうですね。", None),
    ],
)
def test_what_is_typed_around_an_ending_does_not_hide_it(sentence: str, register: str | None) -> None:
    assert register_of(sentence) == register


@pytest.mark.parametrize(
    ("sentence", "shape"),
    [
        ("그렇더라고요.", "-더라고요"),
        ("비가 옵니다!", "-ㅂ니다"),
        ("비가 왔습니다.", "-습니다"),
        ("이따 갈게 ㅎㅎ", "-ㄹ게"),
        ("문을 닫았다.", "-았다"),
    ],
)
def test_the_ending_is_told_in_the_shape_that_grammars_give_it(sentence: str, shape: str) -> None:
    ending = ending_of(sentence)
    assert ending
    assert ending.shape == shape
