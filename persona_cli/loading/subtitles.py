"""Subtitles → what was said, with the time from its beginning to its end.

A cue breaks sentences where the screen is full, so cues are joined and what was said is cut into sentences anew. What
only sounds is left out: a line that is all in square brackets, or begins or ends with a musical note, and one of at
most three words in parentheses. Longer ones are asides and stay, as do parentheses within speech.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from persona_cli.errors import LoadError
from persona_cli.loading.cues import Cue, Line, sami_cues, timed_cues
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import decode
from persona_cli.models import Dialogue, Reading, Segment, Turn

_PAUSE_S = 1.5
"""A longer pause ends a sentence. In the automatic captions of a press conference sentences were 1.1 to 2.1 s apart,
words of one sentence less than 0.9 s; whoever speaks freely also halts for a second to find a word."""
_SILENCE_S = 10.0
"""After a longer one begins another paragraph."""
_MAX_SENTENCE_CHARS = 200
"""Where neither marks nor pauses end a sentence, it ends with the line in which it has become this long."""
_TOUCHING_S = 0.5
"""Cues no further apart follow each other without a break on the screen."""
_MAX_ROLLED_LINES = 4
_FIRST_LINES = 5
"""Names that tell who speaks begin here; where they come later, they are for those out of the picture only."""
_UNKNOWN = "?"
"""Speaks what no name is given for, in subtitles that give names: better nobody's words than somebody else's."""

_DATE = re.compile(
    r"\s*(?:NOTE\s+)?(?:date|recorded|aired|published|날짜|일시|방송일|녹화일|촬영일|게시일)\s*[:：]\s*(\S.*)",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_ONLY_SOUND = re.compile(r"(?:\[[^\[\]]*\] ?)+|[(（][^\s()（）]+(?: [^\s()（）]+){0,2}[)）]|[♩♪♫♬].*|.*[♩♪♫♬]|\W*")
_NAME = r"(?!\d)[^\W_a-z][\w.'’-]{0,30}(?: [^\W_a-z][\w.'’-]{0,30}){0,3}"
_COLON = r" ?[:：](?=[ \u0080-\uffff]|$) ?"
_LABEL = re.compile(rf"\[({_NAME})\](?:{_COLON}| ?)|({_NAME}(?: ?\([^()]{{1,20}}\))?){_COLON}")
_ANY_LABEL = re.compile(rf"\[?([^:：\[\]]{{1,60}}?)\]?{_COLON}")
_END = re.compile(
    r"""[.!?…。！？] (?<![.!?…。！？]{2}) (?:(?<!\d\.)|(?=$))
        (?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bvs\.)(?<!\b[A-Z]\.)
        [.!?…。！？]*+ ["'”’)\]」』》]*+ (?: [ ] | $ | (?<=[。！？」』]) )""",
    re.VERBOSE,
)
"""Marks, but not those of abbreviations and dates."""
_WORD, _WHOLE = re.compile(r"\S+"), re.compile(".+")
_KOREAN_END = re.compile("(?:니다|[가-힣]죠|(?!필요|중요|주요|수요)[가-힣]요)$")
"""How Korean sentences end, which in subtitles often have no marks; at the end of a line, as within it such a syllable
may be any word's."""


class _Part(NamedTuple):
    """What one line holds of a sentence, and the time of the line, in seconds."""

    start: float
    end: float
    text: str


class _Sentence(NamedTuple):
    """Its time, in seconds, and its parts."""

    start: float
    end: float
    speaker: str | None
    parts: Sequence[_Part]


def read_subtitles(data: bytes) -> Reading:
    """The sentences, or the dialogue, in SubRip or WebVTT subtitles; either may bear the other's name.

    Raises:
        LoadError: there are no cues in it, or it is no text.
    """
    head, cues = timed_cues(decode(data))
    return _reading(cues, _date_in(head))


def read_sami(data: bytes) -> Reading:
    """The sentences, or the dialogue, in SAMI subtitles; of several languages in one file, the first.

    Raises:
        LoadError: there are no cues in it, or it is no text.
    """
    return _reading(sami_cues(decode(data)), None)


def _reading(cues: Sequence[Cue], date: str | None) -> Reading:
    if not cues:
        raise LoadError("no subtitles in it")
    lines = [line for line in _named(_unrolled(cues)) if not _ONLY_SOUND.fullmatch(line.text)]
    sentences = list(_sentences(lines))
    if any(line.speaker for line in lines):
        return Dialogue([_turn(sentence, date) for sentence in sentences], unit="")
    return [_prose(sentences, date)] if sentences else []


def _date_in(head: Sequence[str]) -> str | None:
    """The date that a header or a comment before the first cue gives as such, or that the title of WebVTT holds."""
    for line in head:
        if (field := _DATE.match(line)) and (date := parse_date(field[1])):
            return date
    title = head[0] if head and head[0].startswith("WEBVTT") else ""
    return parse_date(found[0]) if (found := _ISO_DATE.search(title)) else None


def _unrolled(cues: Sequence[Cue]) -> list[Line]:
    """The lines of cues, each at the time at which it first appeared.

    Rolling captions repeat the last lines of the cue before. They do so throughout, so in other subtitles what comes
    twice was said twice.
    """
    shown = [(cue, cue.lines()) for cue in cues]
    repeated = [0, *(_repeated(*pair) for pair in pairwise(shown))]
    rolling = sum(map(bool, repeated))
    is_rolling = rolling > 1 and 4 * rolling >= len(cues)
    return [line for (_, lines), known in zip(shown, repeated, strict=True) for line in lines[known * is_rolling :]]


def _repeated(before: tuple[Cue, list[Line]], after: tuple[Cue, list[Line]]) -> int:
    """How many lines at the end of a cue are those at the beginning of the next."""
    if not before[0].start <= after[0].start <= before[0].end + _TOUCHING_S:
        return 0
    ends, begins = ([line.text for line in lines] for _, lines in (before, after))
    sizes = range(min(len(ends), len(begins), _MAX_ROLLED_LINES), 0, -1)
    return next((size for size in sizes if ends[-size:] == begins[:size]), 0)


def _named(lines: Sequence[Line]) -> list[Line]:
    """The lines with who speaks them, if the subtitles tell: by voices, or by names before the words.

    A name holds until the next one, or until somebody else speaks who is not named.
    """
    if any(line.speaker for line in lines):
        return [line._replace(speaker=line.speaker or _UNKNOWN) for line in lines]
    labels = _labels(lines)
    if not labels:
        return list(lines)
    speaker, named = _UNKNOWN, []
    for line, label in zip(lines, labels, strict=True):
        if label:
            speaker = _name(label)
            line = line._replace(text=line.text[label.end() :], is_change=False)
        elif line.is_change:
            speaker = _UNKNOWN
        named.append(line._replace(speaker=speaker))
    return named


def _labels(lines: Sequence[Line]) -> list[re.Match[str] | None]:
    """The name at the beginning of each line, if there is one; nothing when lines begin with no names.

    Either nearly all cues begin with a name, however it looks; or what looks like names stands before half of them, or
    is of two speakers at least who take turns from the beginning on.
    """
    is_first = [at == 0 or line.start != lines[at - 1].start for at, line in enumerate(lines)]
    cues = sum(is_first)
    labels = [_ANY_LABEL.match(line.text) if first else None for line, first in zip(lines, is_first, strict=True)]
    if 5 * sum(map(bool, labels)) >= 4 * cues and 2 * len(_often(labels)) >= cues:
        return labels
    labels = [_LABEL.match(line.text) for line in lines]
    often = _often([label for label in labels if label and not _is_bracket(label)])
    names = set(often)
    take_turns = len(list(groupby(often))) > len(names) > 1 and any(labels[:_FIRST_LINES])
    if not take_turns and 2 * len(often) < cues:
        return []
    return [label if label and (_name(label) in names or not _is_bracket(label)) else None for label in labels]


def _often(labels: Sequence[re.Match[str] | None]) -> list[str]:
    """The names found more than once, each time they were."""
    found = [_name(label) for label in labels if label]
    counts = Counter(found)
    return [name for name in found if counts[name] > 1]


def _name(label: re.Match[str]) -> str:
    return label[label.lastindex or 0]


def _is_bracket(label: re.Match[str]) -> bool:
    """Whether there is nothing but a bracket in the line, which is a sound unless it is a known name."""
    return label.end() == len(label.string) and label.string.endswith("]")


def _sentences(lines: Sequence[Line]) -> Iterator[_Sentence]:
    """What the lines say, cut where a sentence ends, after a pause, and where somebody else speaks."""
    before: Line | None = None
    parts: list[_Part] = []
    for line in lines:
        if before and parts and (_gap(before, line) > _PAUSE_S or line.is_change or line.speaker != before.speaker):
            yield _Sentence(parts[0].start, before.end, before.speaker, parts)
            parts = []
        for text, is_end in _pieces(line.text):
            parts.append(_Part(line.start, line.end, text))
            if is_end or sum(len(part.text) for part in parts) >= _MAX_SENTENCE_CHARS:
                yield _Sentence(parts[0].start, line.end, line.speaker, parts)
                parts = []
        before = line
    if before and parts:
        yield _Sentence(parts[0].start, before.end, before.speaker, parts)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """What a line holds of each of its sentences, and whether the sentence ends there."""
    start = 0
    for end in _END.finditer(text):
        yield text[start : end.end()].rstrip(), True
        start = end.end()
    if start < len(text):
        yield text[start:], bool(_KOREAN_END.search(text, max(start, len(text) - 3)))


def _gap(before: Line | _Sentence, after: Line | _Sentence) -> float:
    """Seconds of silence between two; endless where the time begins anew."""
    return after.start - before.end if after.start >= before.start else math.inf


def _prose(sentences: Sequence[_Sentence], date: str | None) -> Segment:
    """One segment, a sentence a line, that knows when each of its parts begins and ends."""
    texts: list[str] = []
    marks: list[tuple[int, str]] = []
    length, space = 0, ""
    for at, sentence in enumerate(sentences):
        if at:
            space = "\n\n" if _gap(sentences[at - 1], sentence) > _SILENCE_S else "\n"
        for part in sentence.parts:
            length += len(space)
            for first, end in _stretches(part.text):
                marks += (length + first, _spell(part.start)), (length + end - 1, _spell_end(part))
            texts += space, part.text
            length += len(part.text)
            space = " "
    return Segment("".join(texts), marks=marks, date=date)


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where what is never split begins and ends: in a part so long that it may be, each word."""
    return (word.span() for word in (_WORD if len(text) > _MAX_SENTENCE_CHARS else _WHOLE).finditer(text))


def _turn(sentence: _Sentence, date: str | None) -> Turn:
    text = " ".join(part.text for part in sentence.parts)
    last = _spell_end(sentence.parts[-1])
    return Turn(sentence.speaker or _UNKNOWN, text, _spell(sentence.start), last, date)


def _spell_end(part: _Part) -> str:
    """The second at which all of it has been said."""
    return _spell(math.ceil(max(part.start, part.end)))


def _spell(seconds: float) -> str:
    """A time as players show it: "00:12:03"."""
    minutes, whole = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}"
