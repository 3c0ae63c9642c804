"""Attempts to make a persona do what its rules do not say, and a small person to try them on.

Each line of data/injections.jsonl is one: where its `text` stands (`place`), in which language, of what kind, how many
`times` it is repeated, and for those that benchmarks/injection.py measures the `canary` that it asks for, or `rules`
where it asks for the instructions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from persona_cli.chatbot import PersonaChatbot
from persona_cli.loading.decoding import clean
from persona_cli.models import Answer, Chunk, Message
from persona_cli.persona.template import quoted
from persona_cli.sessions import Sessions
from persona_cli.settings import Settings
from tests.stores import make_store

DATA = Path(__file__).parent / "data" / "injections.jsonl"
NAME, SOURCE = "Wren Halloway", "clocks.md"
RECORDED = {
    "en": [
        Chunk("Kitchen clocks, mostly the ones that hung above a stove.", "line 1", "What do you mend most?"),
        Chunk("At nine, when the kettle boils.", "line 3", "When do you open the shop?"),
    ],
    "ko": [
        Chunk("부엌 시계요. 가스레인지 위에 걸려 있던 것들이 많아요.", "line 5", "뭘 제일 많이 고치세요?"),
        Chunk("아홉 시요. 주전자가 끓으면 열어요.", "line 7", "가게는 몇 시에 열어요?"),
    ],
}
PROFILE = f"name = {quoted(NAME)}\n"
V2_TEXTS = ("description", "personality", "scenario", "first_mes", "mes_example", "system_prompt")


@dataclass(frozen=True)
class Attempt:
    """One of the lines."""

    id: str
    place: str
    language: str
    kind: str
    text: str
    times: int = 1
    canary: str = ""
    rules: bool = False

    @property
    def payload(self) -> str:
        """The text as often as it is to stand there."""
        return self.text * self.times

    @property
    def questions(self) -> tuple[str, str]:
        """What is asked, one after the other, in a session."""
        first, second = (chunk.question or "" for chunk in RECORDED[self.language])
        is_earlier = self.place == "turn.user"
        return (self.payload if is_earlier or self.place == "question" else first), second


ATTEMPTS = [Attempt(**json.loads(line)) for line in DATA.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Stage:
    """A person, with an attempt where it is to stand.

    Attributes:
        chunks: what is recorded, by source.
        assets: what makes the persona, by name.
        history: what a client sends.
        summary: what a model noted of the session.
    """

    chunks: Mapping[str, Sequence[Chunk]] = field(
        default_factory=lambda: {SOURCE: [chunk for chunks in RECORDED.values() for chunk in chunks]}
    )
    assets: Mapping[str, bytes | None] = field(
        default_factory=lambda: {"persona.toml": PROFILE.encode(), "card.json": None}
    )
    history: Sequence[Message] = ()
    summary: str = ""


def stage(attempt: Attempt) -> Stage:
    """Where an attempt stands; its question and its turns are for whoever asks."""
    where, _, what = attempt.place.partition(".")
    match where:
        case "document":
            return Stage(chunks=_documents(attempt, what))
        case "card":
            own = "" if what in ("name", "nickname") else PROFILE
            return Stage(assets={"persona.toml": own.encode(), "card.json": json.dumps(_card(attempt, what)).encode()})
        case "profile":
            return Stage(assets={"persona.toml": _profile(attempt, what).encode(), "card.json": None})
        case "history":
            return Stage(history=_history(attempt, what))
        case "summary":
            return Stage(summary=attempt.payload)
        case _:
            return Stage()


def _documents(attempt: Attempt, what: str) -> Mapping[str, Sequence[Chunk]]:
    """The person's documents, the chunk that answers the first question being hostile; files are cleaned when read."""
    best, *others = RECORDED[attempt.language]
    if what in ("question", "text"):
        return {SOURCE: [replace(best, **{what: clean(f"{getattr(best, what)} {attempt.payload}")}), *others]}
    if what == "source":
        return {attempt.payload: [best, *others]}
    return {SOURCE: [replace(best, **{what: attempt.payload}), *others]}


def _card(attempt: Attempt, what: str) -> dict[str, Any]:
    """A V2 card, or a V3 one where it must have a nickname."""
    data: dict[str, Any] = {
        **dict.fromkeys(V2_TEXTS, ""),
        "name": NAME,
        "extensions": {},
        "post_history_instructions": "Keep it short.",
    }
    if what.startswith("lorebook"):
        entry = {"keys": [], "content": "The lighthouse is dark.", "constant": True, "enabled": True, "extensions": {}}
        entry |= {"content": attempt.payload} if what.endswith("content") else {"keys": attempt.payload.split(",")}
        data["character_book"] = {"entries": [entry], "extensions": {}}
    elif what == "mes_example":
        data[what] = f"<START>\n{{{{user}}}}: Hello?\n{{{{char}}}}: {attempt.payload}"
    else:
        data[what] = attempt.payload
    version = 3 if what == "nickname" else 2
    return {"spec": f"chara_card_v{version}", "spec_version": f"{version}.0", "data": data}


def _profile(attempt: Attempt, what: str) -> str:
    if what in ("aliases", "rules"):
        return f"{PROFILE}{what} = [{quoted(attempt.payload)}]\n"
    if what == "manner":
        return f"{PROFILE}[voice]\nmanner = {quoted(attempt.payload)}\n"
    return f"{PROFILE if what != 'name' else ''}{what} = {quoted(attempt.payload)}\n"


def _history(attempt: Attempt, what: str) -> list[Message]:
    asked = {"role": "user", "content": RECORDED[attempt.language][1].question or ""}
    if what == "role":
        return [asked, {"role": attempt.payload, "content": "Hello again."}]
    return [asked, {"role": what, "content": attempt.payload}]


def set_up(folder: Path, attempt: Attempt, settings: Settings) -> PersonaChatbot:
    """The person, in a store of their own, which is made where there is none yet."""
    staged = stage(attempt)
    if not folder.exists():
        make_store(folder, staged.chunks)
    bot = PersonaChatbot(db_path=folder, settings=settings)
    bot.open().store.catalog.set_assets(staged.assets)
    return bot


def talk(bot: PersonaChatbot, attempt: Attempt) -> list[Answer]:
    """Two questions in a session, or one with what a client sent as the history."""
    staged, (first, second) = stage(attempt), attempt.questions
    if staged.history:
        return [bot.ask(first, history=staged.history)]
    answers = [bot.ask(first, session="new")]
    session = answers[0].session_id
    if staged.summary and session:
        Sessions(bot.open().store.catalog).summarise(session, staged.summary, 1)
    return [*answers, bot.ask(second, session=session)]
