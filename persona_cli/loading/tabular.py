"""CSV, TSV, JSON and JSON Lines → segments or dialogues: a row is a recorded pair, a text, or facts."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice

from persona_cli.errors import LoadError
from persona_cli.loading.chats import chat_in_json, chat_in_table
from persona_cli.loading.chats.common import in_order
from persona_cli.loading.dates import parse_date
from persona_cli.loading.decoding import clean, decode
from persona_cli.models import Dialogue, Reading, Segment, Turn

_QUESTION = ("question", "q", "prompt", "질문", "문의", "문", "물음")
_ANSWER = ("answer", "a", "response", "reply", "answers", "답변", "답", "대답", "응답")
_TEXT = ("text", "content", "body", "message", "내용", "본문", "텍스트", "메시지", "말")
_DATE = ("date", "datetime", "created_at", "time", "timestamp", "날짜", "일시", "작성일", "시각")
_SPEAKER = ("speaker", "author", "name", "user", "화자", "작성자", "이름", "발화자")
_SAID = frozenset(_QUESTION + _ANSWER + _TEXT)
"""Names of columns that hold what people said, rather than facts."""
_ID = ("id", "no", "no.", "idx", "index", "uuid", "#", "번호", "순번")

_TALKERS = 3
"""So many speakers may have one row each in a talk."""

_DELIMITERS = ",;\t"
_SNIFFED_ROWS = 20
_MAX_FIELD_CHARS = 2**31 - 1  # the largest that csv accepts on every platform
_ESCAPE = re.compile(r"\\(?:x([0-9A-F]{2})|.)")

_Row = Sequence[tuple[str, str]]
"""Names and values, as they stand in the file but for white space around them."""


def read_csv(data: bytes, delimiter: str | None = None) -> Reading:
    """The chat, or the rows, of a table, counted as a spreadsheet counts them.

    Args:
        delimiter: what separates columns; None to find out.
    """
    text = decode(data)
    csv.field_size_limit(_MAX_FIELD_CHARS)
    delimiter = delimiter or _delimiter(text)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = [(number, row) for number, row in enumerate(reader, 1) if any(cell.strip() for cell in row)]
    return chat_in_table(rows) or by_speaker(read_rows(rows, delimiter))


def read_rows(rows: Sequence[tuple[int, Sequence[str]]], delimiter: str = ",") -> list[Segment]:
    """The rows of a table, numbered, the header first if there is one.

    Args:
        delimiter: what a text that was cut into too many cells is put together with again.
    """
    header, start = _header([row for _, row in rows])
    found = (_segment(_row(header, row, delimiter), place=f"row {number}") for number, row in rows[start:])
    return [segment for segment in found if segment]


def by_speaker(segments: Sequence[Segment]) -> Reading:
    """A dialogue, where rows name two speakers or more and none is a recorded pair; else the rows as they are.

    Nobody is quoted with another's words so. Rows without a speaker are left out of a dialogue. Where many names
    stand once each, the table is a glossary or a list of people, not a talk.
    """
    named = [(segment.speaker, segment) for segment in segments if segment.speaker]
    speakers = {speaker for speaker, _ in named}
    is_list = len(speakers) == len(named) > _TALKERS
    if len(speakers) < 2 or is_list or any(segment.question for segment in segments):
        return segments
    unit, turns = "", []
    for speaker, segment in named:
        unit, _, label = (segment.place or f"line {segment.line}").rpartition(" ")
        turns.append(Turn(speaker, segment.text, label, label, segment.date))
    return Dialogue(in_order(turns), unit)


def read_tsv(data: bytes) -> Reading:
    """The rows of a table whose columns are separated by tabs."""
    return read_csv(data, "\t")


def read_json(data: bytes) -> Reading:
    """The chat in a JSON document, or its records, however deep: objects, strings, a mapping of questions to answers.

    Raises:
        LoadError: it is not JSON, or a character card.
    """
    value = _parse(decode(data))
    if isinstance(value, dict) and str(value.get("spec", "")).startswith(("chara_card", "lorebook")):
        raise LoadError("a character card is not read as words: `persona card import` takes it")
    if chat := chat_in_json(value):
        return chat
    numbers = count(1)
    found = (_segment(row, place=key or f"item {next(numbers)}") for key, row in _rows(value, listed=False))
    return by_speaker([segment for segment in found if segment])


def read_json_lines(data: bytes) -> Reading:
    """The records of a file with a JSON value on each line.

    Raises:
        LoadError: a line is not JSON.
    """
    lines = enumerate(decode(data).split("\n"), 1)
    rows = ((row, line) for line, text in lines if text.strip() for _, row in _rows(_parse(text, line), listed=True))
    return by_speaker([segment for row, line in rows if (segment := _segment(row, line=line))])


def _segment(row: _Row, *, place: str | None = None, line: int | None = None) -> Segment | None:
    """What a row says; None when it says nothing, or holds a question nobody answered."""
    values: dict[str, str] = {}
    for name, value in row:
        values[name.casefold()] = values.get(name.casefold()) or value
    question, text, speaker = _first(values, _QUESTION), _first(values, _ANSWER + _TEXT), _first(values, _SPEAKER)
    if not values.keys() & _SAID:
        speaker = ""  # in a table of facts a name is one of them
        text = "\n".join(f"{name}: {value}" if name else value for name, value in row if value and not _is_id(name))
    if not text:
        return None
    return Segment(
        text,
        question=" ".join(question.split()) or None,
        line=line,
        end_line=line,
        place=place,
        speaker=speaker or None,
        date=parse_date(_first(values, _DATE)),
    )


def _first(values: Mapping[str, str], names: Sequence[str]) -> str:
    """The first value that is not empty, in the order of the names."""
    return next((values[name] for name in names if values.get(name)), "")


def _is_id(name: str) -> bool:
    name = name.casefold()
    return name in _ID or name.endswith(("_id", " id"))


def _asks(text: str) -> bool:
    return text.rstrip().endswith(("?", "？"))


def _delimiter(text: str) -> str:
    """The delimiter that cuts the most of the first rows into one and the same number of columns."""

    def agreement(delimiter: str) -> tuple[int, int]:
        rows = islice(csv.reader(io.StringIO(text), delimiter=delimiter), _SNIFFED_ROWS)
        widths = Counter(len(row) for row in rows if len(row) > 1)
        return max(((rows, width) for width, rows in widths.items()), default=(0, 0))

    return max(_DELIMITERS, key=agreement)


def _header(rows: Sequence[Sequence[str]]) -> tuple[Sequence[str], int]:
    """The names of the columns and the index of the first row below them.

    A table without a header is known by its questions, or by having one column whose first cell is no known name.
    """
    names = [name.strip() for name in rows[0]] if rows else []
    if _folded(names) & _SAID:
        return names, 1
    if len(names) == 2 and _asks(names[0]) and 3 * sum(_asks(row[0]) for row in rows) >= 2 * len(rows):
        return ("question", "answer"), 0
    if all(len(row) == 1 for row in rows):
        return ("text",), 0
    return names, 1


def _row(header: Sequence[str], cells: Sequence[str], delimiter: str) -> _Row:
    """The cells under their names. More cells than names come from a delimiter in text that nobody quoted."""
    cells = list(cells)
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    surplus = len(cells) - len(header)
    if surplus > 0:
        at = next((at for at, name in enumerate(header) if name.casefold() in _ANSWER + _TEXT), len(header) - 1)
        cells[at : at + surplus + 1] = [delimiter.join(cells[at : at + surplus + 1])]
    return [(name, cell.strip()) for name, cell in zip(header, cells, strict=False)]


def _folded(names: Iterable[str]) -> set[str]:
    return {name.strip().casefold() for name in names}


def _parse(text: str, line: int = 1) -> object:
    """The value of a JSON text that begins on a line of its file."""
    try:
        return json.loads(text, parse_int=_number)
    except json.JSONDecodeError as error:
        # Telegram Desktop writes control characters as \x0B, which is not JSON.
        mended = _ESCAPE.sub(lambda escape: f"\\u00{escape[1]}" if escape[1] else escape[0], text)
        if mended != text:
            return _parse(mended, line)
        raise LoadError(
            "not valid JSON at line {line}, column {column}: {reason}",
            line=line + error.lineno - 1,
            column=error.colno,
            reason=error.msg,
        ) from error
    except RecursionError as error:
        raise LoadError("nested too deeply") from error


def _rows(value: object, *, listed: bool) -> list[tuple[str, _Row]]:
    try:
        return list(_records(value, listed=listed))
    except RecursionError as error:
        raise LoadError("nested too deeply") from error


def _number(digits: str) -> int | str:
    """An integer; as it stands when it is longer than Python converts."""
    return int(digits) if len(digits) < 100 else digits


def _records(value: object, *, listed: bool) -> Iterator[tuple[str, _Row]]:
    """The records in a JSON value, in order.

    Args:
        listed: whether the value is an element of a list, and so a record if it can be one at all.

    Yields:
        The key of a text that stands beside lists of records, empty for the records themselves; and the record.
    """
    if isinstance(value, list):
        for element in value:
            yield from _records(element, listed=True)
    elif not isinstance(value, dict):
        yield "", [("text", _plain(value))]
    elif _maps_questions(value, listed=listed):
        yield from (("", [("question", clean(key)), ("answer", _plain(answer))]) for key, answer in value.items())
    elif _is_record(value, listed=listed):
        yield "", [(clean(key).strip(), _plain(part)) for key, part in value.items()]
    else:
        for key, part in value.items():
            if isinstance(part, (dict, list)):
                yield from _records(part, listed=False)
            elif isinstance(part, str) and _is_phrase(part):
                yield clean(key), [("text", _plain(part))]


def _maps_questions(value: Mapping[str, object], *, listed: bool) -> bool:
    """Whether keys are questions and values answers.

    Most keys ask, or are at least more than a word; in a list, where objects are rows and keys columns, they must ask.
    """
    plain = all(isinstance(part, (str, list)) and not _holds_records(part) for part in value.values())
    asking = sum(_asks(key) or (not listed and _is_phrase(key)) for key in value)
    return plain and 2 * asking > len(value) and not _folded(value) & _SAID


def _is_record(value: Mapping[str, object], *, listed: bool) -> bool:
    """Whether an object is a record; else it holds some, perhaps beside the status message of a web service."""
    names = _folded(value)
    said = names & {*_ANSWER, *_TEXT}
    if said and (listed or names & {*_QUESTION}):
        return True
    only_lists = all(isinstance(part, list) for part in value.values())
    return not only_lists and not any(map(_holds_records, value.values()))


def _holds_records(value: object) -> bool:
    """Whether there is a list of objects, or a mapping of questions, in it at any depth."""
    if isinstance(value, dict):
        return _maps_questions(value, listed=True) or any(map(_holds_records, value.values()))
    return isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value)


def _is_phrase(text: str) -> bool:
    return len(text.split()) > 1


def _plain(value: object) -> str:
    """A value in words: the elements of a list, a line each; the text of an object, or else all that is in it."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_plain, value)))
    if isinstance(value, dict):
        parts = {clean(key).strip(): _plain(part) for key, part in value.items()}
        return _first(parts, _TEXT) or "\n".join(f"{key}: {part}" for key, part in parts.items() if part)
    if isinstance(value, str):
        return clean(value).strip()
    return "" if value is None else json.dumps(value)
