"""Transcripts in running text, a name before each turn (`Name: ...`) → dialogues."""

from collections.abc import Sequence

from persona_cli.models import Dialogue


def read_turns(lines: Sequence[str], start: int = 0) -> Dialogue | None:
    """The dialogue in the lines of a file from index `start` on; None when they are none."""
    return None
