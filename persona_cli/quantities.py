"""Quantities: the numbers, dates, times and weekdays that a text names, however they are spelled.

One regular expression finds them in digits, Korean and English words; each is brought to values that compare equal for
every spelling. Text is read in NFKC.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from persona_cli.numerals import (
    DAYS,
    DECADES,
    DIGITS,
    MONTHS,
    MYRIADS,
    NATIVE,
    ORDINALS,
    POWERS,
    SCALES,
    SUFFIXES,
    TENS,
    WEEKDAYS,
    WORDS,
    english_value,
    fraction,
    korean_value,
    native_value,
    small,
)


@dataclass(frozen=True, slots=True)
class Date:
    """A date or what is told of one."""

    year: int | None
    month: int | None
    day: int | None


@dataclass(frozen=True, slots=True)
class Time:
    """A time on the face of a clock, hour 0..11, and the half of the day (0 or 1) if it is told."""

    hour: int
    minute: int
    half: int | None


@dataclass(frozen=True, slots=True)
class Weekday:
    """A day of the week, Monday 0."""

    number: int


Value = Fraction | Date | Time | Weekday


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity in a text.

    Attributes:
        start: offset of its first character.
        end: offset after its last one.
        values: what it may mean; it is borne out when one of them is.
        parts: what else it bears out when it stands in evidence.
        claimed: whether it states something; an idiom such as "하나도" or "one of the" does not.
        near: whether it is told as a rough one, "about 40".
    """

    start: int
    end: int
    values: frozenset[Value]
    parts: frozenset[Value] = frozenset()
    claimed: bool = True
    near: bool = False


TOLERANCE = Fraction(1, 10)
"""How far a rough number may be from the one it rounds, as a share of it."""

IDLE_WORDS = {"one", "first", "second", "twice", "a hundred", "a thousand", "a million", "a billion", "a dozen"}
IDLE_WORDS |= {"hundred", "thousand", "million", "billion", "trillion", "dozen"}
FACTORS = {
    **dict.fromkeys(("시간", "hour", "hours"), Fraction(60)),
    **dict.fromkeys(("분", "minute", "minutes"), Fraction(1, 60)),
    **dict.fromkeys(("년", "해", "year", "years"), Fraction(12)),
    **dict.fromkeys(("개월", "달", "month", "months"), Fraction(1, 12)),
    **dict.fromkeys(("주", "week", "weeks"), Fraction(7)),
    **dict.fromkeys(("일", "day", "days"), Fraction(1, 7)),
}
"""What a length of time is also told in."""

AM_PM = "오전|오후|아침|저녁|밤|새벽|낮|점심"
WORD = "|".join(sorted([*WORDS, *SCALES], key=len, reverse=True))
SCALE = "|".join(SCALES)
HOUR_WORD = "(?i:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
NATIVE_WORD = f"(?:(?:{'|'.join(TENS)})?(?:{'|'.join(sorted(NATIVE, key=len, reverse=True))})|{'|'.join(TENS)})"
MONTH = r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
MONTH += r"|Nov(?:ember)?|Dec(?:ember)?)\b(?:\.(?= ?\d))?"
ORDINAL = rf"(?:(?:twenty|thirty)[- ])?(?:{'|'.join(ORDINALS)})\b"
DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?(?![\d:%]|[.,]\d)|{ORDINAL})"
SINO_RUN = "[일이삼사오육칠팔구십백천]{1,8}"
POWER = "(?:[십백천만억]|조(?![각직사건합금]))+"
WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
PARTICLE = (
    "(?:은|는|이|가|을|를|에서?는?|에도|으로|로|와|과|의|도|만|까지는?|부터|쯤|이?나|씩|이서|째|이?랑|하고|한테|께서?|처럼|보다|요|죠|네"
    "|(?:이|인|입|일|였|예|야|지|라|고)[가-힣]{0,3})"
)
UNIT = (
    "(?:여 ?)?(?:원|명|년|개월|개|살|세|대|분|초|시간|주|일|층|학년|퍼센트|프로|킬로|미터|그램|리터|평|권"
    "|편|번|회|차|마리|곡|장|점|등|위"
    "|달러|엔|유로|톤|가구|센티|도|리|배|인|쪽|페이지|자|판|호|가지|곳|여)"
)
COUNTER = (
    "(?:명|살|개|번|마리|권|시간|달|가지|사람|분|잔|병|대|채|곡|편|그루|송이|켤레|벌|장|자루|군데|배|해|주|판|쪽|줄|층|끼|통|척|곳|차례"
    "|바퀴|학기|골|팀|박스|상자|그릇|조각|시즌|정거장|블록|아들|딸|아이|식구|자매|형제|남매|동생|친구|나라|도시|학교|회사|과목|언어|마을)"
)
ENDS = f"(?:{PARTICLE})?(?![가-힣])"
AFTER = f"(?:짜리|동안|정도|이상|이하|간|들|쯤|씩|생|어치|치|만|째|번째|마다|당|내내|반|뿐|밖에|전|후|뒤|하)?{ENDS}"

IDIOMS = (
    r"\[\d{1,3}(?: ?[,–-] ?\d{1,3}){0,20}\]|^[ \t]{0,9}\(?\d{1,2}[.)][ \t]"  # citations, list items
    r"|두 번 다시|하루 ?이틀|두 마리 토끼|(?:다섯|열) 손가락|오만 가지|열대|하나 ?둘"
    r"|한 ?시(?:도|라도|름)|365일|24시간|백만장자|백일장"
    r"|100 ?(?:%|퍼센트|프로) ?(?:확신|동의|믿|맞)|[둘셋넷] (?:다|중|모두)|한두|두세|서너|너댓|대여섯|예닐곱|첫 번째"
    r"|(?:한|두|세|네|다섯) 번째로(?: |$)"
    r"|24/7|100(?:%| percent) (?:sure|certain|behind|agree\w*|worth)"
    r"|(?i:\b(?:twenty[- ]four hours a day|twenty[- ]four[ -]seven|cloud nine|nine to five|fifty[- ]fifty|two cents"
    r"|(?:one|two|three) or (?:two|three|four)|(?:the )?two of (?:us|them|you)|thanks a million|ten to one|six of one"
    r"|(?:an? )?(?:hundred|thousand|million) (?:times|things|reasons|ways|thanks)|(?:one |a )?hundred percent"
    r"|second to none|two birds|two['’]s company|third time['’]?s? (?:the|is|a) charm|(?:second|third|fourth|fifth),))"
)
"""What has a number in it and states none."""
NEAR_BEFORE = re.compile(
    r"(?:\b(?:about|around|nearly|almost|over|roughly|some|under|than|approximately|close to)|약|거의|대략|근|얼추) ?$",
    re.I,
)
NEAR_AFTER = re.compile(
    r" ?(?:\S{1,3} ?)?(?:여(?![가-힣]{2})|남짓|정도|가까이|가까운|넘|쯤|이상|조금 안|or so\b)|\+|-odd"
)
AFTER_SINO_DIGIT = re.compile(" ?(?:년(?!이)|개월|학년|퍼센트|킬로(?![가-힣])|주 ?(?:동안|간|만))")
BEFORE_MONTH = re.compile(r"\b(?:in|of|last|next|since|by|until|till|from|early|late|mid|this|every|to)[ -]$", re.I)
HALF = re.compile(
    r" ?(?:시간|달|년|개월|주|배|바퀴|잔|학기|평|킬로|살) ?반(?= |[이은을의도쯤 ]|동안|만|[^가-힣]|$)"
    rf"| and a half\b(?P<scale> (?:{'|'.join(SCALES)})\b)?| \w{{3,9}} and a half\b"
)
MINUTES = re.compile(rf" ?(?:시간|hours?),?(?: and)? (?P<m>\d{{1,2}}|{SINO_RUN}) ?(?:분|minutes?|min\b)")
DECADE = re.compile(r"'?s\b| ?(?:년 ?)?대(?=[^가-힣]|에|의|는|부터|까지|를|초|중|후|로|가|였|이|$)")
TIME_UNIT = re.compile(r"[ -]?(시간|분|년|해|개월|달(?!러)|주|일|hours?|minutes?|years?|months?|weeks?|days?)(?![a-z])")


def _date(year: str | None, month: str | None, day: str | None) -> Date | None:
    named = MONTHS.get((month or "")[:3].lower())
    y, m, d = (small(part) if part else None for part in (year, str(named) if named else month, day))
    valid = (m is None or 1 <= m <= 12) and (d is None or 1 <= d <= 31)
    return Date(y, m, d) if valid else None


def _dated(match: re.Match[str], *dates: Date | None) -> list[Quantity]:
    kept = [date for date in dates if date]
    if not kept:
        numbers = ((n.span(), fraction(n[0])) for n in re.finditer(r"\d+", match[0]))
        return [Quantity(match.start() + a, match.start() + b, frozenset([value])) for (a, b), value in numbers]
    told = {part for date in kept for part in (date.year, date.year and date.year % 100, date.month, date.day) if part}
    return [Quantity(*match.span(), frozenset(kept), frozenset(map(Fraction, told)))]


def _timed(match: re.Match[str], hour: int, minute: int = 0, half: str | None = None) -> list[Quantity]:
    if hour > 24:
        return []
    side: int | None = None
    half = (half or "").lower().replace(".", "")
    if half in ("am", "오전", "아침", "새벽", "morning"):
        side = 0
    elif half in ("pm", "오후", "저녁", "낮", "점심", "afternoon", "evening") or hour > 12:
        side = 1
    elif half in ("밤", "night"):
        side = int(6 <= hour < 12)
    parts: set[Value] = {Fraction(hour), Fraction(hour % 12 or 12), Fraction(minute), Time(hour % 12, 0, side)}
    return [Quantity(*match.span(), frozenset([Time(hour % 12, minute, side)]), frozenset(parts))]


def _number(match: re.Match[str], value: Fraction, *others: Fraction, claimed: bool = True) -> list[Quantity]:
    """The quantity of a numeral, with what its unit makes of it: a half more, a decade, other units of time."""
    text, start, end = match.string, *match.span()
    after = text[end : end + 30]
    values, parts = {value, *others}, {value}
    decade = DECADE.match(after) if value and value % 10 == 0 else None
    if minutes := MINUTES.match(after):
        told = Fraction(small(minutes["m"]))
        values, parts, end = {value + told / 60, value * 60 + told}, {value, told}, end + minutes.end()
    elif half := HALF.match(after):
        value = (value + Fraction(1, 2)) * SCALES.get((half["scale"] or "").strip().lower(), 1)
        values, end = {value, value * 60, value * 12}, end + half.end()
    elif decade or match[0].lower() in DECADES:
        values = {value + n for n in range(10)}
        parts = {value, value % 100, value + 1900}
        end += decade.end() if decade else 0
    elif unit := TIME_UNIT.match(after):
        values |= {value * FACTORS[unit[1]]}
        end += unit.end()
    if 1000 < value < 3000 and value.denominator == 1:
        parts.add(value % 100)
    near = bool(NEAR_BEFORE.search(text[max(0, start - 16) : start]) or NEAR_AFTER.match(after))
    return [Quantity(start, end, frozenset(values), frozenset(parts), claimed, near)]


def _digits(match: re.Match[str]) -> list[Quantity]:
    value = fraction(match["number"])
    scale = (match["scale"] or "").strip().lower()
    if not scale:
        return _number(match, value)
    scaled = value * (SUFFIXES.get(scale) or SCALES[scale])
    return _number(match, scaled, *([value] if scale in ("m", "b") else []))


def _mixed(match: re.Match[str]) -> list[Quantity]:
    value = korean_value(match["mixed"])
    group = re.fullmatch(r"(\d{1,2}) ?조", match["mixed"])
    return _number(match, value, *([Fraction(group[1])] if group else []))


def _sino(match: re.Match[str]) -> list[Quantity]:
    """Sino-Korean numerals are syllables of common words too: only with a power or a safe unit are they numbers."""
    numeral, after = match["sino"], match.string[match.end() : match.end() + 16]
    unit = re.match(f" ?({UNIT}){AFTER}", after)
    if not any(c in POWERS or c in MYRIADS for c in numeral):
        if len(numeral) > 1 or not AFTER_SINO_DIGIT.match(after):
            return []
        claimed = numeral != "일"
    elif numeral in "억조" or (len(numeral) == 2 and numeral[1] == "조" and not after.startswith((" 원", "원"))):
        return []
    elif len(numeral) == 1:
        claimed = unit is not None and (unit[1] in "원명년개" or (after[0] == " " and unit[1] not in "번배살세리도"))
    else:
        claimed = unit is not None or len(numeral) > 2 or numeral.endswith("십")
    return _number(match, korean_value(numeral), claimed=claimed)


def _native(match: re.Match[str]) -> list[Quantity]:
    numeral, after = match["native"], match.string[match.end() : match.end() + 16]
    value = native_value(numeral)
    if numeral in ("석", "넉") and not re.match(" ?[달장잔]", after):
        return []
    if re.match(f" ?{COUNTER}(?!도|이라도|씩){AFTER}", after):
        claimed = value > 1 or bool(re.match(" ?(?:명|마리|살|권|채)(?!도|이라도|씩|만|쯤)", after))
    elif numeral in ("한", "두", "세", "네", "석", "넉", "쉰", "열"):
        if not after.startswith(" "):
            return []
        claimed = False
    else:
        claimed = value > 1 and not re.match("째| (?:때|수|것|만)", after)
    return _number(match, value, claimed=claimed)


def _english(match: re.Match[str]) -> list[Quantity]:
    numeral, after = match["english"].lower(), match.string[match.end() : match.end() + 20]
    counts = numeral.startswith("a ") and re.match(" [a-z]", after)
    return _number(
        match, english_value(numeral), claimed=numeral not in IDLE_WORDS or bool(counts or HALF.match(after))
    )


def _month_alone(match: re.Match[str]) -> list[Quantity]:
    """A month without a day or year; "May", "March" and short forms are words of their own but after a preposition."""
    name = match["month"].lower().rstrip(".")
    is_plain = len(name) > 3 and name != "march"
    if is_plain or BEFORE_MONTH.search(match.string[max(0, match.start() - 8) : match.start()]):
        return _dated(match, Date(None, MONTHS[name[:3]], None))
    return []


def _weekdays(match: re.Match[str], text: str, form: str) -> list[Quantity]:
    days = sorted({WEEKDAYS[day.lower()] for day in re.findall(form, text)})
    return [Quantity(*match.span(), frozenset([Weekday(day)])) for day in days]


Reader = Callable[[re.Match[str]], list[Quantity]]
FORMS: Sequence[tuple[str, Reader]] = (
    (IDIOMS, lambda m: []),
    (
        r"(?<!\d)(?P<y1>\d{4}) ?(?P<sep>[-./]) ?(?P<m1>\d{1,2}) ?(?P=sep) ?(?P<d1>\d{1,2})(?!\d)",
        lambda m: _dated(m, _date(m["y1"], m["m1"], m["d1"])),
    ),
    (
        r"(?<![\d.,])(?P<y2>[12]\d{3})[-./](?P<m2>\d{1,2})(?![\d.,]?\d)",
        lambda m: _dated(m, _date(m["y2"], m["m2"], None)),
    ),
    (
        rf"(?<![\d.,가-힣])(?:(?P<y3>'?\d{{4}}|[이천구백십]{{2,7}}{SINO_RUN}) ?년도? ?)?"
        rf"(?P<m3>\d{{1,2}}|일|이|삼|사|오|유|칠|팔|구|시|십|십일|십이) ?월"
        rf"(?: ?(?P<d3>\d{{1,2}}|{SINO_RUN}) ?일(?!요))?"
        rf"(?=(?![가-힣])|{PARTICLE}|초|중|말|생|경|달)",
        lambda m: _dated(m, _date(m["y3"], m["m3"], m["d3"])),
    ),
    (
        rf"\b(?P<m4>{MONTH}) (?:the )?(?P<d4>{DAY})(?:,? (?P<y4>[12]\d{{3}})\b)?",
        lambda m: _dated(m, _date(m["y4"], m["m4"], m["d4"])),
    ),
    (
        rf"\b(?P<d5>{DAY}) (?:of )?(?P<m5>{MONTH})(?:,? (?P<y5>[12]\d{{3}})\b)?",
        lambda m: _dated(m, _date(m["y5"], m["m5"], m["d5"])),
    ),
    (
        rf"\b(?P<m6>{MONTH}),? (?:of )?(?P<y6>[12]\d{{3}})\b",
        lambda m: _dated(m, _date(m["y6"], m["m6"], None)),
    ),
    (
        r"(?<![\d/.])(?P<a7>\d{1,2})/(?P<b7>\d{1,2})/(?P<y7>\d{4})(?![\d/])",
        lambda m: _dated(m, _date(m["y7"], m["a7"], m["b7"]), _date(m["y7"], m["b7"], m["a7"])),
    ),
    (
        rf"(?<![\d.,가-힣])(?:(?P<p8>{AM_PM}) ?)?(?P<h8>\d{{1,2}}|열?(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉)|열) ?시"
        rf"(?=쯤|경|반|정각| ?\d|{ENDS})"
        rf"(?: ?(?P<half8>반)(?![가-힣]{{2}})| ?정각| ?(?P<n8>\d{{1,2}}|{SINO_RUN}) ?분)?",
        lambda m: _timed(m, small(m["h8"]), 30 if m["half8"] else small(m["n8"] or "0"), m["p8"]),
    ),
    (
        rf"(?<![\d:.])(?:(?P<p9>{AM_PM}) ?)?(?P<h9>\d{{1,2}}):(?P<n9>[0-5]\d)(?::[0-5]\d)?(?![\d:])"
        r"(?: ?(?P<q9>(?i:[ap](?:m|\.m\.?))(?!\w)))?",
        lambda m: _timed(m, int(m["h9"]), int(m["n9"]), m["p9"] or m["q9"]),
    ),
    (
        rf"\b(?P<ha>\d{{1,2}}|{HOUR_WORD})(?:[.](?P<na>[0-5]\d)| (?P<nb>thirty|fifteen|forty-five))?"
        r"(?: o['’]clock)?"
        r"(?: ?(?P<pa>(?i:[ap](?:m|\.m\.?))(?!\w))| in the (?P<pb>morning|afternoon|evening)| at (?P<pc>night))",
        lambda m: _timed(m, small(m["ha"]), small(m["na"] or m["nb"] or "0"), m["pa"] or m["pb"] or m["pc"]),
    ),
    (rf"\b(?P<hb>\d{{1,2}}|{HOUR_WORD}) o['’]clock", lambda m: _timed(m, small(m["hb"]))),
    (
        rf"\b(?P<rel>(?i:half past|quarter past|quarter to)) (?P<hc>\d{{1,2}}\b|{HOUR_WORD}\b)",
        lambda m: _timed(
            m,
            small(m["hc"]) - (m["rel"].lower() == "quarter to"),
            {"half past": 30, "quarter past": 15, "quarter to": 45}[m["rel"].lower()],
        ),
    ),
    (rf"\b(?:noon|midday)\b|(?<![가-힣])정오(?={ENDS})", lambda m: _timed(m, 12, half="pm")),
    (rf"\bmidnight\b|(?<![가-힣])자정(?={ENDS})", lambda m: _timed(m, 12, half="am")),
    (
        r"(?P<kw>[월화수목금토일])요일"
        r"|(?<![가-힣])(?P<ks>[월화수목금토일](?: ?[·,/\u119e・~&-] ?[월화수목금토일])+)(?:요일)?(?![가-힣]{2})"
        r"|(?<![가-힣])(?P<kt>월수금|화목토?|월화수목금)(?=[ 에은이,.])",
        lambda m: _weekdays(m, m["kw"] or m["ks"] or m["kt"], "[월화수목금토일]"),
    ),
    (
        rf"\b(?P<ew>(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri)\b"
        rf"|{WEEKDAY}(?:[,/–-] ?{WEEKDAY})+\b)",
        lambda m: _weekdays(m, m["ew"], WEEKDAY),
    ),
    (rf"\b(?P<month>{MONTH})", _month_alone),
    (
        rf"(?<![A-Za-z\d])(?P<mixed>{DIGITS}(?: (?=[만억]))?{POWER}"
        rf"(?:(?:(?<=[만억조]) )?(?:{DIGITS}|[일이삼사오육칠팔구])?{POWER})*(?:(?<=[만억]) {DIGITS})?)",
        _mixed,
    ),
    (
        rf"(?<![A-Za-z\d])(?<![A-Za-z]-)[$€£₩¥]?(?P<number>{DIGITS})"
        rf"(?P<scale>(?:k|K|m|M|bn|b|B)(?![A-Za-z])| (?i:{SCALE})\b)?(?:st\b|nd\b|rd\b|th\b|%)?",
        _digits,
    ),
    (
        rf"(?<![가-힣\d])(?P<sino>[일이삼사오육칠팔구십백천만억조]{{1,12}}"
        rf"(?:(?<=[십백천만억]) [일이삼사오육칠팔구십백천만억조]{{1,8}}){{0,4}})(?= ?{UNIT}{AFTER}|{ENDS})",
        _sino,
    ),
    (rf"(?<![가-힣])(?P<native>{NATIVE_WORD})(?= ?{COUNTER}{AFTER}| ?번째|{ENDS})", _native),
    (
        rf"(?<![가-힣])(?P<days>{'|'.join(DAYS)})(?={PARTICLE}|[^가-힣]|동안|간|$)",
        lambda m: _number(m, Fraction(DAYS[m["days"]]), claimed=m["days"] != "하루"),
    ),
    (r"(?i:\bhalf a dozen)\b", lambda m: _number(m, Fraction(6))),
    (
        rf"\b(?P<english>(?i:(?:an? (?=(?:{SCALE})\b))?(?:{WORD})\b"
        rf"(?:(?:(?<=hundred)|(?<=thousand)|(?<=million)) and (?:{WORD})\b|[ -](?:{WORD})\b){{0,8}}))",
        _english,
    ),
)

PATTERN = re.compile("|".join(f"(?P<form{n}>{form})" for n, (form, _) in enumerate(FORMS)), re.MULTILINE)


def quantities(text: str) -> Iterator[Quantity]:
    """The quantities that a text in NFKC names, in order; those of a list of weekdays share their place."""
    end = 0
    for match in PATTERN.finditer(text):
        if match.start() < end:  # told with the one before: the minutes of an hour
            continue
        _, read = FORMS[int((match.lastgroup or "")[4:])]
        for quantity in read(match):
            yield quantity
            end = quantity.end
