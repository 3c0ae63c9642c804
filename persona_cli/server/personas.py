"""The personas that a server serves, each under an id that programs know it by."""

import json
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from persona_cli.chatbot import PersonaChatbot
from persona_cli.errors import PersonaError
from persona_cli.server.stores import Stores

FRESH_S = 1.0
"""How long what was found is taken as it is."""
MAX_ID_CHARS = 64
NAMELESS = "persona"


@dataclass(frozen=True, slots=True)
class Persona:
    """One that can be asked.

    Attributes:
        id: of its name, or of its store's folder where it has none.
        created: when words were last ingested for it, in seconds since 1970; 0 when the store does not tell.
    """

    id: str
    created: int
    chatbot: PersonaChatbot


class Personas:
    """The personas of the stores that are served, as they are now."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = Lock()
        self._found: dict[str, Persona] = {}
        self._until = 0.0

    def all(self) -> Mapping[str, Persona]:
        """The personas by id, in the order of their stores."""
        with self._lock:
            if not self._found or time.monotonic() >= self._until:
                self._found = self._look()
                self._until = time.monotonic() + FRESH_S
            return self._found

    def find(self, model: str) -> Persona | None:
        """The persona of an id, however its letters are composed; None when there is none."""
        return self.all().get(unicodedata.normalize("NFC", model))

    def _look(self) -> dict[str, Persona]:
        found: dict[str, Persona] = {}
        for chatbot in self._stores.served():
            name, created = "", 0
            with suppress(PersonaError):  # which whoever asks it will be told
                name = chatbot.identify().name
                created = _ingested(chatbot)
            base = slug(name) or slug(chatbot.settings.db.name) or NAMELESS
            persona_id, n = base, 1
            while persona_id in found:
                n += 1
                persona_id = f"{base}-{n}"
            found[persona_id] = Persona(persona_id, created, chatbot)
        return found


def slug(name: str) -> str:
    """A name in lower case with a hyphen for all that is no letter or digit of any script; NFC, maybe empty."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split()
    return "-".join(words)[:MAX_ID_CHARS].strip("-")


def _ingested(chatbot: PersonaChatbot) -> int:
    with chatbot.open().store.catalog.snapshot() as snapshot:
        last = json.loads(snapshot.fact("last_ingest") or "{}")
    return int(datetime.fromisoformat(last["at"]).timestamp()) if last.get("at") else 0
