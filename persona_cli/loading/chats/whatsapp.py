"""WhatsApp exports → dialogues."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from persona_cli.loading.chats.common import MOMENT, spell_dates, turn_of_lines
from persona_cli.models import Dialogue, Turn

_HEAD = re.compile(rf"\u200e? (?P<bracket>\[)? {MOMENT} (?(bracket)\]|(?:\s-|:)) \s (?P<rest>.*)", re.VERBOSE)
_OWN = "\u200e"
"""The mark of direction that comes before what WhatsApp itself says, whatever the language."""
_IDLE_MARKS = re.compile(f"(?<!: )(?<!\n){_OWN}(?!<)|[\u200f\u202a-\u202e\u2066-\u2069]")
"""The same, and others, where they are only put around names and numbers."""
_HEAD_LINES = 20
"""Among so many lines at the top of an export one begins a message, even if the first ones were cut off."""
_MOST_NAME_CHARS = 100

_NO_WORDS = re.compile(
    r"""<Media\ omitted> | <미디어[^<>]+> | null
    | (?:image|video|video\ note|audio|sticker|GIF|document|Contact\ card)\ omitted
    | .+\.\w{2,5}\ \((?:file\ attached|파일\ ?첨부됨|첨부\ ?파일)\)
    | (?:IMG|VID|AUD|PTT|STK|DOC)-\d{8}-WA\d+\.\w+\ \([^()]+\)
    | (?:You\ deleted\ this\ message|This\ message\ was\ deleted(?:\ by\ admin\ .+)?)\.?
    | (?:이\ )?메시지[가는를]\ 삭제(?:되었|했)습니다\.? | 삭제된\ 메시지입니다\.?
    | Missed\ (?:group\ )?(?:voice|video)\ call(?:\ at\ .+)?\.? | 부재중\ (?:그룹\ )?(?:음성|영상)\ ?통화
    | (?:live\ )?location(?:\ shared|:\ https://\S+) | Waiting\ for\ this\ message\..*
    | Messages\ and\ calls\ are\ end-to-end\ encrypted\..* | 메시지와\ 통화는\ 종단\ ?간\ 암호화.*""",
    re.VERBOSE,
)
"""A line that WhatsApp wrote in place of what it did not export."""
_PLACEHOLDER = re.compile(r"\s*<[^<>\n]+>\s*")
"""A message that is one in any language; with more lines it may be somebody's heading."""
_TAIL = re.compile(r"<(?:This message was edited|attached: [^<>]+|첨부됨: [^<>]+)>")


@dataclass(slots=True)
class _Message:
    """What follows a date and a time, down to the next ones.

    Attributes:
        speaker: empty where WhatsApp speaks.
        line: 1-based number of the first of its lines.
        lines: the first without date, time and name.
    """

    moment: re.Match[str]
    speaker: str
    line: int
    lines: list[str]


def read_text(text: str) -> Dialogue | None:
    """The chat in an export of WhatsApp for Android or iOS; None when it is none.

    Media, deleted messages, calls and what WhatsApp says are left out. Where an export does not tell the day from the
    month its dates are a guess: see `spell_dates`.
    """
    top = text.split("\n", _HEAD_LINES)[:_HEAD_LINES]
    if not any(map(_HEAD.match, _IDLE_MARKS.sub("", "\n".join(top)).split("\n"))):
        return None
    messages = _messages(_IDLE_MARKS.sub("", text).split("\n"))
    named = [message for message in messages if message.speaker]
    if 3 * len(named) < len(messages):  # a diary may have such lines, but no names in them
        return None
    dates = spell_dates([message.moment for message in named])
    turns = (_turn(message, date) for message, date in zip(named, dates, strict=True))
    return Dialogue([turn for turn in turns if turn])


def _messages(lines: Sequence[str]) -> list[_Message]:
    messages: list[_Message] = []
    for number, line in enumerate(lines, 1):
        if head := _HEAD.match(line):
            speaker, text = _split(head["rest"])
            messages.append(_Message(head, speaker, number, [text]))
        elif messages:
            messages[-1].lines.append(line)
    return messages


def _split(rest: str) -> tuple[str, str]:
    """The name and the text after it; no name where WhatsApp speaks, as in: Yeoul changed the subject to “Plan: B”."""
    name, colon, text = f"{rest} ".partition(": ")
    is_name = colon and len(name) <= _MOST_NAME_CHARS and not name.count('"') % 2 and name.count("“") == name.count("”")
    return (" ".join(name.split()), text.rstrip()) if is_name else ("", rest)


def _turn(message: _Message, date: str | None) -> Turn | None:
    """What somebody said; None when WhatsApp only tells that they said or sent something."""
    lines = ["" if line.startswith(_OWN) else line for line in message.lines]
    if _NO_WORDS.fullmatch(lines[0].strip()):
        lines[0] = ""  # a caption may follow
    text = _without_tail("\n".join(lines)).replace(_OWN, "")
    return None if _PLACEHOLDER.fullmatch(text) else turn_of_lines(message.speaker, text, message.line, date)


def _without_tail(text: str) -> str:
    """A text without the note that it was edited, or the name of the file that came with it."""
    text = text.rstrip()
    at = text.rfind("<") if text.endswith(">") else -1
    is_note = at >= 0 and (text[:at].endswith(_OWN) or _TAIL.fullmatch(text, at))
    return text[:at] if is_note else text
