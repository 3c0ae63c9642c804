"""Chat exports → dialogues. What a file is, its content tells: a `.txt` or `.json` may be any program's."""

from collections.abc import Sequence

from persona_cli.loading.chats import discord, kakao, telegram, whatsapp
from persona_cli.models import Dialogue


def chat_in_text(text: str) -> Dialogue | None:
    """The chat that a text was exported from; None when it is none."""
    return kakao.read_text(text) or discord.read_text(text) or whatsapp.read_text(text)


def chat_in_table(rows: Sequence[tuple[int, Sequence[str]]]) -> Dialogue | None:
    """The chat that the numbered rows of a table were exported from, header first; None when they are none."""
    return kakao.read_table(rows) or discord.read_table(rows)


def chat_in_json(value: object) -> Dialogue | None:
    """The chat that a JSON document was exported from; None when it is none."""
    return telegram.read_json(value) or discord.read_json(value)
