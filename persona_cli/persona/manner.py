"""What is counted in sentences to tell how somebody speaks."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from persona_cli.persona.languages import language_of
from persona_cli.persona.register import REGISTERS, Register, ending_of
from persona_cli.sentences import split_sentences

MOST_KEPT = 12
"""Of the different endings, openers, interjections, address terms and emoji, so many are kept."""
_SAMPLE_CHARS = 300
MAX_SENTENCE_CHARS = 1_000
"""What is longer is no sentence, but text without any end."""

Tally = Mapping[str, int]
"""How many sentences have it, most first."""

HANGUL = re.compile("[가-힣]")
_LETTER = re.compile(r"[^\W\d_]")
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u26ff\u2702-\u27b0\u2b50\u2b55](?:\ufe0f|[\U0001f3fb-\U0001f3ff])?")
_SIGNS = {"ㅋㅋ": "ㅋ", "ㅎㅎ": "ㅎ", "ㅠㅠ": "ㅠㅜ", "!": "!！", "?": "?？", "~": "~～", "...": ("..", "…")}
"""What is typed beside the words, by any of the signs that tell it."""
_ANY_SIGN = re.compile(r"[ㅋㅎㅠㅜ!！?？~～…]|\.\.")
_HAHA = re.compile(r"\b(?=[ahlr])(?:a?ha(?:ha)+h?|(?:he){2,}|l+o+l|lmf?ao|rofl)\b", re.IGNORECASE)
_FACE = re.compile(r"[:;=]-?[)D(]|\^[_.]?\^")
_CONTRACTION = re.compile(
    r"\b(?:\w+(?:n['’]t|['’](?:m|re|ve|ll|d))|(?:it|that|he|she|what|there|here|let|who|where|how)['’]s|gonna|wanna|gotta)\b",
    re.IGNORECASE,
)
_INTERJECTION = re.compile(
    r"""(?:아+|아하|어+|오+|와+|우와|음+|흠+|에이|헐|대박|앗|엇|으악|아이고|아이구|어머|어휴|에휴|세상에|글쎄요?|네+|넵|넹|예|응+|그럼요?
    |아니|아뇨|아니요|뭐|야|자|참|있잖아요?|그니까|그러니까|그러게요?|저기
    |oh+|ah+|aha|wow|well|hmm+|hm|um+|uh+|er|ugh|oops|hey|hi|hello|yeah|yep|yes|yup|nope|no|nah|okay|ok|right|gosh|man|wait
    |honestly|anyway|look|sure|huh|whoa|yay|alas)(?![\w'’])""",
    re.IGNORECASE | re.VERBOSE,
)
_CALLED = frozenset(
    (
        *(
            "여러분",
            "여러분들",
            "형",
            "형님",
            "누나",
            "언니",
            "오빠",
            "선생님",
            "쌤",
            "얘들아",
            "친구들",
            "친구야",
            "자기야",
            "동생",
        ),
        *("guys", "folks", "everyone", "everybody", "friends", "mate", "dude", "bro", "buddy", "man", "y'all", "sir"),
    )
)
_GREETING = frozenset(("hey", "hi", "hello", "thanks", "okay", "ok", "sorry", "yo", "dear"))
_AROUND = ",.!?~…:;\"'“”‘’()"
_WORD = re.compile(r"[^\W\d_][\w'’]*")
_MARKUP = re.compile(r"\s*(?:[#>|=]|-{3,}|\*{3,}|!\[)")
_CODE = re.compile(r"^(?:```|~~~).*?(?:^(?:```|~~~)|\Z)", re.MULTILINE | re.DOTALL)
_BULLET = re.compile(r"\s*(?:[-*+•·]|\d{1,3}[.)])\s+")
_EMPHASIS = re.compile(r"\*\*|__|`")
_LINK = re.compile(r"\[([^\]\n]{1,200})\]\([^)\n]{1,500}\)")


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody speaks in one setting. Every count is of sentences.

    Attributes:
        korean, english: sentences in these languages; there may be others.
        words, chars: median length of a sentence; words are what stands between spaces.
        registers: Korean sentences by register, of those whose end tells.
        endings: the frequent endings of each register, as "-거든요".
        marks: sentences with laughter, tears, emoji, and marks such as "!".
        emoji, interjections, address, openers: the frequent ones; an opener is the first word.
        contractions: English sentences with "don't", "it's" and the like.
    """

    sentences: int = 0
    korean: int = 0
    english: int = 0
    words: float = 0.0
    chars: float = 0.0
    registers: Tally = field(default_factory=dict)
    endings: Mapping[str, Tally] = field(default_factory=dict)
    marks: Tally = field(default_factory=dict)
    emoji: Tally = field(default_factory=dict)
    interjections: Tally = field(default_factory=dict)
    address: Tally = field(default_factory=dict)
    openers: Tally = field(default_factory=dict)
    contractions: int = 0

    @property
    def told(self) -> int:
        """Korean sentences whose end tells the register."""
        return sum(self.registers.values())

    def share(self, register: Register) -> float:
        """How much of what tells a register tells this one, 0..1."""
        return self.registers.get(register, 0) / self.told if self.told else 0.0


class Counting:
    """Counts sentence by sentence, and makes the figures in the end."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {
            name: Counter()
            for name in ("language", "marks", "emoji", "interjections", "address", "openers", "register")
        }
        self._endings: dict[str, Counter[str]] = {register: Counter() for register in REGISTERS}
        self._words: list[int] = []
        self._chars: list[int] = []

    def add(self, sentence: str, language: str | None) -> Register | None:
        """Count a sentence, and tell its register; `language` is that of the text around it."""
        counts = self._counts
        korean = bool(HANGUL.search(sentence))
        english = not korean and language == "en"
        counts["language"]["ko"] += korean
        counts["language"]["en"] += english
        words = sentence.split()
        self._words.append(len(words))
        self._chars.append(len(sentence))
        counts["marks"].update(_marks_in(sentence))
        if not sentence.isascii():
            counts["emoji"].update(sorted({found.removesuffix("\ufe0f") for found in EMOJI.findall(sentence)}))
        if said := _INTERJECTION.match(sentence):
            counts["interjections"][_steadied(said[0].lower())] += 1
        counts["address"].update(sorted(_called_in(words)))
        if (opener := _WORD.match(sentence)) and not said and len(opener[0]) <= 20:
            counts["openers"][opener[0]] += 1
        if english:
            counts["language"]["contracted"] += bool(_CONTRACTION.search(sentence))
        ending = ending_of(sentence) if korean else None
        if ending:
            counts["register"][ending.register] += 1
            self._endings[ending.register][ending.shape] += 1
        return ending.register if ending else None

    def result(self) -> Manner:
        """The figures of all that was added."""
        counts = self._counts
        return Manner(
            sentences=len(self._words),
            korean=counts["language"]["ko"],
            english=counts["language"]["en"],
            words=float(median(self._words or [0])),
            chars=float(median(self._chars or [0])),
            registers=dict(counts["register"].most_common()),
            endings={register: _frequent(shapes) for register, shapes in self._endings.items() if _frequent(shapes)},
            marks=dict(counts["marks"].most_common()),
            emoji=_frequent(counts["emoji"]),
            interjections=_frequent(counts["interjections"]),
            address=_frequent(counts["address"]),
            openers=_frequent(counts["openers"]),
            contractions=counts["language"]["contracted"],
        )


def paragraphs_of(text: str, is_chat: bool) -> Iterable[str]:
    """The messages or paragraphs of a text, without Markdown's marks, headings, tables and code."""
    for line in text.split("\n") if is_chat else _CODE.sub("", text).split("\n\n"):
        bare = line if is_chat else _bare(line)
        if _LETTER.search(bare) or EMOJI.search(bare):
            yield bare.strip()


def sentences_of(paragraph: str) -> list[str]:
    """The sentences of a paragraph that may be counted."""
    return [sentence for sentence in split_sentences(paragraph) if len(sentence) <= MAX_SENTENCE_CHARS]


def told_language(text: str) -> str | None:
    """The language of a text, where it must be told for counting."""
    return "ko" if HANGUL.search(text) else language_of(text[:_SAMPLE_CHARS])


def _marks_in(sentence: str) -> Iterator[str]:
    if _ANY_SIGN.search(sentence):
        yield from (name for name, signs in _SIGNS.items() if any(sign in sentence for sign in signs))
    if not sentence.isascii() and EMOJI.search(sentence):
        yield "emoji"
    if _FACE.search(sentence):
        yield ":)"
    if _HAHA.search(sentence):
        yield "haha"


def _called_in(words: Sequence[str]) -> set[str]:
    """The terms of address in a sentence: they stand first, or last, or before a comma."""
    called: set[str] = set()
    commas = [at for at, word in enumerate(words) if word[-1] == ","]
    for at in {0, *commas, len(words) - 1}:
        word = words[at]
        term = word.strip(_AROUND).lower().replace("’", "'")
        before = words[at - 1].lower() if at else ","
        if term in _CALLED and (HANGUL.match(term) or before[-1] == "," or before in _GREETING):
            called.add(term)
        elif term.endswith("님") and 1 < len(term) <= 5:
            called.add("…님")
    return called


def _bare(paragraph: str) -> str:
    lines = [_BULLET.sub("", line) for line in paragraph.split("\n") if not _MARKUP.match(line)]
    return _EMPHASIS.sub("", _LINK.sub(r"\1", "\n".join(lines)))


def _steadied(said: str) -> str:
    """An interjection without what is held: "아아아", "ohhh"."""
    return said if said == "well" else re.sub(r"(.)\1+\Z", r"\1", said)


def _frequent(counts: Counter[str]) -> Tally:
    return {name: count for name, count in counts.most_common(MOST_KEPT) if name and count > 1}
