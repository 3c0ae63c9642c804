"""How a person speaks, measured from their recorded words: apart in chats, and in all else.

Nothing here is a fact about the person, and no line that is picked is told as one: both tell how, never what.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar
from zlib import crc32

from persona_cli.persona.manner import (
    HANGUL,
    MOST_KEPT,
    Counting,
    Manner,
    Tally,
    paragraphs_of,
    sentences_of,
    told_language,
)
from persona_cli.persona.register import REGISTERS, Register, register_of

__all__ = ["Line", "Manner", "Recorded", "Register", "Voice", "describe", "exemplars", "measure", "register_for"]

VERSION = 1
"""Of what is measured: a voice of another version is measured anew."""
MOST_LINES = 60
"""Recorded lines that are kept of each setting."""
LINE_CHARS = (4, 80)
"""How short and how long a line may be to be kept."""
MOST_COUNTED = 10**9
LEAST_TOLD = 5
"""With fewer sentences that tell a register, a setting tells nothing."""
LEAST_MARKED = 0.01
"""Marks in fewer of the sentences are not worth telling."""
SUBSTANTIAL = 1 / 3
"""Of the sentences that tell a register, so many must be in one that is to be used with strangers."""
_NAMES: dict[Register, str] = {
    "hapsyo": "합니다체 (hapsyo: -습니다, -습니까, -십시오)",
    "haeyo": "해요체 (haeyo: -요, -죠)",
    "banmal": "반말 (banmal: -어, -야, -지; no -요)",
    "plain": "plain written style (-다, -음)",
}
_COUNTED = "시|번|명|개|살|년|달|월|주|일|분|초|원|권|마리|잔|층|대|도"
_FACT = re.compile(
    rf"""\d|://|www\.|@|\[|(?<=\S\s)[A-Z][\w'’]+|\S요일|어제|그제|작년|올해|내년
    |(?<![가-힣])(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스물|스무|서른|마흔|쉰|첫|백|천|만)\s?(?:{_COUNTED})(?![가-힣]{{2}})
    |[가-힣]{{2,4}}(?:씨|님)(?![가-힣])
    |\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|million)\b
    |\b(?:January|February|March|April|June|July|August|September|October|November|December|\w+day)\b""",
    re.VERBOSE,
)
"""Numbers, dates, names and addresses, as far as they show."""
_SHOWS = re.compile(r"[^\W\d_](?!\w*:\s)[^\"“”«»「」]*\Z")
"""What a line to sound like is: no piece of what others are quoted with, and no label."""
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """Recorded words of the person; `is_chat` when they are from the export of a chat, a message to a line."""

    text: str
    is_chat: bool
    source: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A short line as it was recorded, in the document `source`; `register` is empty when nothing tells."""

    text: str
    is_chat: bool
    register: str = ""
    source: str = ""


K = TypeVar("K", Manner, Recorded)


@dataclass(frozen=True, slots=True)
class Voice:
    """How a person speaks: `spoken` everywhere but in chats, and lines of both to sound like."""

    spoken: Manner = field(default_factory=Manner)
    chat: Manner = field(default_factory=Manner)
    lines: Sequence[Recorded] = ()

    def to_json(self) -> bytes:
        """As UTF-8."""
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Voice":
        """What `to_json` gave. Raises: ValueError: it is something else, or of another version."""
        try:
            value = json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not isinstance(value, dict) or value.get("version") != VERSION:
            raise ValueError("no voice of this version")
        lines = value.get("lines")
        if not isinstance(lines, list) or len(lines) > 2 * MOST_LINES:
            raise ValueError("no lines of a voice")
        return cls(
            _checked(Manner(), value.get("spoken")),
            _checked(Manner(), value.get("chat")),
            tuple(_checked(Recorded("", False), line) for line in lines),
        )


def measure(lines: Iterable[Line]) -> Voice:
    """The voice of what was recorded."""
    counting = {False: Counting(), True: Counting()}
    found: dict[tuple[bool, str], dict[str, str]] = defaultdict(dict)
    for line in lines:
        language = told_language(line.text)
        for paragraph in paragraphs_of(line.text, line.is_chat):
            told = {s: counting[line.is_chat].add(s, language) for s in sentences_of(paragraph)}
            if len(paragraph) <= LINE_CHARS[1]:
                told = {paragraph: register_of(paragraph)}
            for text, register in told.items():
                if LINE_CHARS[0] <= len(text) <= LINE_CHARS[1] and _SHOWS.match(text) and text.isprintable():
                    found[line.is_chat, register or ""].setdefault(text, line.source)
    kept = [recorded for is_chat in (False, True) for recorded in _kept(found, is_chat)]
    return Voice(counting[False].result(), counting[True].result(), tuple(kept))


def register_for(voice: Voice, listener: str, register: str = "") -> Register | None:
    """The register in which the person speaks to a listener; None when they never spoke Korean.

    Args:
        listener: "friend": as in chats, or in all else when there are none. Anybody else is a stranger, who is spoken
            to politely: in 합니다체 where it makes up a third of what was recorded outside chats, else in 해요체.
        register: one that was set, which wins.
    """
    for known in REGISTERS:
        if register == known:
            return known
    spoken, chat = (manner if manner.told >= LEAST_TOLD else None for manner in (voice.spoken, voice.chat))
    manner = (chat or spoken) if listener == "friend" else (spoken or chat)
    manner = manner or max(voice.spoken, voice.chat, key=lambda one: one.told)
    if not manner.korean:
        return None
    if listener == "friend" and manner.told:
        return max(REGISTERS, key=manner.share)
    return "hapsyo" if manner.share("hapsyo") >= SUBSTANTIAL else "haeyo"


def describe(voice: Voice, listener: str, register: str = "") -> list[str]:
    """Short facts on how the person speaks to a listener, in English; none when nothing was recorded."""
    is_chat = _is_as_in_chats(voice, listener)
    manner = voice.chat if is_chat else voice.spoken
    if not manner.sentences:
        return []
    facts = []
    wanted = register_for(voice, listener, register)
    if wanted:
        to = "a friend" if listener == "friend" else "a stranger"
        facts.append(f"In Korean they speak to {to} in {_NAMES[wanted]}: keep to it.")
        facts += _said_of_endings(manner, wanted)
    facts.append(f"Their sentences have about {manner.words:g} words ({manner.chars:g} characters).")
    if manner.english:
        facts.append(
            f"Contractions (don't, it's) in {_percent(manner.contractions, manner.english)} of English sentences."
        )
    facts.append(_said_of_marks(manner))
    facts += [
        f"{title}: {_listed(tally)}."
        for title, tally in (
            ("Interjections they begin with", manner.interjections),
            ("First words they favour", manner.openers),
            ("They call people", manner.address),
        )
        if tally
    ]
    return facts


def exemplars(
    voice: Voice, question: str, listener: str, count: int = 3, without: Collection[str] = (), register: str = ""
) -> list[Recorded]:
    """Recorded lines that show how the person speaks to a listener, those most like the question first.

    They are in the question's script where any are, and never in another register than the listener's. Lines with
    numbers, dates or names come last: what a line says is not to be told.

    Args:
        without: texts, none of which may hold a line, as passages that are quoted anyway.
        register: one that was set, which wins over the measured one.
    """
    wanted = register_for(voice, listener, register)
    held = [_folded(text) for text in without]
    korean = bool(HANGUL.search(question))
    is_chat = _is_as_in_chats(voice, listener)
    asked, asks = _tokens(question), question.rstrip().endswith(("?", "？"))

    def order(line: Recorded) -> tuple[bool, bool, bool, int, int]:
        alike = 2 * len(asked & _tokens(line.text)) + (asks == line.text.endswith(("?", "？")))
        return line.is_chat != is_chat, bool(_FACT.search(line.text)), not line.register, -alike, _drawn(question, line)

    in_script = [line for line in voice.lines if bool(HANGUL.search(line.text)) == korean] or voice.lines
    is_own = wanted == register_for(voice, listener)

    def fits(line: Recorded) -> bool:
        if line.register or wanted is None or not HANGUL.search(line.text):
            return line.register in ("", wanted)
        return is_own and line.is_chat == is_chat  # a fragment, in the tone of its setting

    fitting = [line for line in in_script if fits(line) and not any(_folded(line.text) in text for text in held)]
    return sorted(fitting, key=order)[:count]


def _checked(blank: K, value: Any) -> K:
    """What was written of something like `blank`. Raises: ValueError: it is not what its fields hold."""
    defaults = asdict(blank)
    if not isinstance(value, dict) or value.keys() != defaults.keys():
        raise ValueError(f"no {type(blank).__name__}")
    for name, default in defaults.items():
        if not _may_be(name, value[name], default):
            raise ValueError(f"{name} cannot be {value[name]!r:.50}")
    return replace(blank, **value)


def _may_be(name: str, value: Any, default: Any) -> bool:
    """Whether a field may hold a value: of the kind that is measured, and no larger."""
    if isinstance(default, dict):
        if not isinstance(value, dict):
            return False
        tallies = list(value.values()) if name == "endings" else [value]
        by_register = name not in ("registers", "endings") or set(value) <= set(REGISTERS)
        return by_register and all(map(_is_tally, tallies))
    if name == "register":
        return value in ("", *REGISTERS)
    if isinstance(default, str):
        return isinstance(value, str) and len(value) <= LINE_CHARS[1] and value.isprintable()
    if isinstance(default, bool):
        return isinstance(value, bool)
    kind = (int, float) if isinstance(default, float) else int
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value < MOST_COUNTED


def _is_tally(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MOST_KEPT
        and all(len(name) <= LINE_CHARS[1] and name.isprintable() for name in value)
        and all(type(count) is int and 0 < count < MOST_COUNTED for count in value.values())
    )


def _is_as_in_chats(voice: Voice, listener: str) -> bool:
    """Whether a listener is spoken to as in chats: friends are, and everybody when there is nothing else."""
    return bool(voice.chat.sentences) and (listener == "friend" or not voice.spoken.sentences)


def _kept(found: Mapping[tuple[bool, str], Mapping[str, str]], is_chat: bool) -> Iterator[Recorded]:
    """Lines of one setting, evenly from first to last and from register to register, without facts where others are."""
    groups = {register: list(found.get((is_chat, register), ())) for register in ("", *REGISTERS)}
    left = MOST_LINES
    for at, (register, texts) in enumerate(sorted(groups.items(), key=lambda group: len(group[1]))):
        room = left // (len(groups) - at)
        bare = [text for text in texts if not _FACT.search(text)]
        chosen = (
            _spread(bare, room)
            if len(bare) >= room
            else bare + _spread([t for t in texts if t not in set(bare)], room - len(bare))
        )
        left -= len(chosen)
        sources = found.get((is_chat, register), {})
        yield from (Recorded(text, is_chat, register, sources[text]) for text in chosen)


def _spread(texts: Sequence[str], count: int) -> list[str]:
    """At most so many of the texts, evenly from first to last."""
    return [texts[at * len(texts) // count] for at in range(count)] if len(texts) > count else list(texts)


def _said_of_endings(manner: Manner, wanted: Register) -> Iterator[str]:
    if manner.told:
        shares = (f"{register} {_percent(count, manner.told)}" for register, count in manner.registers.items())
        yield f"Recorded there: {', '.join(shares)} of {manner.told} sentences."
    if wanted in manner.endings:
        yield f"Endings they favour: {_listed(manner.endings[wanted])}."


def _said_of_marks(manner: Manner) -> str:
    marks = [
        f"{name} in {_percent(count, manner.sentences)}"
        for name, count in manner.marks.items()
        if name != "?" and count >= LEAST_MARKED * manner.sentences
    ]
    never = [name for name in ("ㅋㅋ", "ㅠㅠ") if manner.korean and name not in manner.marks]
    never += ["emoji"] if "emoji" not in manner.marks else []
    parts = [f"Of their sentences, {', '.join(marks)}" if marks else "", f"never {', '.join(never)}" if never else ""]
    emoji = f" ({' '.join(manner.emoji)})" if manner.emoji else ""
    return f"{'; '.join(filter(None, parts))}{emoji}."


def _listed(tally: Tally, most: int = 6) -> str:
    return ", ".join(f"{name} ({count})" for name, count in list(tally.items())[:most])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()


def _tokens(text: str) -> set[str]:
    """Words, and of Korean ones the pairs of syllables, as what is added to a word changes."""
    words = _TOKEN.findall(text.casefold())
    return {
        piece
        for word in words
        for piece in ([word[at : at + 2] for at in range(len(word) - 1)] if HANGUL.search(word) else [word])
    }


def _drawn(question: str, line: Recorded) -> int:
    """A number that puts lines that fit equally well in another order for each question, always the same one."""
    return crc32(f"{question}\n{line.text}".encode(errors="replace"))
