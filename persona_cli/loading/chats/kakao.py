"""KakaoTalk exports → dialogues.

An export of text names the room, tells when it was saved, and then has a line for each message, in a form that depends
on the program and its language. A message goes on until the next such line, a date, or a notice ("… joined").
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, takewhile
from typing import NamedTuple

from persona_cli.loading.dates import parse_date
from persona_cli.models import Dialogue, Turn

_HEADER_LINES = 5
"""In these the header stands: what the room is called, and when the export was saved."""
_SAMPLE_CHARS = 100_000
_MIN_MESSAGES = 3
"""Without a header a file needs so many messages, and a third of its lines must begin one or come between them."""

_TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_HALF = r"(?:오전|오후|AM|PM)"
_AM_PM = r"\s?[AaPp]\.?[Mm]\.?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_KOREAN = r"\d{4}년 \d{1,2}월 \d{1,2}일"
_DOTTED = r"\d{4}[-.] ?\d{1,2}[-.] ?\d{1,2}\.?"
_AMERICAN = rf"{_MONTH} \d{{1,2}}, \d{{4}}"
_BRITISH = rf"\d{{1,2}} {_MONTH} \d{{4}}"
_DAY = rf"(?:{_KOREAN}|{_DOTTED}) .요일|[A-Z][a-z]+day,? (?:{_AMERICAN}|{_BRITISH})"
_NAME = r"(?:[^\[\]]++|\[[^\[\]]*+\])*+|[^\[]*?|[^\]]*"
"""A name in brackets, which may hold some itself: pairs, or else only those that close, or only those that open."""


class _Form(NamedTuple):
    """How a program writes a chat.

    Attributes:
        head: begins the first line of a message, or a notice, which has no `name`.
        date_line: a line with the date, or date and time, of what follows.
        by_day: whether a head has the time only, and the date line the day.
        sure: whether such heads are proof without a date line.
        notice: a line that nobody said, where such lines have no head.
    """

    head: re.Pattern[str]
    date_line: re.Pattern[str]
    by_day: bool
    sure: bool
    notice: re.Pattern[str] | None = None


_GONE = r"""
    삭제된\ 메시지입니다\.? | 채팅방\ 관리자가\ 메시지를\ 가렸습니다\.?
    | [Tt]h(?:is|e)\ message\ (?:was|has\ been)\ deleted\.?"""
_NOTICE = re.compile(
    rf"""{_GONE}
    | .+님[이을]\ (?:들어왔|나갔|내보냈|초대했|초대하였|부?방장이\ 되었)습니다\.? (?:\s*(?:운영정책|타인).*)?
    | (?:운영정책을\ 위반한|타인,\ 기관\ 등의\ 사칭).*
    | .+\ (?:joined|left|was\ removed\ from)\ (?:this|the)\ chat\ ?room\.?
    | (?![a-z]|(?:I|We|You|He|She|It|They|My|Our|The|Every\w*|Some\w*|No(?:body)?)\b)  # a name: those begin sentences
      \S+(?:\ \S+){{0,3}}?\ (?:joined|left|invited\ .+)\.
    """,
    re.VERBOSE,
)


def _windows(when: str, *, sure: bool) -> _Form:
    head = rf"\[(?P<name>{_NAME})\] \[(?P<when>{when})\](?: (?P<text>.*)|$)"
    return _Form(re.compile(head), re.compile(rf"-{{3,}} (?:{_DAY}) -{{3,}}"), by_day=True, sure=sure, notice=_NOTICE)


def _mobile(when: str, *, by_day: bool = False) -> _Form:
    head = rf"(?P<when>{when})(?:, (?P<name>.*?) :(?: (?P<text>.*)|$)|[,:] )"
    return _Form(re.compile(head), re.compile(_DAY if by_day else rf"{when}|{_DAY}"), by_day=by_day, sure=not by_day)


_FORMS = (
    _windows(rf"{_HALF} {_TIME}|{_TIME}{_AM_PM}", sure=True),  # [이름] [오전 1:01] 내용 / [name] [2:37 PM] text
    _windows(_TIME, sure=False),  # [이름] [20:36] 내용, as transcripts have it too
    _mobile(rf"{_KOREAN} (?:{_HALF} )?{_TIME}"),  # Android: 2015년 7월 9일 오후 8:34, 이름 : 내용
    _mobile(rf"{_DOTTED} (?:{_HALF} )?{_TIME}"),  # iOS: 2015. 7. 9. 오후 8:34, 이름 : 내용 / 2023. 5. 10. 14:05, …
    _mobile(rf"{_HALF} {_TIME}", by_day=True),  # iOS below a day: 오후 8:36, 이름 : 내용
    _mobile(rf"{_AMERICAN}(?:,| at)? {_TIME}(?:{_AM_PM})?"),  # July 9, 2015, 8:34 PM, you : / Dec 31, 2014 at 19:12, …
    _mobile(rf"{_BRITISH}(?:,| at)? {_TIME}(?:{_AM_PM})?"),  # 31 December 2014 at 19:12, name : text
    _mobile(rf"{_TIME}(?:{_AM_PM})?, {_AMERICAN}"),  # Android, older: 8:34pm, July 9, 2015, you : text
)

_SAVED = re.compile(r"(?:저장한 날짜|Date Saved) ?: ?\S")
_ROOM = re.compile(
    r"(?:KakaoTalk Chats with (.+?)|(.+) with KakaoTalk Chats|(.+?)(?: ?님과|(?<=\))과)? 카카오톡 대화)(?:-\d+\.txt)?"
)
_HEADCOUNT = re.compile(r" ?\(\d+ ?(?:명|people)?\)$| \d{1,3}$")
_ENGLISH_DATE = re.compile(
    rf"(?:(?P<before>\d{{1,2}}) )?(?P<month>{_MONTH}) (?:(?P<after>\d{{1,2}}), )?(?P<year>\d{{4}})"
)
_CLOCK = re.compile(rf"{_TIME}(?:{_AM_PM})?")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

_FILE_NAME = r"[0-9a-f]{32,}\.\w{2,4}"  # of what an export puts beside the text
_PLACEHOLDER = re.compile(
    rf"""{_GONE}
    | [<(]? (?:사진|동영상|이모티콘|음성\ ?메시지|지도|연락처|투표|선물|카카오톡\ 프로필) (?:\ 읽지\ ?않음)? [>)]?
    | [<(]? (?:(?:photo|video|emoticon|sticker)s?|voice\ (?:note|message)|map|contact|poll|gift) (?:\ unread)? [>)]?
    | 사진\ \d+장 | 동영상\ \d+개 | \d+\ (?:photo|video)s
    | (?:파일|지도|연락처|샵검색|톡게시판\ '투표[^']*'|file|map)\ ?:\ .+
    | (?:그룹\ ?)? (?:보이스톡|페이스톡|라이브톡|보이스룸|그룹콜|(?:voice|video)\ call|live\ talk)
      (?:\ ?(?:해요|취소|부재중|응답\ ?없음|거절|시작|종료|started|ended|cancell?ed|missed|declined|no\ answer))?
      \.? (?:\ \d+:\d\d(?::\d\d)?)?
    | {_FILE_NAME} (?:\n{_FILE_NAME})*
    """,
    re.VERBOSE | re.IGNORECASE,
)


def read_text(text: str) -> Dialogue | None:
    """The chat in an export of KakaoTalk for Windows, Android or iOS; None when it is none."""
    form = _form_of(text[:_SAMPLE_CHARS].split("\n"))
    if not form:
        return None
    lines = text.rstrip().split("\n")
    starts = list(_starts(lines, form))
    if not _is_export(lines, starts, form):
        return None
    header = takewhile(lambda line: not form.head.match(line), lines[:_HEADER_LINES])
    return Dialogue(list(_turns(lines, starts)), title=next(filter(None, map(_room, header)), None))


def read_table(rows: Sequence[tuple[int, Sequence[str]]]) -> Dialogue | None:
    """The chat in an export of KakaoTalk for macOS, whose header is `Date,User,Message`; None when it is none."""
    if not rows or [cell.strip() for cell in rows[0][1]] != ["Date", "User", "Message"]:
        return None
    dates = [parse_date(cells[0]) if len(cells) > 2 else None for _, cells in rows]
    begins = [at for at, date in enumerate(dates) if date]
    turns: list[Turn] = []
    for at, end in pairwise([*begins, len(rows)]):
        # Where nothing is quoted, the commas and newlines of a message were taken for those of the table.
        said = [rows[at][1][2:], *(cells for _, cells in rows[at + 1 : end])]
        user, text = rows[at][1][1].strip(), "\n".join(map(",".join, said)).strip()
        is_notice = text.startswith(user) and _NOTICE.fullmatch(text.partition("\n")[0])
        if user and text and not is_notice and not _PLACEHOLDER.fullmatch(text):
            turns.append(Turn(user, text, str(rows[at][0]), str(rows[end - 1][0]), dates[at]))
    return Dialogue(turns, unit="row") if begins else None


def _form_of(sample: Sequence[str]) -> _Form | None:
    """The form that most lines have; None when none has any."""
    counts = [sum(1 for line in sample if form.head.match(line)) for form in _FORMS]
    return _FORMS[counts.index(max(counts))] if any(counts) else None


class _Start(NamedTuple):
    """The line, counted from 0, on which a message starts, or is over; what comes after that has no speaker."""

    at: int
    speaker: str = ""
    date: str | None = None
    text: str = ""


def _starts(lines: Sequence[str], form: _Form) -> Iterator[_Start]:
    iso, day = cache(_iso), ""
    for at, line in enumerate(lines):
        if head := form.head.match(line):
            name, when, text = head.group("name", "when", "text")
            yield _Start(at, (name or "").strip(), iso(f"{day} {when}"), text or "")
        elif form.date_line.fullmatch(line) and _is_no_text(lines, at, form):
            day = (iso(line.strip("- ")) or "") if form.by_day else ""
            yield _Start(at)
        elif _SAVED.match(line):
            yield _Start(max(at - 1, 0))  # with the room: another export was put behind the first
        elif form.notice and form.notice.fullmatch(line):
            yield _Start(at)


def _is_no_text(lines: Sequence[str], at: int, form: _Form) -> bool:
    """Whether a line with a date is the program's: it has dashes, or a message comes at once."""
    return lines[at].startswith("-") or at + 1 == len(lines) or bool(form.head.match(lines[at + 1]))


def _is_export(lines: Sequence[str], starts: Sequence[_Start], form: _Form) -> bool:
    if any(map(_SAVED.match, lines[:_HEADER_LINES])):
        return True
    messages = [start for start in starts if start.speaker]
    if len(messages) < _MIN_MESSAGES or not (form.sure or any(start.date for start in messages)):
        return False
    return 3 * len(starts) >= sum(1 for line in lines if line and not line.isspace())


def _turns(lines: Sequence[str], starts: Sequence[_Start]) -> Iterator[Turn]:
    for start, after in pairwise([*starts, _Start(len(lines))]):
        said = [start.text, *lines[start.at + 1 : after.at]]
        filled = [at for at, line in enumerate(said) if line and not line.isspace()] if start.speaker else []
        if filled:
            text = "\n".join(said[filled[0] : filled[-1] + 1]).strip()
            if not _PLACEHOLDER.fullmatch(text):
                first, last = (str(start.at + 1 + at) for at in (filled[0], filled[-1]))
                yield Turn(start.speaker, text, first, last, start.date)


def _room(line: str) -> str | None:
    """What a line of the header calls the room, without the number of people in it."""
    found = _ROOM.fullmatch(line.strip())
    return _HEADCOUNT.sub("", next(filter(None, found.groups()))).strip() or None if found else None


def _iso(written: str) -> str | None:
    """The day, or day and time, in ISO 8601; None when there is no such day."""
    if english := _ENGLISH_DATE.search(written):
        month = _MONTHS.index(english["month"][:3]) // 3 + 1
        clock = _CLOCK.search(written)
        time = clock[0].replace(".", "") if clock else ""
        written = f"{english['year']}-{month}-{english['before'] or english['after']} {time}"
    return parse_date(written)
