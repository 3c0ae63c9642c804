"""Transcripts in running text, a name before each turn (`Name: ...`) → dialogues.

In ordinary texts too a line may begin with a word and a colon. What makes a dialogue is that speakers come back after
others have spoken, that most of the text is theirs, and that somebody asks, or that the time beside the names
goes on. Records, notes, logs and lists of facts fail in one of these: of 12,900 manuals, changelogs and readme files
one passed, and that was an interview.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby, pairwise
from typing import Literal

from persona_cli.loading.dates import parse_date
from persona_cli.loading.pairs import is_question, labelled_question
from persona_cli.models import Dialogue, Turn

_MAX_LABEL_CHARS = 100
_MAX_NAME_COLUMNS = 30
_MAX_NAME_WORDS = 4
_MAX_TITLE_CHARS = 60
_ASKER = "Q"
"""The speaker of questions that are labelled as such, or stand as headings, before turns that have names."""

_FIELDS = """
    a answer response reply prompt problem solution hint note notes tip warning caution example summary conclusion
    source photo date time place location title subject topic name age job email url from to
    답 답변 대답 응답 회신 문의 문제 정답 해설 보기 힌트 주의 참고 예 예시 팁 비고 요약 결론 정리 출처 사진 제공 링크
    일시 날짜 시간 장소 제목 주제 안건 이름 나이 직업 주소 전화 연락처
"""
"""What often stands before a colon and is nobody, in words."""
_NOBODY = frozenset(_FIELDS.split())

_TIME = r"(?:(?:오전|오후)\s?)?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,3})?)?(?:\s?[AaPp][Mm])?"
_BOLD = r"(?:\*\*|__)?"
_LABEL = re.compile(
    rf"""\s{{0,3}} (?:[-*+•]\s+)? (?: [\[(]?{_TIME}[\])]? \s* )? (?P<bold>{_BOLD})
        (?P<open>[\[【])? (?P<name> [^\W\d_] [^\t:：,;!?"“”<>=|/\\\[\]【】()（）{{}}\#*_`~]{{0,30}}? ) \s*
        (?(open)[\]】]) (?P<ends>{_BOLD}) (?: \s* [\[(（] [^\[\]()（）]{{1,20}} [\])）] )?
        (?: \s* [-|·,]? \s* {_TIME} )? {_BOLD}
        (?: \s* (?P<colon>[:：](?![:：/\\=\d])) {_BOLD} (?P<gap>\s+)? | (?<=[*_\]】]) \s+ | \s*$ )
    """,
    re.VERBOSE,
)
"""A name in any dress: `Name:`, `**Name:**`, `- Name：`, `[00:12] Name:`, `Name (guest):`, `Name  00:12`, `[Name]`."""
_STAMP = re.compile(_TIME)
_NUMBERED = re.compile(r"(?:참석자|화자|발화자|speaker|participant)\s?\d{1,2}", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(`{3,})")
_SIGNS = "◇◆■□▶▷"
"""What headings begin with in magazines on the web."""
_HEADING = re.compile(rf" {{0,3}}(?:(?P<markdown>#{{1,6}})\s+|[{_SIGNS}]\s*)(?P<title>.*)")
_RULE = re.compile(r"\s*([-*_=])(?:\s*\1){2,}\s*$")
_FOOTER = re.compile(r"(?:transcribed by\s+)?(?:https?://)?(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_NOTICE = re.compile(r"[ⓒ©]|저작권자(?![가-힣])|무단\s?전재|재배포\s?금지|All rights reserved", re.IGNORECASE)
_BYLINE = re.compile(r"[^:：@]{0,40}기자[\s(<\[|/=]*[\w.+-]{1,64}@[\w.-]{1,64}[)>\]]?")
_DIRECTION = re.compile(
    r"^[*_]{0,3}[(（](?:[^()（）\n]++|\n(?!\n)|[(（][^()（）\n]*+[)）])*+[)）][*_]{0,3}$\n?", re.MULTILINE
)
_MAX_ASIDE_WORDS = 3
"""What is longer and stands in brackets by itself, tells what somebody does; `(웃음)` is part of what they say."""
_PUBLISHED = re.compile(
    r"(?:기사\s?)?(?:입력|등록|작성|게재|발행|승인)(?:일시?)?\s*[:：]?(?P<date>(?:(?!수정|업데이트)[^|])+)"
)
_ASKS = re.compile(r"[?？](?![\w=&])")


_Kind = Literal["", "field", "colon", "line", "dress"]
"""How a name is set off: by a colon, by a line of its own, by bold letters or brackets. A field is what looks like a
name and is nobody's; empty is what does not even look like one."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line on which somebody begins to speak, or nobody does any more: a heading, a rule.

    Attributes:
        at: index of the line.
        name: of the speaker; empty for nobody.
        words: what follows the label on its line.
        kind: how the name is set off, which is the same in all of a file.
        look: finer points of that, which tell a speaker from a word that somebody sets off in a turn.
        time: which stands beside the name, if one does.
    """

    at: int
    name: str = ""
    words: str = ""
    kind: _Kind = ""
    look: tuple[bool, ...] = ()
    time: str = ""


_Spoken = tuple[_Mark, Turn]


def read_turns(
    lines: Sequence[str], start: int = 0, *, title: str | None = None, date: str | None = None
) -> Dialogue | None:
    """The dialogue in the lines of a file from index `start` on; None when they are none.

    What comes before the first turn is no part of it, nor what comes after a heading or a rule without a name.

    Args:
        title: what the dialogue is called, and
        date: when it was held, where the file says so apart from these lines.
    """
    lines = _without_footer(lines)
    marks = _speaking(list(_marks(lines, start)), lines)
    if not marks:
        return None
    preface = [line.strip() for line in lines[start : marks[0].at]]
    spoken = list(_turns(lines, marks, date or _date(preface)))
    if not spoken or not _is_dialogue(spoken, lines, start):
        return None
    return Dialogue([turn for _, turn in spoken], title=title or _title(preface))


def _marks(lines: Sequence[str], start: int) -> Iterator[_Mark]:
    fence, after_blank = "", True
    for at in range(start, len(lines)):
        line = lines[at]
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif opening := _FENCE.match(line):
            fence = opening[1]
        elif heading := _HEADING.match(line):
            title = heading["title"].strip("*_# \t")
            yield _Mark(at, _ASKER, labelled_question(title) or title) if is_question(title) else _Mark(at)
        elif _RULE.match(line):
            yield _Mark(at)
        elif question := labelled_question(line):
            yield _Mark(at, _ASKER, question)
        elif named := _named(line, at, after_blank):
            yield named
        after_blank = not line.strip()


def _named(line: str, at: int, after_blank: bool) -> _Mark | None:
    """The mark on a line that begins with what may be a name."""
    label = _LABEL.match(line[:_MAX_LABEL_CHARS])
    if not label or not _is_short(label["name"]):
        return None
    words, bold, stamp = line[label.end() :].strip(), label["bold"], _STAMP.search(label[0])
    kind = _kind(label, words, stamp is not None)
    if not kind:
        return None
    if _fold(label["name"]).rstrip(". 0123456789") in _NOBODY:
        kind = "field"
    if bold and label[0].count(bold) == 1:
        words = words.replace(bold, "", 1)
    look = (stamp is not None, bool(bold), after_blank)
    return _Mark(at, label["name"], words, kind, look, stamp[0] if stamp else "")


def _kind(label: re.Match[str], words: str, has_time: bool) -> _Kind:
    if label["colon"] == "：" or (label["colon"] and (label["gap"] or not words or not label["name"].isascii())):
        return "colon"
    if label["colon"]:  # "key:value"
        return ""
    if has_time or _NUMBERED.fullmatch(label["name"]):
        return "line" if label["open"] or not words else ""
    return "dress" if words and (label["open"] or (label["bold"] and label["ends"])) else ""


def _is_short(name: str) -> bool:
    columns = sum(2 if char > "\u1100" else 1 for char in name)
    return columns <= _MAX_NAME_COLUMNS and len(name.split()) <= _MAX_NAME_WORDS


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())


def _speaking(marks: Sequence[_Mark], lines: Sequence[str]) -> list[_Mark]:
    """The marks of speakers and of nobody, from the first turn on.

    Who speaks more than once is a speaker; who speaks once, if their name looks like most. A heading asks, and a
    labelled question is one, when somebody answers under their name; else labelled questions belong to pairs, and there
    are no marks at all.
    """
    often = Counter(_fold(mark.name) for mark in marks if mark.kind)
    again = [mark for mark in marks if mark.kind and often[_fold(mark.name)] > 1]
    fields = sum(mark.kind == "field" for mark in again)
    if 6 * fields >= len(again):  # records: in a dialogue somebody may say "Note: ..." twice, and hardly more
        return []
    [(kind, _)] = Counter(mark.kind for mark in again if mark.kind != "field").most_common(1)
    [(look, _)] = Counter(mark.look for mark in again if mark.kind == kind).most_common(1)
    marks = [
        mark
        for mark in marks
        if not mark.kind or (mark.kind == kind and (mark.look == look or often[_fold(mark.name)] > 1))
    ]
    speaking: list[_Mark] = []
    for mark, after in zip(marks, [*marks[1:], _Mark(len(lines))], strict=True):
        is_answered = after.kind and not any(line.strip() for line in lines[mark.at + 1 : after.at])
        if mark.name and not mark.kind and not is_answered:
            if not _HEADING.match(lines[mark.at]):
                return []
            mark = _Mark(mark.at)
        if speaking or (mark.name and (not mark.kind or often[_fold(mark.name)] > 1)):
            speaking.append(mark)
    return speaking


def _turns(lines: Sequence[str], marks: Sequence[_Mark], date: str | None) -> Iterator[_Spoken]:
    for mark, stop in zip(marks, [*(after.at for after in marks[1:]), len(lines)], strict=True):
        text = "\n".join([mark.words, *(line.strip() for line in lines[mark.at + 1 : stop])])
        at = mark.at
        for offset, stretch in _without_directions(text) if mark.name else ():
            words = stretch.strip("\n")
            first = mark.at + 1 + offset + len(stretch) - len(stretch.lstrip("\n"))
            last = first + words.count("\n")
            if words:
                yield replace(mark, at=at), Turn(mark.name, words, str(first), str(last), date=date)
                at = last


def _without_directions(text: str) -> Iterator[tuple[int, str]]:
    """The stretches of a text between stage directions, each with the number of lines before it."""
    line = start = 0
    for direction in _DIRECTION.finditer(text):
        if len(direction[0].split()) > _MAX_ASIDE_WORDS:
            yield line, text[start : direction.start()]
            line += text.count("\n", start, direction.end())
            start = direction.end()
    yield line, text[start:]


def _is_dialogue(spoken: Sequence[_Spoken], lines: Sequence[str], start: int) -> bool:
    runs = Counter(name for name, _ in groupby(_fold(mark.name) for mark, _ in spoken))
    come_back = sum(count for count in runs.values() if count > 1)
    paragraphs = [turn.text.split("\n\n") for _, turn in spoken]
    asking = sum(_ASKS.search(first) is not None for first, *_ in paragraphs)
    theirs = sum(_size(lines[mark.at : int(turn.last)]) for mark, turn in spoken) - sum(map(len, paragraphs[-1][1:]))
    return (
        len(runs) > 1
        and 3 * come_back >= 2 * runs.total()
        and 4 * len(paragraphs) >= sum(map(len, paragraphs))
        and 2 * theirs >= _size(lines[start:])
        and (20 * asking >= len(spoken) or _goes_on([mark.time for mark, _ in spoken if mark.time], len(spoken)))
    )


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.strip()) for line in lines)


def _goes_on(times: Sequence[str], turns: int) -> bool:
    """Whether most turns have a time, and hardly one is before the last."""
    back = sum(earlier > later for earlier, later in pairwise(map(_seconds, times)))
    return 3 * len(times) >= 2 * turns and 10 * back <= len(times)


def _seconds(time: str) -> float:
    """What a time comes to; of clocks without seconds minutes, which compare just as well."""
    numbers = [float(number.replace(",", ".")) for number in re.findall(r"[\d.,]+", time)]
    half = next((half for half in ("오후", "PM", "오전", "AM") if half in time.upper()), "")
    numbers[0] = numbers[0] % 12 + 12 * (half in ("오후", "PM")) if half else numbers[0]
    return reduce(lambda total, number: total * 60 + number, numbers)


def _without_footer(lines: Sequence[str]) -> Sequence[str]:
    """The lines without what stands below everything else: who wrote it, whose it is, what program it is from."""
    stop = len(lines)
    while stop and (not lines[stop - 1].strip() or _is_footer(lines, stop - 1)):
        stop -= 1
    return lines[:stop]


def _is_footer(lines: Sequence[str], at: int) -> bool:
    line = lines[at].strip()
    if _FOOTER.fullmatch(line):
        return at > 0 and not lines[at - 1].strip()
    named = _named(line, at, after_blank=False)  # somebody may speak of such a notice
    is_notice = _NOTICE.search(named.name if named else line)
    return bool(is_notice or _BYLINE.fullmatch(line))


def _title(preface: Sequence[str]) -> str | None:
    """The first heading, or the first line if it is no sentence."""
    headings = [match["title"] for line in preface if (match := _HEADING.match(line)) and match["markdown"]]
    first = next((line for line in [*headings, *preface] if line), "").strip(f"*_# \t{_SIGNS}")
    return first if headings or (0 < len(first) <= _MAX_TITLE_CHARS and first[-1] not in ".!?。…") else None


def _date(preface: Sequence[str]) -> str | None:
    """The date on a line of its own, perhaps with a label before it or a length of time after it."""
    for line in (line.split("・")[0].strip("*_ ") for line in preface):
        published = _PUBLISHED.match(line)
        dated = published["date"].strip("/· ") if published else line.partition(":")[2]
        if date := parse_date(line) or parse_date(dated):
            return date
    return None
