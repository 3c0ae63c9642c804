"""WhatsApp exports → dialogues."""

from persona_cli.models import Dialogue


def read_text(text: str) -> Dialogue | None:
    """The chat in an export of WhatsApp for Android or iOS; None when it is none."""
    return None
