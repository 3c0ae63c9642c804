"""What a person says in a file, and where its chunks claim it stands."""

import re

from persona_cli.chunking import chunk
from persona_cli.loading import load
from persona_cli.models import Chunk, Dialogue
from persona_cli.testimony import fold_name, words_of

Said = tuple[str, str | None, str]
"""Speaker, date and words."""


def dialogue_in(name: str, data: bytes) -> Dialogue:
    reading = load(name, data)
    assert isinstance(reading, Dialogue)
    return reading


def said_in(name: str, data: bytes) -> list[Said]:
    return [(turn.speaker, turn.date, turn.text) for turn in dialogue_in(name, data).turns]


def chunks_in(name: str, data: bytes, person: str) -> list[Chunk]:
    return chunk(words_of(dialogue_in(name, data), frozenset((fold_name(person),))))


def place_of(piece: Chunk) -> tuple[int, int]:
    """The first and the last of the lines, rows, items or messages that a locator names."""
    found = re.search(r"(?:^|, )(?:line|row|item|message)s? (\d+)(?:-(\d+))?$", piece.locator)
    assert found, piece.locator
    return int(found[1]), int(found[2] or found[1])


def words_in(piece: Chunk) -> list[str]:
    """Every word of a chunk, those of its question too."""
    return piece.whole.split()
