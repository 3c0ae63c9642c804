"""The claim check: what an answer states that nothing it was made from bears out.

Numbers, dates, names and quoted spans are found by their form, without a model, and looked up in the evidence. What
cannot be told from a common word by its form is let pass.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain, product, starmap

from persona_cli.names import WORD, capitalised, codes, hangul_names, latin_in_hangul, plain_word
from persona_cli.quantities import TOLERANCE, Date, Quantity, Time, Value, Weekday, quantities

Span = tuple[int, int]

CLUSTER = re.compile("[\u1100-\u115f][\u1160-\u11a7][\u11a8-\u11ff]?|.[\u0300-\u036f]{0,8}", re.DOTALL)
"""What composes to one character: Hangul of conjoining jamo, or a letter with its marks."""
HANGUL = re.compile("[가-힣]")
LATIN = re.compile("[A-Za-z]")

QUOTED = re.compile(
    r'(?<![\w.!?,])"(?=\S)(?P<a>[^"\n]{1,400})(?<=\S)"|“(?P<b>[^“”\n]{1,400})”|‘(?P<c>[^‘\n]{1,400}?)’(?![A-Za-z])'
    r"|(?<!\w)'(?P<d>[^'\n]{1,400}(?:(?<=[A-Za-z])'[a-z][^'\n]{1,400}){0,3})'(?![A-Za-z])"
)
TITLED = re.compile("《([^》\n]{1,100})》|『([^』\n]{1,100})』|「([^」\n]{1,100})」|〈([^〉\n]{1,100})〉")
LEAST_WORDS, LEAST_SYLLABLES = 2, 6
"""From how many words or Hangul syllables on something in quotation marks is a quotation, not a word set apart."""

DEMONYM = re.compile(r"(?:an|ian|ish|ese|i)s?$")


class Evidence:
    """What may be looked up in texts: their quantities, their words, and their letters without spaces and marks."""

    def __init__(self, texts: Iterable[str]) -> None:
        folded = [fold(text)[0] for text in texts]
        self.letters = "\n".join(squeeze(text) for text in folded)
        self.words = {plain_word(w) for text in folded for w in WORD.findall(text)}
        self.stems = {word[:4] for word in self.words}
        self.has_hangul = bool(HANGUL.search(self.letters))
        self.has_latin = bool(LATIN.search(self.letters))
        told = [value for text in folded for q in quantities(text) for value in q.values | q.parts]
        self.values = {wider for value in told for wider in _wider(value)}
        self.values.add(Fraction(sum(isinstance(value, Weekday) for value in self.values)))
        self.yearless = {value for value in told if isinstance(value, Date) and value.year is None}
        self.numbers = sorted(value for value in self.values if isinstance(value, Fraction))

    def holds(self, text: str) -> bool:
        """Whether the letters and digits of a text stand in one of the texts."""
        return squeeze(text) in self.letters

    def holds_name(self, name: str) -> bool:
        """Whether a name stands in one of the texts: a Latin one as a word, in the plural or as a people's too."""
        if not LATIN.match(name):
            return self.holds(name)
        plain = plain_word(name)
        if {plain, plain.removesuffix("s"), f"{plain}s"} & self.words:
            return True
        if (len(plain) > 5 or not plain.isalpha()) and self.holds(plain):
            return True
        return len(plain) > 5 and DEMONYM.search(plain) is not None and plain[:4] in self.stems

    def bears_out(self, quantity: Quantity) -> bool:
        """Whether one of the values that a quantity may have is told, or one near it when it is rough."""
        return any(self._has(v) or (quantity.near and self._has_near(v)) for v in quantity.values)

    def _has(self, value: Value) -> bool:
        if value in self.values or not isinstance(value, Date) or value.year is None:
            return value in self.values
        # the year told in one place, the day without it in another
        return Fraction(value.year) in self.values and replace(value, year=None) in self.yearless

    def _has_near(self, value: Value) -> bool:
        if not isinstance(value, Fraction):
            return False
        at = bisect_left(self.numbers, value * (1 - TOLERANCE))
        return at < len(self.numbers) and self.numbers[at] <= value * (1 + TOLERANCE)


def unsupported(answer: str, evidence: Sequence[str]) -> list[Span]:
    """The claims of an answer that no evidence bears out.

    A number, date or time must be told by value, however it is spelled, and a part of a fuller date is enough; a name
    must stand in the evidence as a word, a quotation letter by letter, spaces and marks apart. Names are only compared
    with evidence that has words in their script. Time grows linearly with the answer and with the evidence; that of a
    substring search comes on top for each distinct name and quotation.

    Args:
        answer: as generated.
        evidence: all it may rest on: passages, history, the question.

    Returns:
        Start and end offsets into the answer, ascending, not overlapping.
    """
    text, offsets = fold(answer)
    known = Evidence(evidence)
    spans = [(q.start, q.end) for q in quantities(text) if q.claimed and not known.bears_out(q)]
    spans += _quotations(text, known)
    spans += _names(text, known)
    return [(offsets[start], offsets[end]) for start, end in _merged(spans)]


def fold(text: str) -> tuple[str, list[int]]:
    """A text in NFKC with single blanks for odd ones, and where each of its characters began, and the end.

    Fractions and circled digits stay as they are: they would turn into digits that stand beside others.
    """
    parts: list[str] = []
    offsets: list[int] = []
    for match in CLUSTER.finditer(text):
        cluster = match[0]
        if not cluster.isascii() and unicodedata.category(cluster[0]) != "No":
            cluster = unicodedata.normalize("NFKC", cluster)
            cluster = "" if unicodedata.category(cluster[0]) == "Cf" else cluster
        parts.append(cluster)
        offsets.extend([match.start()] * len(cluster))
    return "".join(parts), [*offsets, len(text)]


def squeeze(text: str) -> str:
    """Letters and digits alone, casefolded."""
    return re.sub(r"[\W_]+", "", text).casefold()


def _wider(value: Value) -> Iterator[Value]:
    """What a value in evidence bears out: itself, a part of a date, a time with or without its half of the day."""
    if isinstance(value, Date):
        yield from starmap(Date, product({value.year, None}, {value.month, None}, {value.day, None}))
    elif isinstance(value, Time):
        halves = (0, 1, None) if value.half is None else (value.half, None)
        yield from (replace(value, half=half) for half in halves)
    else:
        yield value


def _quotations(text: str, known: Evidence) -> Iterator[Span]:
    for match in QUOTED.finditer(text):
        quoted = match[match.lastgroup or 0]
        if len(quoted.split()) < LEAST_WORDS and len(HANGUL.findall(quoted)) < LEAST_SYLLABLES:
            continue
        if not all(known.holds(part) for part in re.split(r"…|\.\.\.", quoted)):
            yield match.span()
    for match in TITLED.finditer(text):
        if not known.holds(match[match.lastindex or 0]):
            yield match.span()


def _names(text: str, known: Evidence) -> Iterator[Span]:
    candidates = [codes(text)]
    if HANGUL.search(text):
        candidates.append(latin_in_hangul(text))
        if known.has_hangul or not known.has_latin:
            candidates.append(hangul_names(text))
    elif known.has_latin or not known.has_hangul:
        candidates.append(capitalised(text))
    for start, end, spellings in chain.from_iterable(candidates):
        if not any(known.holds_name(spelling) for spelling in spellings):
            yield start, end


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Overlapping spans as one, in order."""
    last: Span | None = None
    for start, end in sorted(spans):
        if last and start < last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last
