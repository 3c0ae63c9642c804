"""What chat exports of several programs share: messages with ids, and dates written in the way of some country."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import groupby, pairwise
from typing import NamedTuple

from persona_cli.loading.decoding import clean
from persona_cli.models import Turn

MOMENT = r"""
    (?P<one>\d{1,4}) \s?(?P<mark>[-./년年])\s? (?P<two>\d{1,2}) \s?[-./월月]\s? (?P<three>\d{1,4}) [.일日]?
    [,،]? \s (?P<before>(?:[^\W\d_]|[.\s]){0,8})
    (?P<hour>\d{1,2}) \s?[:.h시]\s? (?P<minute>\d{2}) (?:[:.](?P<second>\d{2}))? (?P<after>(?:[^\W\d_]|[.\s]){0,8}?)
    """
"""A date and a time as some country writes them, for `re.VERBOSE`: "8/8/19, 1:25 PM", "24/8/21 오후 9:50"."""

_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST = (0, 1, 2), (2, 1, 0), (2, 0, 1)
"""Where, of the three numbers of a date, the year, the month and the day are."""
_FORENOON = frozenset(("am", "오전", "上午", "午前"))
_AFTERNOON = frozenset(("pm", "오후", "下午", "午後"))

Person = tuple[str, str]
"""Id and name."""
_Day = tuple[str, str, str]
_Order = tuple[int, int, int]


class Message(NamedTuple):
    """A message with words in it.

    Attributes:
        author: None when the words are not the sender's own.
        answers: id of the message it is a reply to; empty when it is none.
    """

    id: str
    author: Person | None
    text: str
    date: str | None
    answers: str


def turns_of(messages: Sequence[Message], people: Mapping[Person, str], chat: str | None = None) -> Iterator[Turn]:
    """What people wrote themselves in one chat, and what they replied to where somebody else wrote it.

    Args:
        people: what to call them.
        chat: the chat's name, where the file holds several.
    """
    known = {message.id: message for message in messages}
    for message in messages:
        if message.author:
            answered = known.get(message.answers)
            replies_to = answered.text if answered and answered.author != message.author else None
            yield Turn(people[message.author], message.text, message.id, message.id, message.date, replies_to, chat)


def turn_of_lines(speaker: str, text: str, line: int, date: str | None) -> Turn | None:
    """What somebody said on lines of a file, the first of them `line`; None when they are blank."""
    text = text.rstrip()
    words = text.lstrip()
    first = line + text.count("\n", 0, len(text) - len(words))
    return Turn(speaker, words, str(first), str(first + words.count("\n")), date) if words else None


def spell_dates(moments: Sequence[re.Match[str] | None]) -> list[str | None]:
    """What `MOMENT` found, in ISO 8601, all read in the one order of day, month and year that suits the file best.

    That is the order in which the fewest of the days do not exist, then time turns back least often (or forward, when
    a file begins with the latest), then the fewest years are touched. Where several are left, as in a chat of one day,
    it is a guess: the year first where 오전, 下午 or a half in front of the time speak for it; the month first after an
    American "1:25 PM" with slashes and no leading zeros; else the day first.
    """
    found = [moment for moment in moments if moment]
    days = [day for day, _ in groupby(map(_numbers, found))]
    order = min(_orders(found, days), key=lambda order: _faults(days, order)) if found else _DAY_FIRST
    known = {day: _day(day, order) for day in set(days)}
    return [_spell(moment, known[_numbers(moment)]) if moment else None for moment in moments]


def tell_apart(people: Iterable[Person]) -> dict[Person, str]:
    """What to call people: by their name, and by their id too where another's name looks the same."""
    known = set(people)
    namesakes = Counter(_bare(name) for _, name in known)
    return {(of, name): f"{name} ({of})" if of and namesakes[_bare(name)] > 1 else name for of, name in known}


def in_order(turns: list[Turn]) -> list[Turn]:
    """The turns as they were said, when the file begins with the latest."""
    dates = [turn.date for turn in turns if turn.date]
    return turns[::-1] if dates and dates[0] > dates[-1] else turns


def text_of(value: object) -> str:
    """A string of a JSON document without what is no text and without white space around it; empty if it is none."""
    return clean(value).strip() if isinstance(value, str) else ""


def label_of(value: object) -> str:
    """An id of a JSON document, a number or a string, as it stands there; empty if it is none."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(value)


def _bare(name: str) -> str:
    """A name without what can make it look like another one's."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(filter(str.isalnum, folded)) or folded


def _numbers(moment: re.Match[str]) -> _Day:
    return moment["one"], moment["two"], moment["three"]


def _orders(moments: Sequence[re.Match[str]], days: Sequence[_Day]) -> list[_Order]:
    """All orders, the likeliest first."""
    first = moments[0]
    half = _half(first)
    if half and (_half(first, "before") or not half.isascii()):
        return [_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST]
    is_padded = any(number.startswith("0") for day in days for number in day[:2])
    if first["mark"] == "/" and first["after"].strip() in ("AM", "PM") and not is_padded:
        return [_MONTH_FIRST, _DAY_FIRST, _YEAR_FIRST]
    return [_DAY_FIRST, _MONTH_FIRST, _YEAR_FIRST]


def _faults(days: Sequence[_Day], order: _Order) -> tuple[int, int, int]:
    dates = [found for day in days if (found := _day(day, order))]
    back = sum(later < earlier for earlier, later in pairwise(dates))
    forth = sum(later > earlier for earlier, later in pairwise(dates))
    return len(days) - len(dates), min(back, forth), len({found.year for found in dates})


def _day(numbers: _Day, order: _Order) -> date | None:
    year, month, day = (numbers[at] for at in order)
    if len(year) not in (2, 4):
        return None
    try:
        return date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None


def _spell(moment: re.Match[str], day: date | None) -> str | None:
    hour, half = int(moment["hour"]), _half(moment)
    if half:
        hour = hour % 12 + 12 * (half in _AFTERNOON)
    try:
        at = time(hour, int(moment["minute"]), int(moment["second"] or 0))
        return datetime.combine(day, at).isoformat() if day else None
    except ValueError:  # 25 o'clock
        return None


def _half(moment: re.Match[str], *groups: str) -> str:
    """The half of the day a time is in, "am" or "오후", as it is written in either place; empty when it is not said."""
    written = "".join(moment[group] for group in groups or ("before", "after"))
    letters = "".join(filter(str.isalpha, written)).casefold()
    return letters if letters in _FORENOON | _AFTERNOON else ""
