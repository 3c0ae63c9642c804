"""How the person in a store speaks: measured once a generation, and kept there."""

import json
import re
from contextlib import suppress

from persona_cli.catalog import VOICE
from persona_cli.errors import StoreError
from persona_cli.persona.voice import Line, Voice, measure
from persona_cli.store import Store

MOST_CHUNKS = 2_000
MOST_CHARS = 500_000
"""More than this tells nothing new, and takes more than a quarter of a second."""
_OF_DIALOGUE = re.compile(r"(?:text|csv|json)/\d+(?: redacted)? as ")
"""The loaders that read chats, where what they read had speakers."""


def voice_of(store: Store) -> Voice:
    """How the person in a store speaks.

    Raises:
        StoreError: the catalog cannot be read.
    """
    with store.catalog.snapshot() as snapshot:
        generation = snapshot.generation
        kept = snapshot.assets([VOICE]).get(VOICE)
        if kept and (voice := read_voice(kept, generation)):
            return voice
        sampled = snapshot.sample(MOST_CHUNKS)
    step = 1 + sum(len(text) for text, *_ in sampled) // MOST_CHARS
    voice = measure(
        Line(text, _is_chat(locator, date, loader), source) for text, locator, date, loader, source in sampled[::step]
    )
    data = write_voice(voice, generation)
    with suppress(StoreError):  # one that cannot be written to is measured each time
        store.catalog.keep_derived(VOICE, data, generation)
    return voice


def write_voice(voice: Voice, generation: int) -> bytes:
    """What a store keeps of the voice that was measured of a generation."""
    return json.dumps({"generation": generation, "voice": json.loads(voice.to_json())}, ensure_ascii=False).encode()


def read_voice(kept: bytes, generation: int) -> Voice | None:
    """The voice that was measured of a generation; None when what is kept is anything else."""
    try:
        value = json.loads(kept)
        if not isinstance(value, dict) or value.get("generation") != generation:
            return None
        return Voice.from_json(json.dumps(value.get("voice")).encode())
    except (ValueError, RecursionError):
        return None


def _is_chat(locator: str, date: str | None, loader: str) -> bool:
    """Whether a chunk is from the export of a chat: what is said there has a speaker, and a date with a time.

    So have the items of a JSON file that are somebody's posts.
    """
    return bool(_OF_DIALOGUE.match(loader)) and "T" in (date or "") and not locator.startswith("item")
