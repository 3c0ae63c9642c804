import json
import unicodedata
from typing import Any

import pytest

from persona_cli.chunking import chunk
from persona_cli.errors import LoadError
from persona_cli.loading import load
from persona_cli.loading.chats import telegram
from persona_cli.models import Dialogue, Segment
from persona_cli.testimony import fold_name, words_of
from tests.dialogues import chunks_in, place_of, said_in, words_in

Fields = dict[str, Any]

NOON = 1_704_164_400
"""2 January 2024, 12:00 in Seoul."""


def message(number: int, text: object, sender: str = "자두", minute: int = 0, **more: object) -> Fields:
    """A message as Telegram Desktop writes it in Seoul."""
    plain = [{"type": "plain", "text": text}] if isinstance(text, str) and text else []
    return {
        "id": number,
        "type": "message",
        "date": f"2024-01-02T{12 + minute // 60:02}:{minute % 60:02}:00",
        "date_unixtime": str(NOON + 60 * minute),
        "from": sender,
        "from_id": f"user{sum(map(ord, sender))}",
        "text": text,
        "text_entities": plain,
        **more,
    }


def chat(*messages: Fields, name: str | None = "밥 모임", number: int = 7) -> Fields:
    return {"name": name, "type": "private_group", "id": number, "messages": list(messages)}


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


GROUP = chat(
    {**message(1, "", minute=0), "type": "service", "actor": "자두", "action": "create_group", "title": "밥 모임"},
    message(2, "내일 뭐 먹지?", "여울", 1),
    message(3, ["국밥 어때, ", {"type": "bold", "text": "얼큰하게"}, "\n\n사거리에서"], minute=2, text_entities=[]),
    message(4, "", minute=3, photo="photos/1.jpg"),
    message(5, "국밥집 사진이야", minute=3, photo="photos/2.jpg"),
    message(6, "오늘의 운세: 좋음", minute=4, forwarded_from="운세 채널"),
    message(7, "오늘의 운세: 나쁨", minute=4, forwarded_from=None),
    message(8, "움짤", minute=4, via_bot="@gif"),
    message(9, "난 매운 거 못 먹어", "한별", 20),
    message(10, "그럼 순한 맛으로 하자", minute=30, reply_to_message_id=2),
    message(11, "운세가 왜 저래", minute=31, reply_to_message_id=6),
    message(12, "참고로 거기 카드 안 돼", minute=32, reply_to_message_id=10),
    {"id": 13, "type": "unsupported"},
)


def assert_found(data: bytes, person: str) -> None:
    """Every word of every chunk is in the messages whose ids the chunk names, and those are in the file."""
    value = json.loads(data)
    chats = {value.get("name"): value["messages"]} if "messages" in value else {}
    for part in ("chats", "left_chats"):
        chats |= {chat["name"]: chat["messages"] for chat in value.get(part, {}).get("list", [])}
    for piece in chunks_in("result.json", data, person):
        first, last = place_of(piece)
        messages = chats[piece.locator.rpartition(", ")[0]]
        standing = [json.dumps(fields, ensure_ascii=False) for fields in messages if first <= fields["id"] <= last]
        answered = [fields["reply_to_message_id"] for fields in messages if "reply_to_message_id" in fields]
        replied = [json.dumps(fields, ensure_ascii=False) for fields in messages if fields["id"] in answered]
        assert standing
        assert all(word in "\n".join(standing + replied) for word in words_in(piece))
        assert piece.text.split()[-1] in standing[-1]


def test_a_chat_gives_what_each_wrote_themselves() -> None:
    assert said_in("result.json", dump(GROUP)) == [
        ("여울", "2024-01-02T12:01:00+09:00", "내일 뭐 먹지?"),
        ("자두", "2024-01-02T12:02:00+09:00", "국밥 어때, 얼큰하게\n\n사거리에서"),
        ("자두", "2024-01-02T12:03:00+09:00", "국밥집 사진이야"),
        ("한별", "2024-01-02T12:20:00+09:00", "난 매운 거 못 먹어"),
        ("자두", "2024-01-02T12:30:00+09:00", "그럼 순한 맛으로 하자"),
        ("자두", "2024-01-02T12:31:00+09:00", "운세가 왜 저래"),
        ("자두", "2024-01-02T12:32:00+09:00", "참고로 거기 카드 안 돼"),
    ]


def test_an_answer_carries_what_it_replies_to_and_the_ids_of_its_messages() -> None:
    assert [(c.question, c.text, c.locator) for c in chunks_in("result.json", dump(GROUP), "자두")] == [
        ("내일 뭐 먹지?", "국밥 어때, 얼큰하게\n\n사거리에서\n국밥집 사진이야", "밥 모임, messages 2-5"),
        ("내일 뭐 먹지?", "그럼 순한 맛으로 하자", "밥 모임, message 10"),
        ("오늘의 운세: 좋음", "운세가 왜 저래\n참고로 거기 카드 안 돼", "밥 모임, messages 11-12"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        dump(GROUP),
        ("\ufeff" + dump(GROUP).decode().replace("\n", "\r\n")).encode(),
        json.dumps(GROUP).encode(),
        unicodedata.normalize("NFD", dump(GROUP).decode()).encode(),
        dump(GROUP).decode().encode("cp949"),
    ],
)
def test_a_chat_is_read_in_any_encoding(data: bytes) -> None:
    assert said_in("result.json", data) == said_in("result.json", dump(GROUP))


def test_every_message_a_chunk_names_is_in_the_file() -> None:
    for person in ("자두", "여울", "한별"):
        assert_found(dump(GROUP), person)


def test_nothing_said_in_one_chat_answers_another() -> None:
    export = {
        "about": "Here is the data you requested.",
        "personal_information": {"first_name": "자두"},
        "chats": {
            "about": "This page lists all chats.",
            "list": [
                chat(message(1, "국밥 먹자"), message(2, "몇 시에?", "여울", 1), name="밥 모임", number=7),
                chat(
                    message(3, "책은 다 읽었어", minute=2), message(4, "난 아직", "한별", 3), name="책 모임", number=8
                ),
                chat(message(5, "기억할 것: 우산", minute=4), name=None, number=9),
            ],
        },
        "left_chats": {"list": [chat(message(2, "잘 있어", minute=5), name="옛 모임", number=10)]},
    }
    data = dump(export)
    assert [(c.question, c.text, c.locator) for c in chunks_in("result.json", data, "자두")] == [
        (None, "국밥 먹자", "밥 모임, message 1"),
        (None, "책은 다 읽었어", "책 모임, message 3"),
        (None, "기억할 것: 우산", "private_group, message 5"),
        (None, "잘 있어", "옛 모임, message 2"),
    ]
    export["chats"]["list"][2]["name"] = "private_group"  # type: ignore[index]
    assert_found(dump(export), "자두")


def test_chats_of_one_name_are_told_apart() -> None:
    chats = [chat(message(1, f"안녕 {number}"), number=number) for number in (7, 8)]
    found = chunks_in("result.json", dump({"chats": {"list": chats}}), "자두")
    assert [piece.locator for piece in found] == ["밥 모임 (7), message 1", "밥 모임 (8), message 1"]


def test_people_of_one_name_are_told_apart() -> None:
    messages = [
        message(1, "안녕", from_id="user1"),
        message(2, "나도 자두야", "@자두 ", from_id="user2"),
        message(3, "난 여울", "여울", from_id="user3"),
        message(4, "난 이제 없어", from_id="user4") | {"from": None},
        message(5, "누구지?", from_id=None) | {"from": None},
    ]
    speakers = [speaker for speaker, _, _ in said_in("result.json", dump(chat(*messages)))]
    assert speakers == ["자두 (user1)", "@자두 (user2)", "여울", "user4"]


@pytest.mark.parametrize(
    ("date", "unix", "expected"),
    [
        ("2024-01-02T08:30:00", "1704151800", "2024-01-02T08:30:00+09:00"),
        ("2024-01-02T08:30:00", "1704184200", "2024-01-02T08:30:00+00:00"),
        ("2024-01-02T08:30:00", "1704204000", "2024-01-02T08:30:00-05:30"),
        ("2024-01-02T08:30:00", 1704151800, "2024-01-02T08:30:00+09:00"),
        ("2024-01-02T08:30:00", None, "2024-01-02T08:30:00"),
        ("2024-01-02T08:30:00", "1704151807", "2024-01-02T08:30:00"),
        ("2024-01-02T08:30:00", "0", "2024-01-02T08:30:00"),
        ("2024-01-02T08:30:00", "9" * 40, "2024-01-02T08:30:00"),
        ("0001-01-01T00:00:00", "99999999999", "0001-01-01T00:00:00"),
        ("2024-13-02T08:30:00", "1704151800", None),
        (1704151800, "1704151800", None),
    ],
)
def test_the_zone_is_what_lies_between_the_two_times(date: object, unix: object, expected: str | None) -> None:
    data = dump(chat(message(1, "안녕") | {"date": date, "date_unixtime": unix}))
    assert said_in("result.json", data) == [("자두", expected, "안녕")]


def test_a_reply_in_another_chat_answers_nothing_here() -> None:
    data = dump(
        chat(
            message(1, "여기 말", "여울"),
            message(2, "저기 답", minute=90, reply_to_message_id=1, reply_to_peer_id="channel9"),
        )
    )
    assert [piece.question for piece in chunks_in("result.json", data, "자두")] == [None]


def test_control_characters_that_telegram_writes_in_a_way_of_its_own_are_survived() -> None:
    data = dump(chat(message(1, "첫 줄ABC\\x0B"))).replace(b"ABC", b"\\x0B")
    assert [words for _, _, words in said_in("result.json", data)] == ["첫 줄 \\x0B"]


@pytest.mark.parametrize(
    "value", [None, True, 1.5, [], {}, "", ["x", 3, None, {"text": 5}, [["y"]]], {"id": {}}, "\ud800"]
)
@pytest.mark.parametrize(
    "key", ["id", "type", "date", "from", "from_id", "text", "text_entities", "reply_to_message_id"]
)
def test_odd_messages_are_skipped_or_read_as_far_as_they_go(key: str, value: object) -> None:
    whole = message(2, "멀쩡한 말")
    for odd in (chat(message(1, "안녕") | {key: value}, whole), chat(whole) | {key: value, "chats": value}):
        dialogue = telegram.read_json(odd)
        assert dialogue
        assert dialogue.turns[-1].text == "멀쩡한 말"
        assert chunk(words_of(dialogue, frozenset((fold_name(dialogue.turns[-1].speaker),))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {"messages": []},
        {"messages": {"type": "message"}},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"chats": [], "left_chats": {"list": 3}},
        {"chats": {"list": [None, {"messages": None}, {"messages": [1]}]}},
    ],
)
def test_another_document_is_no_such_chat(value: object) -> None:
    assert telegram.read_json(value) is None


def test_records_of_another_kind_are_still_records() -> None:
    data = dump({"messages": [{"text": "안녕", "user": "자두"}]})
    assert load("a.json", data) == [Segment("안녕", place="item 1", speaker="자두")]


def test_a_chat_of_nothing_but_media_is_empty() -> None:
    with pytest.raises(LoadError, match=r"^empty$"):
        load("result.json", dump(chat(message(1, "", photo="photos/1.jpg"))))


def test_a_large_export_takes_no_longer_than_its_size() -> None:
    fields = [message(number, "안녕 " * 20, reply_to_message_id=number - 1) for number in range(1, 30_000)]
    dialogue = telegram.read_json(chat(*fields))
    assert isinstance(dialogue, Dialogue)
