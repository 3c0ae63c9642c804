import csv
import io
import json
import unicodedata
from typing import Any

import pytest

from persona_cli.errors import LoadError
from persona_cli.loading import load
from persona_cli.loading.chats import discord
from persona_cli.loading.decoding import decode
from persona_cli.models import Dialogue
from tests.dialogues import Said, chunks_in, dialogue_in, place_of, said_in, words_in

Fields = dict[str, Any]

SAID: list[tuple[str, str, str]] = [
    ("여울", "2024-03-05T21:30:00", "오늘 방송 몇 시에 해?"),
    ("자두", "2024-03-05T21:31:00", "열 시!\n\n[늦을 수도] 있어, @여울"),
    ("알림봇", "2024-03-05T21:32:00", "방송이 시작되었습니다."),
    ("자두", "2024-03-05T22:40:00", '늦어서 "미안", 정말'),
]
EVENT = ("여울", "2024-03-05T21:29:00", "Joined the server.")
RULE = "=" * 62


def message(number: int, speaker: str, at: str, text: str, **more: object) -> Fields:
    author = {
        "id": f"{sum(map(ord, speaker))}",
        "name": f"{speaker}.kim",
        "nickname": speaker,
        "isBot": speaker == "알림봇",
    }
    return {
        "id": f"12045678901234500{number:02}",
        "type": "Default",
        "timestamp": f"{at}.123+09:00",
        "timestampEdited": None,
        "content": text,
        "author": author,
        "attachments": [],
        "embeds": [],
        **more,
    }


def export(*messages: Fields) -> Fields:
    return {
        "guild": {"id": "1", "name": "자두 서버"},
        "channel": {"id": "2", "type": "GuildTextChat", "name": "잡담", "topic": None},
        "dateRange": {"after": None, "before": None},
        "messages": list(messages),
        "messageCount": len(messages),
    }


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def json_export() -> bytes:
    said = [message(10 + number, *turn) for number, turn in enumerate(SAID)]
    picture = message(20, "자두", "2024-03-05T22:41:00", "", attachments=[{"url": "https://cdn.example/1.png"}])
    return dump(export(message(9, *EVENT, type="GuildMemberJoin"), *said, picture))


def csv_export(spell: str = "{at}.1230000+09:00") -> bytes:
    rows = io.StringIO()
    print("AuthorID,Author,Date,Content,Attachments,Reactions", file=rows)
    writer = csv.writer(rows, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for speaker, at, text in [EVENT, *SAID, ("자두", "2024-03-05T22:41:00", "")]:
        writer.writerow(
            (sum(map(ord, speaker)), speaker, spell.format(at=at), text, "https://cdn.example/1.png", "👍 (1)")
        )
    return rows.getvalue().encode()


def txt_export() -> bytes:
    lines = [RULE, "Guild: 자두 서버", "Channel: 모임 / 잡담", "Topic: 아무 말", RULE, ""]
    for speaker, at, text in [EVENT, *SAID, ("자두", "2024-03-05T22:41:00", "")]:
        hour, minute = int(at[11:13]), at[14:16]
        lines += [f"[3/5/2024 {hour % 12 or 12}:{minute} PM] {speaker}{' (pinned)' * (speaker == '알림봇')}", text, ""]
        lines += ["{Attachments}", "https://cdn.example/1.png", ""] if not text else []
        lines += ["{Embed}", "https://a.example", "남의 글", "", "{Reactions}", "👍 (2)"] if speaker == "알림봇" else []
        lines += [""]
    return "\n".join([*lines, RULE, "Exported 6 message(s)", RULE, ""]).encode()


def expected(zone: str = "") -> list[Said]:
    return [(speaker, at + zone, text) for speaker, at, text in SAID]


def standing(name: str, data: bytes) -> dict[int, str]:
    """What stands on each place of a file, by its number."""
    text = decode(data)
    if name.endswith(".json"):
        value = json.loads(text)
        return {int(fields["id"]): fields["content"] for fields in value["messages"]}
    if name.endswith(".csv"):
        return {number: " ".join(row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1)}
    return dict(enumerate(text.split("\n"), 1))


EXPORTS = [("a.json", json_export(), "+09:00"), ("a.csv", csv_export(), "+09:00"), ("a.txt", txt_export(), "")]


@pytest.mark.parametrize(("name", "data", "zone"), EXPORTS)
def test_a_channel_is_read_from_each_format(name: str, data: bytes, zone: str) -> None:
    for encoded in (data, ("\ufeff" + data.decode().replace("\n", "\r\n")).encode()):
        assert said_in(name, encoded) == expected(zone)
    assert said_in(name, unicodedata.normalize("NFD", data.decode()).encode()) == expected(zone)
    assert said_in(name, data.decode().replace("👍", "").encode("cp949")) == expected(zone)


@pytest.mark.parametrize(("name", "data", "zone"), EXPORTS)
@pytest.mark.parametrize("person", ["자두", "여울", "알림봇"])
def test_every_place_leads_to_the_words(name: str, data: bytes, zone: str, person: str) -> None:
    places = standing(name, data)
    for piece in chunks_in(name, data, person):
        first, last = place_of(piece)
        words = words_in(piece)
        assert all(word in "\n".join(places.get(at, "") for at in range(first, last + 1)) for word in words)
        assert words[0] in places[first]
        assert words[-1] in places[last]


def test_a_place_is_counted_as_the_format_counts() -> None:
    found = {name: [piece.locator for piece in chunks_in(name, data, "자두")] for name, data, _ in EXPORTS}
    assert found == {
        "a.json": [
            "자두 서버 > 잡담, messages 1204567890123450010-1204567890123450011",
            "자두 서버 > 잡담, message 1204567890123450013",
        ],
        "a.csv": ["rows 3-4", "row 6"],
        "a.txt": ["자두 서버 > 모임 / 잡담, lines 12-18", "자두 서버 > 모임 / 잡담, line 32"],
    }


def test_a_reply_answers_what_somebody_else_wrote() -> None:
    asked, other, own = (message(number, *SAID[at]) for number, at in ((10, 0), (11, 2), (12, 1)))
    reply = message(13, *SAID[3], type="Reply", reference={"messageId": asked["id"], "channelId": "2"})
    to_self = message(14, "자두", "2024-03-05T22:41:00", "진짜로", type="Reply", reference={"messageId": own["id"]})
    found = chunks_in("a.json", dump(export(asked, other, own, reply, to_self)), "자두")
    assert [(piece.question, piece.text) for piece in found] == [
        ("오늘 방송 몇 시에 해?", SAID[1][2]),
        ("오늘 방송 몇 시에 해?", f"{SAID[3][2]}\n진짜로"),
    ]


def test_a_speaker_goes_by_the_nickname_and_namesakes_are_told_apart() -> None:
    plain = message(10, "자두", "2024-03-05T21:30:00", "하나")
    renamed = message(11, "자두", "2024-03-05T21:31:00", "둘", author={"id": "7", "name": "plum", "nickname": " 자두"})
    unnamed = message(12, "자두", "2024-03-05T21:32:00", "셋", author={"id": "8", "name": "pear", "nickname": None})
    speakers = [speaker for speaker, _, _ in said_in("a.json", dump(export(plain, renamed, unnamed)))]
    assert speakers == [f"자두 ({plain['author']['id']})", "자두 (7)", "pear"]


@pytest.mark.parametrize(("name", "data", "zone"), EXPORTS[:1])
def test_an_export_that_begins_with_the_latest_is_turned_round(name: str, data: bytes, zone: str) -> None:
    value = json.loads(data)
    value["messages"].reverse()
    assert said_in(name, dump(value)) == expected(zone)


@pytest.mark.parametrize("spell", ["{at}", "{at}Z"])
def test_a_table_may_spell_its_dates_otherwise(spell: str) -> None:
    dates = [date for _, date, _ in said_in("a.csv", csv_export(spell))]
    assert dates == [(at + spell[4:]).replace("Z", "+00:00") for _, at, _ in SAID]


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("3/5/2024 9:30 PM", "2024-03-05T21:30:00"),
        ("05/03/2024 21:30", "2024-03-05T21:30:00"),
        ("05.03.2024 21:30", "2024-03-05T21:30:00"),
        ("2024-03-05 오후 9:30", "2024-03-05T21:30:00"),
        ("2024. 03. 05. 오후 9:30", "2024-03-05T21:30:00"),
        ("5 Mar 2567 9:30", None),
    ],
)
def test_a_text_spells_its_dates_as_some_country_does(written: str, date: str | None) -> None:
    text = f"{RULE}\nGuild: a\nChannel: b\n{RULE}\n\n[{written}] 자두\n안녕\n\n\n"
    assert said_in("a.txt", text.encode()) == [("자두", date, "안녕")]


def test_ones_own_package_is_the_dialogue_of_one_who_is_not_named() -> None:
    entries = [
        {"ID": 1204567890123450002, "Timestamp": "2024-03-05 22:40:00", "Contents": "늦어서 미안", "Attachments": ""},
        {"ID": 1204567890123450001, "Timestamp": "2024-03-05 21:31:00", "Contents": "열 시!", "Attachments": ""},
        {"ID": 1204567890123450000, "Timestamp": "2024-03-05 21:30:00", "Contents": "", "Attachments": "https://a.b"},
    ]
    expected = [("me", "2024-03-05T21:31:00", "열 시!"), ("me", "2024-03-05T22:40:00", "늦어서 미안")]
    table = "ID,Timestamp,Contents,Attachments\r\n" + "".join(
        f'{entry["ID"]},{entry["Timestamp"]}.123000+00:00,"{entry["Contents"]}",\r\n' for entry in entries
    )
    assert said_in("messages.json", dump(entries)) == expected
    assert said_in("messages.csv", table.encode()) == [(me, f"{date}+00:00", text) for me, date, text in expected]
    assert [piece.locator for piece in chunks_in("messages.json", dump(entries), "me")] == [
        "message 1204567890123450001",
        "message 1204567890123450002",
    ]
    assert [piece.locator for piece in chunks_in("messages.csv", table.encode(), "me")] == ["row 3", "row 2"]


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, "", ["x", None], {"id": {}}, "\ud800"])
@pytest.mark.parametrize("key", ["id", "type", "timestamp", "content", "author", "reference", "guild", "messages"])
def test_odd_messages_are_skipped_or_read_as_far_as_they_go(key: str, value: object) -> None:
    whole = message(11, *SAID[3])
    odd = discord.read_json(export(message(10, *SAID[0]) | {key: value}, whole))
    assert odd
    assert odd.turns[-1].text == SAID[3][2]
    discord.read_json(export(whole) | {key: value})
    discord.read_json([whole | {key: value}, value])
    entries = [{"ID": value, "Timestamp": value, "Contents": value}]
    own = discord.read_json(entries)
    assert own
    assert len(own.turns) <= 1


@pytest.mark.parametrize("author", [{"id": 5}, {"id": None, "name": 7, "nickname": []}, {"name": " "}, {}])
def test_a_message_of_nobody_is_left_out(author: Fields) -> None:
    said = said_in("a.json", dump(export(message(10, *SAID[0]), message(11, *SAID[1], author=author))))
    assert [speaker for speaker, _, _ in said] == ["여울"]


@pytest.mark.parametrize(
    "value", [None, "a", [], {}, [{"ID": 1}], {"messages": []}, {"channel": {}, "messages": [{"author": "a"}]}]
)
def test_another_document_is_no_such_channel(value: object) -> None:
    assert discord.read_json(value) is None


def test_another_table_or_text_is_no_such_channel() -> None:
    assert discord.read_table([]) is None
    assert discord.read_table([(1, ["Date", "User", "Message"])]) is None
    assert discord.read_text(f"제목\n{RULE}\n본문\n") is None


def test_a_table_of_ragged_rows_is_survived() -> None:
    rows = [
        (1, ["AuthorID", "Author", "Date", "Content", "Attachments", "Reactions"]),
        (2, ["1"]),
        (3, ["1", "a", "b", "c"]),
    ]
    dialogue = discord.read_table(rows)
    assert dialogue
    assert [(turn.speaker, turn.date, turn.text) for turn in dialogue.turns] == [("a", None, "c")]
    own = discord.read_table([(1, ["ID", "Timestamp", "Contents"]), (2, ["1"]), (3, ["1", "b", "c"])])
    assert own
    assert [turn.first for turn in own.turns] == ["3"]


def test_a_banner_without_messages_is_empty() -> None:
    with pytest.raises(LoadError, match=r"^empty$"):
        load("a.txt", f"{RULE}\nGuild: a\nChannel: b\n{RULE}\n\n{RULE}\nExported 0 message(s)\n{RULE}\n".encode())


@pytest.mark.parametrize("line", ["[" + "1:11" * 300_000, "[1:11] " + " (pinned" * 200_000, "\n" * 1_000_000])
def test_a_hostile_text_takes_no_longer_than_its_size(line: str) -> None:
    assert isinstance(discord.read_text(f"{RULE}\nGuild: a\n{RULE}\n\n{line}\n안녕\n"), Dialogue)


def test_a_title_is_made_of_what_there_is() -> None:
    value = export(message(10, *SAID[0])) | {"guild": None}
    assert dialogue_in("a.json", dump(value)).title == "잡담"
