"""Dates as people write them → ISO 8601."""

import re
from datetime import UTC, date, datetime

_WRITTEN = re.compile(
    r"""(?P<year>\d{4}) \s*[-./년]\s* (?P<month>\d{1,2}) \s*[-./월]\s* (?P<day>\d{1,2}) \s*[.일]?
        (?: \s* \(? [월화수목금토일](?:요일)? \)? )?
        (?: [T,\s]\s* (?P<before>오전|오후|AM|PM)? \s*
            (?P<hour>\d{1,2}) \s*[:시]\s* (?P<minute>\d{1,2}) \s*분?
            (?: \s*:?\s* (?P<second>\d{1,2}) (?:[.,]\d+|초)? )? \s*
            (?P<after>AM|PM)? \s* (?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?
        )?""",
    re.VERBOSE | re.IGNORECASE,
)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})")
_UNIX = re.compile(r"(?P<seconds>\d{10})(?:\d{3}|\.\d+)?")


def parse_date(text: str) -> str | None:
    """The date, or date and time to the second, in ISO 8601.

    Understood: year first with `-`, `.`, `/` or 년 월 일, then perhaps a time, 오전/오후 or AM/PM and a zone; YYYYMMDD;
    Unix seconds (ten digits) and milliseconds (thirteen), which give UTC. Day-first and month-first dates are not, for
    nothing tells one from the other.

    Returns:
        None when it is no such date.
    """
    text = text.strip()
    try:
        if unix := _UNIX.fullmatch(text):
            return datetime.fromtimestamp(int(unix["seconds"]), UTC).isoformat()
        if compact := _COMPACT.fullmatch(text):
            return _iso(compact)
        if written := _WRITTEN.fullmatch(text):
            return _iso(written)
    except ValueError:  # the 31st of February, 25 o'clock
        pass
    return None


def _iso(match: re.Match[str]) -> str:
    part = match.groupdict(default="")
    day = f"{int(part['year']):04}-{int(part['month']):02}-{int(part['day']):02}"
    if not part.get("hour"):
        return date.fromisoformat(day).isoformat()
    hour, half = int(part["hour"]), (part["before"] or part["after"]).upper()
    if half:
        hour = hour % 12 + 12 * (half in ("오후", "PM"))
    zone = part["zone"].upper().replace("UTC", "Z")
    time = f"{hour:02}:{int(part['minute']):02}:{int(part['second'] or 0):02}{zone}"
    return datetime.fromisoformat(f"{day}T{time}").isoformat()
