import json
from pathlib import Path
from typing import Any

import pytest

from persona_cli.models import Chunk
from persona_cli.persona.voice import Line, Recorded, Voice, describe, exemplars, measure, register_for
from persona_cli.speaking import voice_of
from persona_cli.store import Store
from tests.commands import persona
from tests.stores import make_store

FAQ = [
    "안녕하세요 여러분! 저는 밤에 그림을 그려요. 낮에는 손님이 많거든요.",
    "색은 눈으로 고르는 게 아니더라고요. 손이 먼저 알아요.",
    "비가 오면 가게 문을 늦게 열어요. 비 소리를 좋아하거든요.",
    "첫 전시는 2019년에 했어요. 그날은 3명이 왔어요.",
    "고맙습니다.",
]
CHAT = (
    "형 나 지금 가고 있어 ㅋㅋ\n아 배고파 ㅠㅠ\n그거 완전 맛있더라 ㅋㅋㅋ\n이따 전화할게 😂\n내일은 비 온대\n아 진짜 😂"
)
ENGLISH = [
    "Well, I don't paint in the morning. It's too loud.",
    "Hey guys, it's me! I can't stop laughing, haha.",
    "Well, people ask about the rain. I like the rain!",
]


def spoken(*texts: str) -> list[Line]:
    return [Line(text, is_chat=False) for text in texts]


def both() -> Voice:
    return measure([*spoken(*FAQ), Line(CHAT, is_chat=True)])


def test_what_is_said_in_korean_is_counted_by_setting() -> None:
    voice = both()
    assert (voice.spoken.sentences, voice.spoken.korean, voice.spoken.told) == (10, 10, 10)
    assert voice.spoken.registers == {"haeyo": 9, "hapsyo": 1}
    assert voice.spoken.endings["haeyo"]["-거든요"] == 2
    assert voice.chat.registers == {"banmal": 5}
    assert {name: voice.chat.marks[name] for name in ("ㅋㅋ", "ㅠㅠ", "emoji")} == {"ㅋㅋ": 2, "ㅠㅠ": 1, "emoji": 2}
    assert (voice.chat.emoji, voice.chat.interjections) == ({"😂": 2}, {"아": 2})
    assert (voice.chat.chars, voice.chat.words) == (8.5, 3)


def test_what_is_said_in_english_is_counted() -> None:
    manner = measure(spoken(*ENGLISH, *ENGLISH)).spoken
    assert (manner.sentences, manner.english, manner.korean, manner.told) == (12, 12, 0, 0)
    assert (manner.contractions, manner.marks["!"], manner.marks["haha"]) == (8, 4, 2)
    assert manner.interjections == {"well": 4, "hey": 2}
    assert manner.address == {"guys": 2}
    assert manner.openers["It's"] == 2


def test_markdown_is_no_manner_of_speaking() -> None:
    text = (
        "# 제목이에요\n\n- **정말** [좋아요](https://example.com/a).\n- 그래요.\n\n```\n코드예요\n```\n| 표예요 | 네 |"
    )
    voice = measure(spoken(text))
    assert (voice.spoken.sentences, voice.spoken.registers) == (2, {"haeyo": 2})
    assert measure(spoken("正直に言うと、雨が好きです。")).spoken.sentences == 1


@pytest.mark.parametrize(
    ("outside", "chat", "stranger", "friend"),
    [
        (FAQ, CHAT, "haeyo", "banmal"),
        (FAQ, "", "haeyo", "haeyo"),
        (["저는 비를 좋아합니다.", "그렇습니다.", "비가 옵니다.", "문을 엽니다.", "늦어요."], CHAT, "hapsyo", "banmal"),
        ([], CHAT, "haeyo", "banmal"),
        (["비가 왔다.", "나는 걸었다.", "길은 젖어 있었다.", "아무도 없었다.", "조용했다."], CHAT, "haeyo", "banmal"),
        ([], "네 알겠어요\n지금 가요\n고마워요\n늦었어요\n미안해요", "haeyo", "haeyo"),
        (ENGLISH, "", None, None),
        ([], "", None, None),
    ],
)
def test_the_register_follows_the_listener(
    outside: list[str], chat: str, stranger: str | None, friend: str | None
) -> None:
    voice = measure([*spoken(*outside), Line(chat, is_chat=True)])
    assert (register_for(voice, "stranger"), register_for(voice, "friend")) == (stranger, friend)
    assert register_for(voice, "stranger", "plain") == "plain"


def test_a_prompt_is_told_the_register_and_the_figures() -> None:
    voice = both()
    stranger, friend = "\n".join(describe(voice, "stranger")), "\n".join(describe(voice, "friend"))
    assert "to a stranger in 해요체" in stranger
    assert "haeyo 90 %, hapsyo 10 % of 10 sentences" in stranger
    assert "-거든요 (2)" in stranger
    assert "never ㅋㅋ, ㅠㅠ, emoji" in stranger
    assert "to a friend in 반말" in friend
    assert "ㅋㅋ in 33 %" in friend
    assert "in 합니다체" in "\n".join(describe(voice, "friend", "hapsyo"))
    assert describe(Voice(), "stranger") == []


def lines_like(*asked: Any, **more: Any) -> list[str]:
    return [line.text for line in exemplars(*asked, **more)]


def test_exemplars_are_recorded_lines_in_the_listeners_register() -> None:
    voice = both()
    for listener, recorded in (("stranger", "\n".join(FAQ)), ("friend", CHAT)):
        chosen = lines_like(voice, "비 오는 날 좋아해요?", listener)
        assert len(chosen) == 3
        assert all(line in recorded for line in chosen)
        assert chosen == lines_like(voice, "비 오는 날 좋아해요?", listener)
    assert "비" in lines_like(voice, "비 오는 날 좋아해요?", "stranger")[0]
    assert lines_like(voice, "뭐 해?", "friend", register="hapsyo") == ["고맙습니다."]


def test_exemplars_avoid_facts_and_what_is_quoted_anyway() -> None:
    voice = both()
    everything = lines_like(voice, "전시는 언제 했어요?", "stranger", count=50)
    assert [line for line in everything if "2019" in line] == everything[-1:]
    first = everything[0]
    assert first not in lines_like(voice, "전시는 언제 했어요?", "stranger", 50, without=[f"앞말.\n{first} 뒷말."])
    assert lines_like(voice, "왜요?", "stranger", without=[*FAQ, CHAT]) == []


def test_exemplars_are_in_the_script_of_the_question() -> None:
    voice = measure(spoken(*FAQ, *ENGLISH))
    assert all(line.isascii() for line in lines_like(voice, "Do you like rain?", "stranger"))
    assert not any(line.isascii() for line in lines_like(voice, "비 좋아해요?", "stranger"))
    assert lines_like(measure(spoken(*ENGLISH)), "비 좋아해요?", "stranger", 1)


def test_a_voice_is_bounded() -> None:
    lines = [
        Line(f'{"가나다라"[at % 4] * (at % 60)} 그리고 "\\{"🙂" * (at % 9)} 그랬어요 ㅋㅋ\n' * 6, at % 2 == 0)
        for at in range(2_000)
    ]
    voice = measure(lines)
    assert len(voice.lines) <= 120
    assert len(voice.to_json()) < 50_000
    assert Voice.from_json(voice.to_json()) == voice
    measure([Line("가" * 200_000, False), Line("요, " * 100_000, True), Line("((" * 100_000 + "가자", False)])


def test_lines_that_would_steer_a_reader_are_not_kept() -> None:
    voice = measure(spoken("조심해요\x1b[31m 빨강이에요.", "\u202e거꾸로예요.", "“남의 말이에요.", "질문: 뭐예요?"))
    assert voice.lines == ()


def test_a_voice_survives_a_round_trip_and_nothing_else_is_taken_for_one() -> None:
    voice = both()
    data = voice.to_json()
    assert Voice.from_json(data) == voice
    for end in range(0, len(data), 97):
        with pytest.raises(ValueError):  # noqa: PT011  # any will do
            Voice.from_json(data[:end])
    for at in range(0, len(data), 53):
        try:
            Voice.from_json(data[:at] + b"\xff" + data[at + 1 :])
        except ValueError:
            continue
        pytest.fail(f"a damaged byte at {at} went unnoticed")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"lines": None},
        {"lines": [{"text": "가요.", "is_chat": 1, "register": ""}]},
        {"lines": [{"text": "가" * 500, "is_chat": True, "register": ""}]},
        {"lines": [{"text": "가요.", "is_chat": True, "register": "royal"}]},
        {"lines": [{"text": "가요.", "is_chat": True, "register": ""}] * 500},
        {"spoken": []},
        {"spoken": {"sentences": -1}},
        {"spoken": {"sentences": 1.5}},
        {"spoken": {"words": float("nan")}},
        {"spoken": {"registers": {"haeyo": 0}}},
        {"spoken": {"registers": {"haeyo": {}}}},
        {"spoken": {"registers": [[]]}},
        {"spoken": {"endings": {"haeyo": 3}}},
        {"spoken": {"emoji": {"\x1b": 3}}},
        {"spoken": {"unknown": 3}},
    ],
)
def test_what_was_never_measured_is_refused(change: dict[str, object]) -> None:
    value = json.loads(both().to_json())
    for name, new in change.items():
        value[name] = {**value[name], **new} if isinstance(new, dict) else new
    with pytest.raises(ValueError, match=r"cannot be|no "):
        Voice.from_json(json.dumps(value).encode())
    with pytest.raises(ValueError, match="nested"):
        Voice.from_json(b"[" * 200_000)


def test_a_store_keeps_the_voice_of_its_generation(tmp_path: Path) -> None:
    store = Store(make_store(tmp_path / "db", {"a.txt": [Chunk("비밀 장소는 다락방이에요.", "line 1")]}))
    first = voice_of(store)
    assert first.lines == (Recorded("비밀 장소는 다락방이에요.", False, "haeyo", "a.txt"),)
    with store.catalog.snapshot() as snapshot:
        kept = snapshot.assets(["voice.json"])["voice.json"]
    assert "다락방".encode() in kept
    assert voice_of(store) == first
    store.catalog.set_assets({"voice.json": b"\xff"})
    assert voice_of(store) == first
    make_store(tmp_path / "db", {"b.txt": [Chunk("창문을 닫습니다.", "line 1")]})
    assert voice_of(store).spoken.registers == {"haeyo": 1, "hapsyo": 1}


def test_what_is_forgotten_is_in_no_voice(tmp_path: Path) -> None:
    files = {"a.txt": [Chunk("비밀 장소는 다락방이에요.", "line 1")], "b.txt": [Chunk("창문을 닫습니다.", "line 1")]}
    store = Store(make_store(tmp_path / "db", files))
    stale = voice_of(store)
    store.forget(["a.txt"])
    store.catalog.keep_derived("voice.json", stale.to_json(), generation=1)
    store.close()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and "다락방".encode() in p.read_bytes()]


def test_a_store_that_cannot_be_written_to_is_measured_each_time(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "db")
    store = Store(folder)
    (folder / "catalog.sqlite3").chmod(0o444)
    folder.chmod(0o555)
    try:
        assert voice_of(Store(folder)).spoken.sentences
    finally:
        folder.chmod(0o755)
        store.close()


def test_status_shows_the_voice_of_chats_apart(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "faq.txt").write_text(
        "비 좋아해요? 네, 아주 좋아해요.\n\n가게는 언제 열어요? 저녁에 열어요.\n", encoding="utf-8"
    )
    chat = ["서준 님과 카카오톡 대화", "저장한 날짜 : 2024-03-07 21:10:00", ""]
    chat += ["--------------- 2024년 3월 5일 화요일 ---------------"]
    chat += ["[서준] [오후 8:01] 뭐 해?", "[하늘] [오후 8:02] 나 밥 먹고 있어 ㅋㅋ", "[하늘] [오후 8:03] 이따 전화할게"]
    (docs / "chat.txt").write_text("\r\n".join(chat), encoding="utf-8")
    posts = [
        {"author": "하늘", "date": f"2024-03-0{day}T10:00:00", "text": "오늘도 문을 엽니다."} for day in range(1, 4)
    ]
    (docs / "posts.json").write_text(json.dumps(posts, ensure_ascii=False), encoding="utf-8")
    assert persona("ingest", "docs", "--speaker", "하늘", cwd=tmp_path).returncode == 0
    voice = json.loads(persona("status", "--voice", "--json", cwd=tmp_path).stdout)["voice"]
    assert voice["chat"]["registers"] == {"banmal": 2}
    assert voice["spoken"]["registers"] == {"hapsyo": 3, "haeyo": 2}
    shown = persona("status", "--voice", cwd=tmp_path).stdout
    assert "in chats: 2 sentences" in shown
    assert "casual (banmal)     100 % (2)" in shown
    assert "나 밥 먹고 있어 ㅋㅋ" in shown
    korean = persona("status", "--voice", cwd=tmp_path, env={"LC_ALL": "ko_KR.UTF-8"}).stdout
    assert "대화방: 문장 2개" in korean
    assert "반말" in korean
    assert "voice" not in json.loads(persona("status", "--json", cwd=tmp_path).stdout)
