"""Character cards, V1, V2 and V3: read, understood as a profile and a lorebook, and written again.

A card is kept whole, as the JSON it came as: what is not known here goes out as it came in. Specifications:
https://github.com/malfoyslastname/character-card-spec-v2 and https://github.com/kwaroran/character-card-spec-v3.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from persona_cli.persona import card_checks
from persona_cli.persona.card_checks import Spec
from persona_cli.persona.card_files import unpack
from persona_cli.persona.lorebook import Lorebook, parse_lorebook
from persona_cli.persona.notes import clean
from persona_cli.persona.profile import Example, Profile

MAX_NAME_CHARS = 100

_PLACEHOLDER = re.compile(r"\{\{\s*(user|char|original)\s*\}\}|<(user|char|bot)>", re.IGNORECASE)
_COMMENT = re.compile(r"\{\{(?://|comment:|hidden_key:)[^{}]*\}\}", re.IGNORECASE)
_START = re.compile("<start>", re.IGNORECASE)


@dataclass(frozen=True)
class Card:
    """A character card, or a lorebook alone.

    Attributes:
        raw: the whole of it, as JSON says it.
    """

    raw: Mapping[str, Any]
    spec: Spec

    @property
    def data(self) -> Mapping[str, Any]:
        """Its fields, which V1 has at the top."""
        data: Mapping[str, Any] = self.raw if self.spec == "v1" else self.raw["data"]
        return data

    @property
    def name(self) -> str:
        """The character's name, or the lorebook's."""
        return self.text("name")

    @property
    def book(self) -> Mapping[str, Any] | None:
        """The lorebook as JSON says it."""
        book: Mapping[str, Any] | None = self.data if self.spec == "lorebook" else self.data.get("character_book")
        return book if self.spec != "v1" else None

    @cached_property
    def lorebook(self) -> Lorebook | None:
        """The lorebook, if there is one."""
        return parse_lorebook(self.book) if self.book else None

    def text(self, field: str) -> str:
        """A field's text, cleaned; "" where there is none."""
        value = self.data.get(field)
        return clean(value) if isinstance(value, str) else ""

    def to_json(self) -> bytes:
        """Compact JSON, UTF-8. Half a surrogate pair, which UTF-8 cannot say, makes it ASCII with escapes."""
        try:
            return json.dumps(self.raw, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            return json.dumps(self.raw, separators=(",", ":")).encode()


def read_card(data: bytes, name: str) -> Card:
    """The card in a file: JSON, PNG or CHARX, as its content tells.

    Args:
        name: what to call the file in messages.

    Raises:
        CardError: there is none in it, or it cannot be used.
    """
    return parse_card(unpack(data, name).card, name)


def parse_card(data: bytes, name: str = "card.json") -> Card:
    """The card that JSON says. Raises: CardError."""
    raw = card_checks.parse(data, name)
    return Card(raw, card_checks.check(raw, name))


def fill(text: str, user: str, char: str, original: str = "") -> str:
    """A card's text with its placeholders filled in, and without its comments.

    Args:
        user: for `{{user}}` and `<USER>`.
        char: for `{{char}}`, `<CHAR>` and `<BOT>`.
        original: for `{{original}}`: what would be said if the card said nothing.
    """
    values = {"user": user, "char": char, "bot": char, "original": original}
    return _PLACEHOLDER.sub(lambda found: values[(found[1] or found[2]).lower()], _COMMENT.sub("", text))


def filled(profile: Profile, user: str, char: str) -> Profile:
    """A profile whose texts have their placeholders filled in; `{{original}}` becomes nothing."""
    return replace(
        profile,
        description=fill(profile.description, user, char),
        greeting=fill(profile.greeting, user, char),
        questions=tuple(fill(question, user, char) for question in profile.questions),
        examples=tuple(Example(fill(e.question, user, char), fill(e.answer, user, char)) for e in profile.examples),
        instructions=fill(profile.instructions, user, char).strip(),
        closing=fill(profile.closing, user, char).strip(),
    )


def profile_of(card: Card) -> Profile:
    """Who a card's character is. Placeholders are left in: see `filled`.

    The creator's notes and name and the card's version are for readers, and never become part of it.
    """
    name, nickname = (" ".join(card.text(field).split())[:MAX_NAME_CHARS] for field in ("name", "nickname"))
    described = (card.text(field) for field in ("description", "personality", "scenario"))
    return Profile(
        name=nickname or name,
        aliases=(name,) if nickname and nickname != name else (),
        description="\n\n".join(filter(None, described)),
        greeting=card.text("first_mes"),
        questions=tuple(_questions(card)),
        examples=tuple(_examples(card)),
        instructions=card.text("system_prompt"),
        closing=card.text("post_history_instructions"),
    )


def _questions(card: Card) -> list[str]:
    """The suggested questions that a persona's own export carries."""
    own = (card.data.get("extensions") or {}).get("persona") if card.spec != "v1" else None
    questions = own.get("questions") if isinstance(own, dict) else None
    texts = questions if isinstance(questions, list) else []
    return [" ".join(clean(text).split()) for text in texts if isinstance(text, str) and clean(text)]


def _examples(card: Card) -> Iterator[Example]:
    """Each answer of the character's in the example dialogues with what was said before it; "" where it begins one."""
    names = [re.escape(name) for name in (card.text("name"), card.text("nickname")) if name]
    char = "|".join([r"\{\{char\}\}", "<char>", "<bot>", *names])
    turn = re.compile(rf"^[ \t]*(?:(\{{\{{user\}}\}}|<user>)|({char}))[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
    for dialogue in _START.split(card.text("mes_example")):
        _, *parts = turn.split(dialogue)
        question: list[str] = []
        answer: list[str] = []
        for of_user, _, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if of_user and answer:
                yield Example("\n".join(question), "\n".join(answer))
                question, answer = [], []
            (question if of_user else answer).append(text.strip())
        if answer:
            yield Example("\n".join(question), "\n".join(answer))
