"""What stands in a file that `persona export` writes, and which of it is taken from strangers."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any

import numpy as np

from persona_cli.catalog import VOICE
from persona_cli.embedding import LOCAL
from persona_cli.errors import ArchiveError
from persona_cli.evaluation import read_cases
from persona_cli.models import Matrix
from persona_cli.persona.card_files import MAX_FILE_BYTES, MAX_UNPACKED_BYTES, unpack
from persona_cli.persona.cards import parse_card, profile_of
from persona_cli.persona.profile import FILE_NAME, Profile, over, parse_profile
from persona_cli.persona.voice import Voice
from persona_cli.portable.archive import MAX_BYTES, Archive
from persona_cli.portable.records import MAX_TEXT_BYTES, is_count, is_name

FORMAT = 1
MAX_CHUNKS = 5_000_000
MAX_DOCUMENTS = 1_000_000
MAX_DIMENSION = 16_384
DIMENSIONS = {LOCAL: 384}
"""Of the models that are known."""
UNIT_WITHIN = 1e-3

CARD, PICTURE, EVALUATION, FILES = "card.json", "card.png", "evaluation.jsonl", "asset/"
ASSETS = (FILE_NAME, CARD, PICTURE, EVALUATION)
DOCUMENTS, CHUNKS, KEYS, VECTORS = "documents.jsonl", "chunks.jsonl", "embeddings.keys", "embeddings.f32"
KEY = Struct("<16sI")
"""What a text's vectors are found by, and how many they are."""
ABOUT: Mapping[str, Callable[[Any], bool]] = {
    "format": is_count,
    "name": is_name,
    "created_by": is_name,
    "documents": lambda value: is_count(value) and value <= MAX_DOCUMENTS,
    "chunks": is_count,
    "embedding": lambda value: is_name(value, 1) and len(value) <= 200 and value.isascii() and " " not in value,
    "dimension": lambda value: is_count(value) and value <= MAX_DIMENSION,
    "names": lambda value: isinstance(value, list) and len(value) <= 1_000 and all(is_name(name, 1) for name in value),
    "redacted": lambda value: isinstance(value, bool),
}


def read_assets(archive: Archive) -> dict[str, bytes]:
    """What makes the persona, by name, each understood by its own parser.

    Raises:
        ArchiveError, ProfileError, CardError, EvaluationError: one of them cannot be used.
    """
    names = [name for name in archive.names if name in (*ASSETS, VOICE) or name.startswith(FILES)]
    files = sum(archive.size(name) for name in names if name.startswith(FILES))
    for name in names:
        if archive.size(name) > MAX_FILE_BYTES or files > MAX_UNPACKED_BYTES:
            raise archive.hostile(name)
    assets = {name: archive.read(name) for name in names}
    try:
        name_of(assets, [], archive.name)
        count_questions(assets, archive.name)
    except UnicodeDecodeError as error:
        raise archive.damaged() from error
    if PICTURE in assets and unpack(assets[PICTURE], f"{archive.name}: {PICTURE}").picture is None:
        raise archive.hostile(PICTURE)
    voice = assets.pop(VOICE, b"")
    with suppress(ValueError):  # one of another version is measured anew
        assets[VOICE] = Voice.from_json(voice).to_json()
    return assets


def name_of(assets: Mapping[str, bytes], names: list[str], file: str) -> str:
    """What the persona is called; "" when nothing tells. Raises: ProfileError, CardError, UnicodeDecodeError."""
    own = parse_profile(assets[FILE_NAME].decode(), f"{file}: {FILE_NAME}") if FILE_NAME in assets else Profile()
    profile = over(own, profile_of(parse_card(assets[CARD], f"{file}: {CARD}"))) if CARD in assets else own
    return profile.name or (names[0] if names else "")


def count_questions(assets: Mapping[str, bytes], file: str) -> int:
    """Of the evaluation set. Raises: EvaluationError, UnicodeDecodeError."""
    if EVALUATION not in assets:
        return 0
    return len(read_cases(assets[EVALUATION].decode(), f"{file}: {EVALUATION}", MAX_TEXT_BYTES))


def are_unit(vectors: Matrix) -> bool:
    """Whether all are finite and of unit length."""
    with np.errstate(all="ignore"):
        squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    return bool((np.abs(np.sqrt(squares) - 1) <= UNIT_WITHIN).all())


def too_many(file: str, chunks: int) -> ArchiveError:
    return ArchiveError(
        "{file}: {chunks} chunks with their vectors are more than an archive may hold; at most {most} are taken, and"
        " {megabytes} MB of vectors",
        file=file,
        chunks=chunks,
        most=MAX_CHUNKS,
        megabytes=MAX_BYTES // 1_000_000,
    )
