"""Masks over what tells who or where somebody is: numbers, e-mail addresses, the names of other speakers.

Found is what is written in a known form: telephone numbers with a Korean area code, with a country code or as Americans
write them; resident registration numbers; e-mail addresses; card numbers whose check digit is right; account numbers as
Korean banks write them, or beside the word for a bank or an account; the names that are listed.

Not found are: postal addresses and places, birthdays, nicknames and names nobody listed, names of one letter or one
syllable, a given name run together with the word after it, telephone numbers without an area code, numbers in words or
over several lines, passports, licence plates, links, and what pictures show. Somebody should still read what is to be
published.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import chain, groupby
from typing import NamedTuple

from persona_cli.models import Segment

_MASKS = {
    "phone": "전화번호",
    "id number": "주민등록번호",
    "email": "이메일",
    "card": "카드번호",
    "account": "계좌번호",
    "name": "이름",
}
"""What a mask says, in English and in Korean."""
_MASKED = re.compile(rf"\[(?:{'|'.join([*_MASKS, *_MASKS.values()])})\]")
_HANGUL = re.compile("[가-힣ㄱ-ㅣ]")
_GONE = "\0"
"""Stands for each character that is masked, while the rest is searched."""
_NOWHERE = (0, 0)
_Extent = Callable[[re.Match[str]], tuple[int, int]]
"""From where to where to mask what a pattern found; `_NOWHERE` when it is not what it looks like."""

_START, _END = r"(?:(?<!\d)(?<!\d-)|(?=[+(]))", r"(?!\d)(?!-\d)"
"""Only whole numbers are masked, so that what is left beside a mask is never a number that was not there before."""
_GAP = r"[ ]?[-.]?[ ]?"
_EMAIL = re.compile(r"(?<![a-z0-9._%+-])(?:[a-z0-9._%+-]*+(?<=[a-z0-9._%+-])@(?:[a-z0-9-]++\.)+[a-z]{2,}+)+")
_RESIDENT = re.compile(rf"{_START}(\d\d)(\d\d)(\d\d)[ ]?-?[ ]?(\d)(?:\d{{6}}|[*x●]{{6}}){_END}")
_CARD = re.compile(
    rf"""{_START}(?: (\d{{4}}([- ])\d{{4}}\2\d{{4}}\2\d{{4}})(?:\2\d{{1,3}})? | \d{{4}}([- ])\d{{6}}\3\d{{4,5}}
        | [2-69]\d{{15,18}} | [3-6]\d{{12,14}} ){_END}""",
    re.VERBOSE,
)
_PHONE = re.compile(
    rf"""{_START}(?:
        (?:\+?82{_GAP}(?:\(0\)|0)?|\(?0) 1[016789] \)?{_GAP}\d{{3,4}}{_GAP}\d{{4}}
        | (?:\+?82{_GAP}(?:\(0\)|0)?|\(?0) (?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|[78]0|50\d)
            (?:[ ]?[-.)][ ]?|[ ]) \d{{3,4}}{_GAP}\d{{4}}
        | \+1{_GAP}\(?[2-9]\d\d\)?{_GAP}\d{{3}}{_GAP}\d{{4}}
        | (?:1[-. ])?(?:\([2-9]\d\d\)[ ]?\d{{3}}[-. ]|[2-9]\d\d[-.]\d{{3}}[-.])\d{{4}}
        | \+(?:[-. ()]{{0,3}}\d){{9,15}}
        | (?P<since>1[568](?:00|11|22|33|44|55|66|77|88|99|6[018]|70))-(?P<until>\d{{4}})
    ){_END}""",
    re.VERBOSE,
)
_ACCOUNT = re.compile(rf"{_START}(?!(?:19|20)\d\d-(?:0?[1-9]|1[0-2])-)\d{{3,6}}(?:-\d{{1,7}}){{2,3}}{_END}")
_BANK = r"은행|뱅크|농협|새마을금고|우체국|수협|신협|국민|신한|카뱅|토스|bank"
_AT_BANK = re.compile(
    rf"""(?:{_BANK}|우리|하나|기업|계좌|입금|송금|account) [^\d\n{_GONE}]{{0,12}}
            (?P<after>\d(?:[- ]?\d){{9,13}}) {_END} (?!\s?(?:[원만억조개명]|won|krw))
        | {_START} (?P<before>\d(?:[- ]?\d){{9,13}}) {_END} [^\d\n{_GONE}]{{0,4}} (?:{_BANK})""",
    re.VERBOSE,
)

_FAMILY = """김이박최정강조윤장임한오서신권황안송류유홍전고문양손배백허남심노하곽성차주우구민진나지엄채원천방공현함변염
여추도소석선설마길연위표명기반라왕금옥육인맹제모탁국어은편용""".replace("\n", "")
_LONG_FAMILY = "남궁|황보|제갈|선우|독고|사공|서문"
_COMMON = frozenset(("the", "and", "von", "van", "der", "speaker", "unknown", "participant", "guest", "user"))
"""Words in what speakers are called that are nobody's name."""
_SPACELESS = "가-힣ぁ-ヿ一-鿿"
"""Letters of scripts in which a name is not set off by spaces from what follows it."""
_LETTER = rf"[^\W\d_{_SPACELESS}]"
_EDGE = rf"(?:(?<!{_LETTER})|(?!{_LETTER}))"
"""Where a word of the other scripts may begin or end."""
_TAIL = r"""(?=
    이?(?:씨|군|양|형|누나|언니|오빠|쌤|샘|선배|선생|작가|감독|대표|팀장|피디|아저씨)?(?:님|네)?
    (?:아|야|여|이|가|은|는|을|를|의|에|도|만|와|과|랑|로|요|나|께|으로|이랑|하고|에게|한테|에서|께서|보고|더러|부터|까지|처럼|같이|보다
        |마다|조차|마저|밖에|뿐|라고|라는|라면|라니|예요|구나|잖아|거든|지|죠|냐|니|이?[였인일입][가-힣]{0,3}){0,3}
    (?![가-힣]))"""
"""What may follow when one is called by a given name, up to the end of the word."""


class _Span(NamedTuple):
    """From where to where a text is masked, and with what."""

    start: int
    end: int
    mask: str


def redact(text: str, names: Iterable[str] = ()) -> str:
    """A text with masks such as `[phone]`, or `[전화번호]` if there is Hangul in it; masks in it stay as they are.

    Args:
        names: what other speakers are called.
    """
    return Redactor(names).redact(text)


class Redactor:
    """Masks many texts in which the same names may stand."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Names are what other speakers are called, as files write them."""
        anywhere, words, called = set[str](), set[str](), set[str]()
        for form in (form for name in names for form in _forms(_fold(unicodedata.normalize("NFC", name)))):
            if re.fullmatch("[가-힣]{2}", form):
                called.add(form)
            elif re.search(f"[{_SPACELESS}]", form):
                anywhere.add(form)
            else:
                words.add(form)
        patterns = [
            _any_of(anywhere) if anywhere else "",
            rf"{_EDGE}(?:{_any_of(words)}){_EDGE}" if words else "",
            rf"(?<![가-힣{_GONE}])[{_FAMILY}]?(?:{_any_of(called)}){_TAIL}" if called else "",
        ]
        self._kinds = [*_KINDS, *(("name", re.compile(p, re.VERBOSE), re.Match.span) for p in patterns if p)]

    def redact(self, text: str) -> str:
        """A text with masks."""
        return _masked(text, self._spans(text))

    def mask(self, segment: Segment) -> Segment:
        """A segment with masks in what was said, in what was asked and in the heading. Lines stay lines."""
        spans = self._spans(segment.text)
        return replace(
            segment,
            text=_masked(segment.text, spans),
            marks=list(_moved(segment.marks, spans)),
            question=segment.question and self.redact(segment.question),
            heading=segment.heading and self.redact(segment.heading),
        )

    def _spans(self, text: str) -> list[_Span]:
        is_korean = _HANGUL.search(text) is not None
        seen = _MASKED.sub(lambda mask: _GONE * len(mask[0]), _fold(text))
        spans: list[_Span] = []
        for kind, pattern, extent in self._kinds:
            mask = f"[{_MASKS[kind] if is_korean else kind}]"
            found = [_Span(start, end, mask) for start, end in _found(pattern, extent, seen)]
            seen = _masked(seen, [span._replace(mask=_GONE * (span.end - span.start)) for span in found])
            spans += found
        return sorted(spans)


def _found(pattern: re.Pattern[str], extent: _Extent, text: str) -> Iterator[tuple[int, int]]:
    """Where a pattern is found and something is to be masked; a number that is none may overlap one that is."""
    at = 0
    while match := pattern.search(text, at):
        start, end = extent(match)
        if end:
            yield start, end
        at = end or match.start() + 1


def _masked(text: str, spans: Iterable[_Span]) -> str:
    parts, at = [], 0
    for start, end, mask in spans:
        parts += [text[at:start], mask]
        at = end
    return "".join([*parts, text[at:]])


def _moved(marks: Sequence[tuple[int, str]], spans: Sequence[_Span]) -> Iterator[tuple[int, str]]:
    """The marks of a text at the offsets they have once it is masked; what was masked begins where its mask does."""
    ahead, shift = list(reversed(spans)), 0
    for offset, label in marks:
        while ahead and ahead[-1].end <= offset:
            start, end, mask = ahead.pop()
            shift += len(mask) - (end - start)
        yield (min(offset, ahead[-1].start) if ahead else offset) + shift, label


def _resident(number: re.Match[str]) -> tuple[int, int]:
    year, month, day, kind = map(int, number.groups())
    try:
        born = date({9: 1800, 0: 1800, 3: 2000, 4: 2000, 7: 2000, 8: 2000}.get(kind, 1900) + year, month, day)
    except ValueError:
        return _NOWHERE
    return number.span() if born.year < 2050 else _NOWHERE  # Korean barcodes begin with 8801


def _card(number: re.Match[str]) -> tuple[int, int]:
    """All of the number, or its first sixteen digits where others follow that are not part of it."""
    return next((number.span(part) for part in (0, 1) if number[part] and _checks(number[part])), _NOWHERE)


def _checks(number: str) -> bool:
    """Whether the last digit is the check digit of the others. Source: ISO/IEC 7812-1, annex B."""
    digits = [int(char) for char in reversed(number) if char.isdecimal()]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def _phone(number: re.Match[str]) -> tuple[int, int]:
    """All of the number, unless it is rather from one year to another."""
    since, until = number["since"], number["until"]
    return _NOWHERE if since and int(since) < int(until) < 2100 else number.span()


def _account(number: re.Match[str]) -> tuple[int, int]:
    return number.span() if 11 <= sum(map(str.isdecimal, number[0])) <= 14 else _NOWHERE


def _at_bank(number: re.Match[str]) -> tuple[int, int]:
    return number.span("after" if number["after"] else "before")


_KINDS: tuple[tuple[str, re.Pattern[str], _Extent], ...] = (
    ("email", _EMAIL, re.Match.span),
    ("id number", _RESIDENT, _resident),
    ("card", _CARD, _card),
    ("phone", _PHONE, _phone),
    ("account", _ACCOUNT, _account),
    ("account", _AT_BANK, _at_bank),
)


def _forms(name: str) -> Iterator[str]:
    """The forms in which a speaker may be named: as a whole, without what is in brackets, by a word of the name."""
    name = " ".join(name.split())
    bare = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", name)
    bare = re.sub(r"^[\W_]+|[\W_]+$", "", bare)
    bare = re.sub("^([가-힣]) (?=[가-힣]{2}$)", r"\1", bare)
    yield from (form for form in (name, bare) if len(re.findall(r"[^\W\d_\u1100-\u11ff]", form)) > 1)
    for word in re.findall(r"[^\W\d_]+", bare):
        if re.fullmatch(f"(?:[{_FAMILY}]|{_LONG_FAMILY})[가-힣]{{2}}", word):
            yield from (word, word[-2:])
        elif len(word) > 2 and word not in _COMMON and not re.search(f"[{_SPACELESS}]", word):
            yield word


def _any_of(words: Iterable[str]) -> str:
    """A pattern of any of the words, longer ones first; by first letters, as thousands are too slow one by one."""
    by_letter = groupby(sorted(words, key=lambda word: (word[0], -len(word), word)), key=lambda word: word[0])
    return "|".join(
        f"{re.escape(letter)}(?:{'|'.join(re.escape(word[1:]) for word in of_one)})" for letter, of_one in by_letter
    )


def _fold(text: str) -> str:
    """A text of the same length in plainer characters: lower case, no full width, one hyphen."""
    return text.translate(_folding())


@cache
def _folding() -> dict[int, str]:
    folding: dict[int, str] = {}
    for code in chain(range(0x3400), range(0xF900, 0x10000), range(0x1D400, 0x1D800)):
        char = chr(code)
        plain = unicodedata.normalize("NFKC", char).lower()
        if len(plain) == 1 and (char.isdecimal() or not plain.isdecimal()):  # a circled 1 is no digit of a number
            folding[code] = plain
    return folding | dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
