"""Exports of DiscordChatExporter, and Discord's own package of one's messages → dialogues."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from persona_cli.loading.chats.common import (
    MOMENT,
    Message,
    in_order,
    label_of,
    spell_dates,
    tell_apart,
    text_of,
    turn_of_lines,
    turns_of,
)
from persona_cli.loading.dates import parse_date
from persona_cli.models import Dialogue, Turn

ME = "me"
"""Who speaks in Discord's own package: it holds the messages of one person, and does not say whose."""

_COLUMNS = ("AuthorID", "Author", "Date", "Content")
_OWN_COLUMNS = ("ID", "Timestamp", "Contents")
_BANNER = "=" * 62
_HEAD = re.compile(r"\[(?P<moment>[^\[\]]{0,40}\d[:.h]\d\d[^\[\]]{0,40})\] (?P<author>.+?)(?: \(pinned\))?")
_AFTER_WORDS = frozenset(("{Attachments}", "{Embed}", "{Embeds}", "{Stickers}", "{Reactions}", _BANNER))
"""Lines with which the words of a message are over."""
_MOMENT = re.compile(MOMENT, re.VERBOSE)
_EVENT = re.compile(
    r"""(?:Added|Removed)\ .+\ (?:to|from)\ the\ group\. | (?:Added|Removed)\ a\ recipient\. | Left\ the\ group\.
    | Started\ a\ call\ that\ lasted\ [\d,]+\ minutes\. | Changed\ the\ channel\ (?:icon\.|name\.|name:\ .+)
    | Pinned\ a\ message\. | Started\ a\ thread\. | Joined\ the\ server\.""",
    re.VERBOSE,
)
"""What tables and texts say in a member's name when the member did something; JSON tells it by its type."""

_Object = Mapping[str, Any]


def read_json(value: object) -> Dialogue | None:
    """The channel in a JSON export, or one's own messages in a package; None when it is neither.

    A speaker goes by the nickname, which is what the others see. Bots are speakers too. What has no words of the
    sender's own, as an attachment, a forwarded message or somebody's joining, is left out.
    """
    if isinstance(value, list):
        own = [entry for entry in value if isinstance(entry, dict) and all(name in entry for name in _OWN_COLUMNS)]
        entries = ((label_of(entry["ID"]), text_of(entry["Timestamp"]), text_of(entry["Contents"])) for entry in own)
        return _own(entries, "message") if own and len(own) == len(value) else None
    if not isinstance(value, dict) or not isinstance(value.get("channel"), dict):
        return None
    listed = value.get("messages")
    if not isinstance(listed, list) or (listed and not any(map(_is_message, listed))):
        return None
    messages = [message for fields in filter(_is_message, listed) if (message := _message(fields))]
    people = tell_apart(message.author for message in messages if message.author)
    return Dialogue(in_order(list(turns_of(messages, people))), "message", _title(value))


def read_table(rows: Sequence[tuple[int, Sequence[str]]]) -> Dialogue | None:
    """The channel in a CSV export, or one's own messages in a package; None when it is neither."""
    header = tuple(cell.strip() for cell in rows[0][1]) if rows else ()
    if header[:3] == _OWN_COLUMNS:
        return _own(((str(number), row[1], row[2]) for number, row in rows[1:] if len(row) > 2), "row")
    if header[:4] != _COLUMNS:
        return None
    table = [(str(number), row) for number, row in rows[1:] if len(row) > 3]
    people = tell_apart((row[0], row[1]) for _, row in table)
    dates = _dates([row[2] for _, row in table])
    turns = [
        Turn(people[row[0], row[1]], words, number, number, date)
        for (number, row), date in zip(table, dates, strict=True)
        if (words := row[3].strip()) and not _EVENT.fullmatch(words)
    ]
    return Dialogue(in_order(turns), "row")


def read_text(text: str) -> Dialogue | None:
    """The channel in a text export; None when it is none. Its dates may be a guess: see `spell_dates`."""
    if not text.lstrip().startswith(_BANNER):
        return None
    lines = text.split("\n")
    heads = [
        (at, head) for at, line in enumerate(lines) if (head := _HEAD.fullmatch(line)) and not lines[at - 1].strip()
    ]
    dates = _dates([head["moment"] for _, head in heads])
    turns: list[Turn] = []
    ends = [*(at for at, _ in heads[1:]), len(lines)]
    for (at, head), end, date in zip(heads, ends, dates, strict=False):
        words = list(takewhile(lambda line: line not in _AFTER_WORDS, lines[at + 1 : end]))
        turn = turn_of_lines(head["author"], "\n".join(words), at + 2, date)
        if turn and not _EVENT.fullmatch(turn.text):
            turns.append(turn)
    banner = lines[: heads[0][0]] if heads else []
    named = [line.partition(": ")[2] for line in banner if line.startswith(("Guild: ", "Channel: "))]
    return Dialogue(in_order(turns), "line", " > ".join(named) or None)


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("author"), dict)


def _message(fields: _Object) -> Message | None:
    if fields.get("type", "Default") not in ("Default", "Reply"):
        return None
    author, reference = fields["author"], fields.get("reference")
    number, text = label_of(fields.get("id")), text_of(fields.get("content"))
    name = text_of(author.get("nickname")) or text_of(author.get("name"))
    answers = label_of(reference.get("messageId")) if isinstance(reference, dict) else ""
    who, date = (label_of(author.get("id")), name), parse_date(text_of(fields.get("timestamp")))
    return Message(number, who, text, date, answers) if number and text and name else None


def _title(export: _Object) -> str | None:
    parts = (export.get("guild"), export["channel"])
    return " > ".join(filter(None, (text_of(part.get("name")) for part in parts if isinstance(part, dict)))) or None


def _own(entries: Iterable[tuple[str, str, str]], unit: str) -> Dialogue:
    """The dialogue of one speaker: of each message the place, the time and the words."""
    turns = (Turn(ME, words.strip(), place, place, parse_date(at)) for place, at, words in entries)
    return Dialogue(in_order([turn for turn in turns if turn.text and turn.first]), unit)


def _dates(written: Sequence[str]) -> list[str | None]:
    """Dates in ISO 8601 that a table or a text writes so, or in the way of the exporting computer's country."""
    guessed = spell_dates([_MOMENT.fullmatch(text.strip()) for text in written])
    return [parse_date(text) or guess for text, guess in zip(written, guessed, strict=True)]
