"""Who answers: the profile, the card beneath it, the measured voice, and what of them goes into a prompt."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import get_args

from persona_cli.models import Message, Passage
from persona_cli.persona.cards import Card, fill, filled, parse_card, profile_of
from persona_cli.persona.languages import language_of
from persona_cli.persona.profile import FILE_NAME, Profile, over, parse_profile
from persona_cli.persona.voice import Voice, describe, exemplars, register_for
from persona_cli.phrases import Register, disclose
from persona_cli.prompts import Portrait
from persona_cli.speaking import voice_of
from persona_cli.store import Store

GUEST = {"ko": "손님"}
"""What a card's `{{user}}` becomes where the persona does not say what it calls people."""


class Identity:
    """The persona of a store, as it is at one revision.

    Args:
        store: where it is kept.

    Raises:
        ProfileError, CardError: what is kept cannot be read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.catalog.snapshot() as snapshot:
            self.revision = revision_of(snapshot.fact("persona"), snapshot.generation)
            assets = snapshot.assets([FILE_NAME, "card.json"])
            names = json.loads(snapshot.fact("names") or "[]")
            self.sources: Sequence[str] = list(snapshot.documents())
        own = parse_profile(assets[FILE_NAME].decode(), FILE_NAME) if FILE_NAME in assets else Profile()
        self._card: Card | None = parse_card(assets["card.json"]) if "card.json" in assets else None
        profile = over(own, profile_of(self._card)) if self._card else own
        self.name: str = profile.name or (names[0] if names else "")
        self._guest = profile.address or GUEST.get(profile.language or language_of(profile.description) or "", "friend")
        self.profile = filled(profile, self._guest, self.name)

    @cached_property
    def voice(self) -> Voice:
        """How the person speaks; measured when somebody asks."""
        return voice_of(self._store)

    @property
    def listener(self) -> str:
        """Who the person takes the other side for: "stranger" or "friend"."""
        return self.profile.listener or "stranger"

    @property
    def register(self) -> Register:
        """The register of what the bot says of its own accord; nobody talks in the plain style of a newspaper."""
        measured = register_for(self.voice, self.listener, self.profile.register)
        return next((register for register in get_args(Register) if register == measured), "haeyo")

    def portrait(
        self, question: str, passages: Sequence[Passage], history: Sequence[Message], note: str = ""
    ) -> Portrait:
        """What a prompt tells of the person beside the passages.

        Args:
            note: what the caller's program adds; it stands behind what the persona itself says.
        """
        used = {passage.stored.chunk.text for passage in passages}
        said = [*(message["content"] for message in history), question]
        answers = sum(message["role"] == "assistant" for message in history)
        book = self._card.lorebook if self._card else None
        lore = book.matching(said, answers=answers) if book else []
        register = self.profile.register
        lines = exemplars(self.voice, question, self.listener, without=used, register=register)
        return Portrait(
            profile=replace(self.profile, instructions="\n".join(filter(None, (self.profile.instructions, note)))),
            manner=describe(self.voice, self.listener, register),
            exemplars=[line.text for line in lines],
            background=[fill(entry.content, self._guest, self.name) for entry in lore],
            name=self.name,
            sources=frozenset(line.source for line in lines),
        )

    def disclosure(self, question: str) -> str:
        """That this is a model of the person, in the question's language."""
        names = list(dict.fromkeys(PurePosixPath(source).name for source in self.sources))
        return disclose(question, self.name or None, names, self.profile.disclosure)

    def avoids(self, question: str) -> bool:
        """Whether a question names something that the persona does not talk about."""
        asked = _bare(question)
        return any(_bare(topic) in asked for topic in self.profile.avoid if _bare(topic))


def revision_of(fact: str | None, generation: int) -> tuple[str, int]:
    """What tells one state of a store's persona from the next."""
    return fact or "", generation


def _bare(text: str) -> str:
    return "".join(text.casefold().split())
