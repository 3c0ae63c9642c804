"""Character cards for tests, and what SillyTavern asks of one: the rules of its own reader and validator."""

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"
V1: dict[str, Any] = {
    "name": "온담",
    "description": "{{char}} runs a tea house by the harbour. 항구 옆 찻집 주인.",
    "personality": "calm, dry humour",
    "scenario": "{{user}} comes in out of the rain.",
    "first_mes": "어서 오세요, {{user}} 님.",
    "mes_example": "<START>\n{{user}}: 뭐가 맛있어요?\n{{char}}: 비 오는 날엔 생강차죠.\n진하게요.\n"
    "{{user}}: And without rain?\n{{char}}: Then plum tea.\n<START>\n{{char}}: *끄덕인다*",
}
BOOK: dict[str, Any] = {
    "name": "harbour",
    "scan_depth": 4,
    "token_budget": 400,
    "recursive_scanning": False,
    "extensions": {"editor/x": 1},
    "entries": [
        {
            "keys": ["등대", "lighthouse"],
            "content": "@@depth 2\n등대는 1987년부터 꺼져 있다.",
            "extensions": {"note": "é"},
            "enabled": True,
            "insertion_order": 10,
            "use_regex": False,
            "x_unknown": [None, {"deep": True}],
        }
    ],
}
V2_DATA: dict[str, Any] = {
    **V1,
    "creator_notes": "Written for a test; the secret word is quince.",
    "system_prompt": "{{original}} Speak of tea often.",
    "post_history_instructions": "Stay calm.",
    "alternate_greetings": ["또 오셨네요."],
    "character_book": BOOK,
    "tags": ["tea"],
    "creator": "nobody",
    "character_version": "7",
    "extensions": {"other/tool": {"x": [1, 2.5, None]}},
    "x_field": {"kept": True},
}
V2: dict[str, Any] = {"spec": "chara_card_v2", "spec_version": "2.0", "data": V2_DATA, "x_top": "kept"}
V3: dict[str, Any] = {
    "spec": "chara_card_v3",
    "spec_version": "3.0",
    "data": {
        **V2_DATA,
        "nickname": "담이",
        "assets": [{"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}],
        "creator_notes_multilingual": {"ko": "시험용 카드."},
        "source": ["https://example.org/1"],
        "group_only_greetings": [],
        "creation_date": 1_700_000_000,
    },
}
CARDS = {"v1": {**V1, "x_top": [1]}, "v2": V2, "v3": V3}


def as_json(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, ensure_ascii=False).encode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text_chunk(keyword: str, data: bytes) -> bytes:
    return chunk(b"tEXt", keyword.encode() + b"\0" + base64.b64encode(data))


def picture(*texts: bytes, pixels: bytes = b"", tail: bytes = b"") -> bytes:
    """A PNG of one pixel with animation chunks, a comment, and private data, as editors leave them."""
    return (
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + chunk(b"tEXt", b"Author\0somebody")
        + chunk(b"acTL", struct.pack(">II", 1, 0))
        + b"".join(texts)
        + chunk(b"prVt", pixels)
        + chunk(b"IDAT", zlib.compress(b"\0\x10\x20\x30"))
        + chunk(b"iTXt", b"Title\0\0\0\0\0\xec\xb0\xbb\xec\xa7\x91")
        + chunk(b"IEND", b"")
        + tail
    )


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and data of all chunks, as SillyTavern takes a PNG apart: it refuses a wrong checksum and a missing end."""
    assert png.startswith(SIGNATURE)
    found: list[tuple[bytes, bytes]] = []
    at = len(SIGNATURE)
    while not found or found[-1][0] != b"IEND":
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        found.append((kind, data))
        at += 12 + length
    assert found[0][0] == b"IHDR"
    return found


def card_texts(png: bytes) -> dict[str, Any]:
    """The cards in a PNG by keyword, the first of each; SillyTavern takes ccv3 before chara."""
    texts: dict[str, Any] = {}
    for kind, data in chunks_of(png):
        keyword, _, text = data.partition(b"\0")
        if kind == b"tEXt" and keyword.lower() in (b"chara", b"ccv3"):
            assert b"\0" not in text
            texts.setdefault(keyword.decode().lower(), json.loads(base64.b64decode(text, validate=True)))
    return texts


def tavern_takes(card: Mapping[str, Any]) -> int:
    """The version SillyTavern's validator finds; 0 where it finds none."""
    if all(field in card for field in V1):
        return 1
    data = card.get("data") or {}
    needed = {*V1, "creator_notes", "system_prompt", "post_history_instructions", "alternate_greetings"}
    needed |= {"tags", "creator", "character_version", "extensions"}
    if (card.get("spec"), card.get("spec_version")) == ("chara_card_v2", "2.0"):
        book = data.get("character_book") or {"extensions": {}, "entries": []}
        is_good = needed <= data.keys() and isinstance(data["alternate_greetings"], list)
        is_good = is_good and isinstance(data["tags"], list) and isinstance(data["extensions"], dict)
        return 2 if is_good and isinstance(book["entries"], list) and isinstance(book["extensions"], dict) else 0
    return 3 if card.get("spec") == "chara_card_v3" and data and 3 <= float(card["spec_version"]) < 4 else 0
