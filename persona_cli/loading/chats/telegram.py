"""Telegram Desktop's `result.json` → dialogues."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from persona_cli.loading.chats.common import Message, Person, label_of, tell_apart, text_of, turns_of
from persona_cli.models import Dialogue

_EPOCH = datetime(1970, 1, 1)
_QUARTER = timedelta(minutes=15)
_FURTHEST = timedelta(hours=14)
"""Zones are whole quarters of an hour, and none is further from UTC."""
_MOST_DIGITS = 11

_Object = Mapping[str, Any]


def read_json(value: object) -> Dialogue | None:
    """The chats in an export of Telegram Desktop, of one chat or of all; None when it is none.

    What is forwarded, or made by an inline bot, is not the sender's own words: it is left out, though a reply to it
    still answers it. So are service messages, and media without a caption. An account that is deleted has no name and
    goes by its id.
    """
    chats = list(_chats(value))
    if not any(map(_is_message, (fields for chat in chats for fields in chat["messages"]))):
        return None
    titles = tell_apart(map(_title, chats))
    written = [(titles[_title(chat)], list(_messages(chat))) for chat in chats]
    people = tell_apart(message.author for _, messages in written for message in messages if message.author)
    if chats[0] is value:
        title, messages = written[0]
        return Dialogue(list(turns_of(messages, people)), "message", title or None)
    turns = [turn for title, messages in written for turn in turns_of(messages, people, title)]
    return Dialogue(turns, "message")


def _chats(value: object) -> Iterator[_Object]:
    """The chat that is exported, or the chats."""
    if not isinstance(value, dict):
        return
    listed: list[object] = [value]
    for part in (value.get("chats"), value.get("left_chats")):
        found = part.get("list") if isinstance(part, dict) else None
        listed += found if isinstance(found, list) else []
    yield from (chat for chat in listed if isinstance(chat, dict) and isinstance(chat.get("messages"), list))


def _title(chat: _Object) -> Person:
    """A chat's id and name; one's own saved messages have no name but a type."""
    return label_of(chat.get("id")), text_of(chat.get("name")) or text_of(chat.get("type"))


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and value.get("type") in ("message", "service") and "date" in value


def _messages(chat: _Object) -> Iterator[Message]:
    for fields in filter(_is_message, chat["messages"]):
        number, text, author = label_of(fields.get("id")), _text(fields), label_of(fields.get("from_id"))
        name = text_of(fields.get("from")) or author
        if fields["type"] == "message" and number and text and name:
            is_own = "forwarded_from" not in fields and "via_bot" not in fields
            answers = "" if "reply_to_peer_id" in fields else label_of(fields.get("reply_to_message_id"))
            yield Message(number, (author, name) if is_own else None, text, _date(fields), answers)


def _text(fields: _Object) -> str:
    """The words of a message, which are a text, or pieces of it with and without a style."""
    parts = fields.get("text_entities") or fields.get("text")
    if not isinstance(parts, list):
        return text_of(parts)
    pieces = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return text_of("".join(piece for piece in pieces if isinstance(piece, str)))


def _date(fields: _Object) -> str | None:
    """The time as the exporting computer's clock showed it, with the zone that lies between it and the Unix time."""
    try:
        local = datetime.fromisoformat(fields["date"])
    except (TypeError, ValueError):
        return None
    seconds = label_of(fields.get("date_unixtime"))
    if local.tzinfo is None and seconds.isdecimal() and len(seconds) <= _MOST_DIGITS:
        ahead = local - _EPOCH - timedelta(seconds=int(seconds))
        if abs(ahead) <= _FURTHEST and not ahead % _QUARTER:
            local = local.replace(tzinfo=timezone(ahead))
    return local.isoformat()
