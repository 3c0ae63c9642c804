"""Telegram Desktop's `result.json` → dialogues."""

from persona_cli.models import Dialogue


def read_json(value: object) -> Dialogue | None:
    """The chats in an export of Telegram Desktop; None when it is none."""
    return None
