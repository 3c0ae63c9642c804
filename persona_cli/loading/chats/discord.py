"""Exports of DiscordChatExporter, and Discord's own package of one's messages → dialogues."""

from collections.abc import Sequence

from persona_cli.models import Dialogue


def read_json(value: object) -> Dialogue | None:
    """The channel in a JSON export; None when it is none."""
    return None


def read_table(rows: Sequence[tuple[int, Sequence[str]]]) -> Dialogue | None:
    """The channel in a CSV export; None when it is none."""
    return None
