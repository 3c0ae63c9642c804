import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.sentences import piece_spans, split_pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("천천히 말해요. 급하게 대답하면 꼭 남의 우산을 내주게 되더라고요.", 1),  # too short to stand alone
        ("급하게 대답하면 꼭 남의 우산을 내주게 되더라고요. 반 박자만 늦게 대답하면 제대로 찾아 드려요.", 2),
        ("I moved the studio in November. The old room was damp all year round. Sold.", 2),
        ("네.", 1),
        ("", 1),
    ],
)
def test_prose_is_embedded_by_its_sentences_but_not_by_the_shortest(text: str, pieces: int) -> None:
    assert len(split_pieces(text)) == pieces


def test_a_run_of_short_sentences_is_many_pieces() -> None:
    assert len(split_pieces("천천히 말해요. " * 100)) == 50


@given(st.text(st.sampled_from("가나 .!?\n")))
def test_pieces_hold_all_that_is_said_in_its_order(text: str) -> None:
    spans = piece_spans(text)
    assert spans == sorted(spans)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
