import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.chunking import chunk
from persona_cli.models import Segment
from persona_cli.redaction import Redactor, redact

MASK = re.compile(r"\[[a-z가-힣 ]+\]")


@pytest.mark.parametrize(
    "number",
    [
        *("010-1234-5678", "010 1234 5678", "01012345678", "010.1234.5678", "010 - 1234 - 5678", "011-123-4567"),
        *("+82 10-1234-5678", "+82 (0)10-1234-5678", "+821012345678", "82-10-1234-5678", "(010) 1234-5678"),
        *("０１０－１２３４－５６７８", "010–1234–5678", "010‑1234‑5678", "010\u00a01234\u00a05678"),
        *("02-123-4567", "02)123-4567", "(02) 1234-5678", "031-123-4567", "02 1234567", "+82 2 123 4567"),
        *("070-1234-5678", "0505-123-4567", "080-123-4567", "1588-1234", "1670-0000"),
        *("+1 415 555 0100", "+14155550100", "(415) 555-0100", "415-555-0100", "1-415-555-0100"),
        *("+44 20 7946 0958", "+81-3-1234-5678", "+49 (0)30 123456"),
    ],
)
def test_telephone_numbers_are_masked(number: str) -> None:
    assert redact(f"Call {number}.") == "Call [phone]."
    assert redact(f"제 번호는{number}이에요") == "제 번호는[전화번호]이에요"


@pytest.mark.parametrize(
    "number",
    ["900101-1234567", "900101 1234567", "9001011234567", "900101 - 5234567", "040229-3234567", "900101-1******"],
)
def test_resident_registration_numbers_are_masked(number: str) -> None:
    assert redact(f"ID {number}") == "ID [id number]"
    assert redact(f"주민번호{number}번") == "주민번호[주민등록번호]번"


@pytest.mark.parametrize(
    "address", ["a.b@c.co.kr", "user+tag@mail.example.com", "ｕｓｅｒ＠mail.example", "A_1-2@X-Y.ORG"]
)
def test_mail_addresses_are_masked(address: str) -> None:
    assert redact(f"Write to {address}.") == "Write to [email]."
    assert redact(f"메일은{address}입니다") == "메일은[이메일]입니다"


@pytest.mark.parametrize(
    "number",
    [
        *("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111", "3782 822463 10005", "3056-930902-5904"),
        *("4222222222222", "6212345678901234569", "４１１１－１１１１－１１１１－１１１１"),
    ],
)
def test_card_numbers_are_masked(number: str) -> None:
    assert redact(f"{number} 12/29") == "[card] 12/29"
    assert redact(f"카드 {number}로") == "카드 [카드번호]로"


def test_what_follows_a_card_number_is_left() -> None:
    assert redact("4111 1111 1111 1111 123") == "[card] 123"


@pytest.mark.parametrize(
    "number",
    [
        *("110-123-456789", "3333-01-1234567", "123456-01-123456", "1002-123-456789", "301-1234-5678-91"),
        *("123-910123-12345", "1000-1234-5678", "123-12-123456"),
    ],
)
def test_account_numbers_are_masked(number: str) -> None:
    assert redact(f"To {number}, please") == "To [account], please"
    assert redact(f"신한 {number}으로") == "신한 [계좌번호]으로"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("국민은행 12345678901234 앞으로", "국민은행 [계좌번호] 앞으로"),
        ("계좌번호는 1234567890 입니다", "계좌번호는 [계좌번호] 입니다"),
        ("카카오뱅크 3333 01 1234567 12만원", "카카오뱅크 [계좌번호] 12만원"),
        ("302123456789(농협)", "[계좌번호](농협)"),
        ("account no. 12345678901", "account no. [account]"),
    ],
)
def test_digits_beside_the_word_for_a_bank_are_an_account_number(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05", "2024.03.05", "2024-03-05 12:30:45", "2026-11-22T18:02:00", "2024-03-05-1234567", "20240305"),
        *("12:30", "오후 2:10:30", "12,000원", "1억 2000만", "1,234,567,890", "10000000000원", "3.14159265"),
        *("1592-1598년", "1599-1601", "2023-2024", "v1.2.3", "192.168.0.100", "1-2-3-4-5-6", "100-200"),
        *("978-89-01-23456-7", "9788901234567", "979-11-1234-567-8", "ISBN 89-01-23456-7", "8801043014830"),
        *("주문번호 20240305123", "20240305-001", "1709629845123", "접수 123456789", "900132-1234567"),
        *("4111 1111 1111 1112", "계좌에 10000000000원 있다", "우리 100명", "user@host", "@두루 안녕", "골목 @ 하천"),
        *("하나, 둘, 셋", "The bank holds 12,000 people", "[전화번호]", "[card]", "12345678901234567890123"),
    ],
)
def test_other_numbers_are_left(text: str) -> None:
    assert redact(text, ["김여울"]) == text


@pytest.mark.parametrize(
    ("name", "text", "masked"),
    [
        ("김여울", "여울아, 김여울은 왔어?", "[이름]아, [이름]은 왔어?"),
        ("김여울", "여울이가 여울님이랑 여울씨한테는", "[이름]이가 [이름]님이랑 [이름]씨한테는"),
        ("김여울", "오늘은여울목에서 한참여울을 봤다", "오늘은여울목에서 한참여울을 봤다"),
        ("김 여울", "여울! 김여울이야", "[이름]! [이름]이야"),
        ("여울 (회사)", "김여울 팀장, 여울이에요", "[이름] 팀장, [이름]이에요"),
        ("여울🌊", "여울아", "[이름]아"),
        ("박지원", "지원아, 고객지원 지원금 지원해 줘", "[이름]아, 고객지원 지원금 지원해 줘"),
        ("남궁서리", "서리야 남궁서리씨", "[이름]야 [이름]씨"),
        ("두루미모임장", "두루미모임장님", "[이름]님"),
        ("Alice Kim", "ALICE, alice kim and Kim's malice", "[name], [name] and [name]'s malice"),
        ("Alice Kim", "Ａｌｉｃｅ가 왔다, 알리스도", "[이름]가 왔다, 알리스도"),
        ("Bo Li", "Bo Li and Bob met Bo", "[name] and Bob met Bo"),
        ("王小明", "王小明さん", "[name]さん"),
        *(
            (name, "Q는 솔이 ㅋㅋ Speaker 010", "Q는 솔이 ㅋㅋ Speaker 010")
            for name in ("Q", "솔", "ㅋㅋ", "Speaker 2", "🌊")
        ),
    ],
)
def test_names_of_others_are_masked_and_what_clings_to_them_is_left(name: str, text: str, masked: str) -> None:
    assert redact(text, [name]) == masked


def test_a_segment_is_masked_and_its_places_stay() -> None:
    lines = ["여울이가 물었다", "010-1234-5678?", "", "네, a@b.example로", "끝"]
    text = "\n".join(lines)
    marks = [(0, "3"), (0, "5"), *((at.end(), str(n)) for n, at in enumerate(re.finditer("\n", text), 6))]
    segment = Segment(text, question="김여울이에요?", unit="line", marks=marks, heading="김여울 님과", speaker="두루")
    masked = Redactor(["김여울"]).mask(segment)
    assert masked.text.split("\n") == ["[이름]이가 물었다", "[전화번호]?", "", "네, [이메일]로", "끝"]
    assert (masked.question, masked.heading, masked.speaker) == ("[이름]이에요?", "[이름] 님과", "두루")
    assert [(label, masked.text[at:].split("\n")[0]) for at, label in masked.marks[1:]] == [
        (label, line) for (_, label), line in zip(marks[1:], masked.text.split("\n"), strict=True)
    ]
    assert [piece.locator for piece in chunk([masked])] == ["[이름] 님과, lines 3-9"]


def test_a_mark_within_what_is_masked_stands_before_the_mask() -> None:
    segment = Segment("call 010-1234-5678 now", marks=[(0, "1"), (9, "2"), (19, "3")])
    assert Redactor().mask(segment).marks == [(0, "1"), (5, "2"), (13, "3")]


NAMES = ["김여울", "남궁서리", "Alice Kim", "여울", "이랑", "하고", "두루미", "Bo", "王小明", "김Bo", "이름", "card"]
PIECES = st.one_of(
    st.sampled_from(
        [
            *NAMES,
            *("010-1234-5678", "01012345678", "02 123 4567", "+82 10", "+1 415 555 0100", "1588-1234", "(02)"),
            *("900101-1234567", "4111 1111 1111 1111", "4111-1111-1111-1111", "110-123-456789", "3333-01-1234567"),
            *(
                "a.b@c.co.kr",
                "@",
                "국민은행",
                "계좌",
                "123",
                "1234567890",
                "-",
                " ",
                " 1",
                ".",
                "\n",
                "[이름]",
                "[phone]",
            ),
            *("야", "이랑", "는", "님", "가", "bob", "]", "[", "０１０", "–"),
        ]
    ),
    st.text(max_size=3),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS, st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), max_size=4))
@settings(deadline=None, max_examples=500)
def test_masking_twice_is_masking_once(text: str, names: list[str]) -> None:
    redactor = Redactor(names)
    once = redactor.redact(text)
    assert redactor.redact(once) == once
    assert once.count("\n") == text.count("\n")


@given(TEXTS, st.sampled_from(["김여울", "남궁서리", "두루미", "王小明", "여울목 사람"]), TEXTS)
@settings(deadline=None)
def test_no_listed_name_survives(before: str, name: str, after: str) -> None:
    assert name not in MASK.sub("[]", redact(f"{before}{name}{after}", [name]))


@given(TEXTS, st.sampled_from(["김여울 씨", "여울아", "alice", "Kim Alice", "010-1234-5678", "a@b.example"]), TEXTS)
@settings(deadline=None)
def test_what_stands_by_itself_never_survives(before: str, told: str, after: str) -> None:
    masked = redact(f"{before}\n{told}\n{after}", ["김여울", "Alice Kim"]).split("\n")[before.count("\n") + 1]
    assert MASK.search(masked)
    assert not re.search("여울|alice|kim|5678|@", masked, re.IGNORECASE)


@pytest.mark.parametrize(
    "piece",
    [
        *("1234567890", "12-", "1 ", "-", "+1", "+1 ", "a@", "a.", "a@b.1", "은행 ", "은행 1", "(", "1234 ", "123456-"),
        *("123456-1 ", "여울", "여울이", "여울 ", "김여", "alice", "[phone", "02 ", "0", "010-1234-5678 "),
    ],
)
def test_time_grows_with_the_text_only(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    redact(text, ["김여울", "Alice Kim"])


def test_thousands_of_names_are_no_slower_than_two() -> None:
    syllables = [chr(code) for code in range(ord("가"), ord("힣"), 37)]
    pick = random.Random(7)
    names = ["김" + "".join(pick.choices(syllables, k=2)) for _ in range(5_000)]
    redactor = Redactor([*names, "김여울"])
    assert redactor.redact("오늘은 하천을 걸었어요. 여울이랑요. " * 20_000).count("[이름]") == 20_000
