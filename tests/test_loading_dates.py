import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.loading.dates import parse_date


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05",
        "2024.3.5",
        "2024/3/5",
        "2024. 3. 5.",
        "2024년 3월 5일",
        "2024.03.05(화)",
        "2024년 3월 5일 화요일",
        "20240305",
    ],
)
def test_a_date_comes_out_in_iso_form(text: str) -> None:
    assert parse_date(f" {text} ") == "2024-03-05"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-03-05 20:34", "2024-03-05T20:34:00"),
        ("2024년 3월 5일 오후 8:34", "2024-03-05T20:34:00"),
        ("2024년 3월 5일 오후 8시 34분", "2024-03-05T20:34:00"),
        ("2024. 3. 5. 오전 12:05", "2024-03-05T00:05:00"),
        ("2024-03-05 8:34:09 pm", "2024-03-05T20:34:09"),
        ("2024-03-05T10:20:30Z", "2024-03-05T10:20:30+00:00"),
        ("2024-03-05 10:20:30 UTC", "2024-03-05T10:20:30+00:00"),
        ("2024-03-05T10:20:30.1234567+09:00", "2024-03-05T10:20:30+09:00"),
        ("2024-03-05 10:20:30+0900", "2024-03-05T10:20:30+09:00"),
        ("2024-03-05 10:20:30+09", "2024-03-05T10:20:30+09:00"),
        ("1709600000", "2024-03-05T00:53:20+00:00"),
        ("1709600000.123", "2024-03-05T00:53:20+00:00"),
        ("1709600000123", "2024-03-05T00:53:20+00:00"),
    ],
)
def test_a_time_keeps_its_zone_or_has_none(text: str, iso: str) -> None:
    assert parse_date(text) == iso


@pytest.mark.parametrize(
    "text", ["", "어제", "5/3/2024", "2024-02-31", "2024-03-05 25:00", "12345", "2024-03", "99999999"]
)
def test_what_is_no_date_gives_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.datetimes(), st.sampled_from(["T", " "]))
@settings(deadline=None)
def test_iso_datetimes_are_kept_to_the_second(moment: object, separator: str) -> None:
    text = str(moment).replace(" ", separator)
    assert parse_date(text) == text.replace(" ", "T").partition(".")[0]


@given(st.text(st.sampled_from("0123456789-./: 년월일TZ+오전후APM")))
@settings(deadline=None)
def test_nothing_that_looks_like_a_date_raises(text: str) -> None:
    parse_date(text)
