"""A `persona.toml` to fill in."""

import json
from collections.abc import Iterable, Iterator

from persona_cli.language import say
from persona_cli.persona.profile import Example, Link, Profile

_COMMENTS = {
    "name": "What the person is called.",
    "speaker": "What they are called in chats and transcripts, where that is another name.",
    "aliases": "Other names they go by there.",
    "language": "What to answer in when the question does not tell: a code of two letters.",
    "description": "Who they are: what a stranger should know of them.",
    "greeting": "What they say first in a chat.",
    "rules": "What they keep to in every answer.",
    "avoid": "What they do not talk about.",
    "address": "What they call those they talk with.",
    "listener": "Whom they talk with, a stranger or a friend: strangers are spoken to politely.",
    "verbatim": "Whether a question that was answered before gets the recorded answer, word for word.",
    "disclosure": "Another wording of the note that this is a model of the person. It cannot be left out.",
    "questions": "Questions to suggest.",
    "voice": "How they speak, where that is not to be as measured. For Korean: hapsyo, haeyo, banmal or plain.",
    "examples": "Answers as they would give them: a pattern for the manner, not a source.",
    "links": "Their pages.",
}
"""In the order of the file; what opens a table comes last, for all below belongs to the table."""
_SAMPLES = {
    "name": 'name = "Wren Halloway"',
    "speaker": 'speaker = "wren"',
    "aliases": 'aliases = ["Wrennie", "W. H."]',
    "description": 'description = "She mends clocks and writes about the sea."',
    "greeting": 'greeting = "Hello! What would you like to know?"',
    "rules": 'rules = ["Answer briefly.", "Give no advice on money."]',
    "avoid": 'avoid = ["politics", "my family"]',
    "address": 'address = "dear reader"',
    "disclosure": 'disclosure = "I am a program made from her columns, not Wren herself."',
    "questions": 'questions = ["How did you come to mend clocks?"]',
    "voice": '[voice]\nregister = "haeyo"\nmanner = "Short sentences, and a joke at the end."',
    "examples": '[[examples]]\nquestion = "Are you busy?"\nanswer = "Only as much as the clocks are."',
    "links": '[[links]]\ntitle = "My columns"\nurl = "https://example.org/columns"',
}
_SAMPLES_OF_ALL = {"language": 'language = "en"', "listener": 'listener = "friend"', "verbatim": "verbatim = false"}


def render(profile: Profile) -> str:
    """The text of a persona.toml that says what the profile does; all else stands in it as a comment, with a sample.

    What only a character card has is left out.
    """
    head = say("Who answers, and how. Lines that begin with # are comments: take the # away where you fill one in.")
    parts = [f"# {head}"]
    for key in _COMMENTS:
        sample = _SAMPLES_OF_ALL.get(key) or say(_SAMPLES[key])
        lines = list(_lines(key, profile)) or [f"# {line}" for line in sample.split("\n")]
        parts.append("\n".join([f"# {say(_COMMENTS[key])}", *lines]))
    return "\n\n".join(parts) + "\n"


def _lines(key: str, profile: Profile) -> Iterator[str]:
    """What the profile says under a key; nothing where it is not set."""
    if key == "voice":
        set_keys = [part for part in ("register", "manner") if getattr(profile, part)]
        yield from ["[voice]"] * bool(set_keys)
        yield from (f"{part} = {quoted(getattr(profile, part))}" for part in set_keys)
    elif key in ("examples", "links"):
        tables: Iterable[Example | Link] = getattr(profile, key)
        for table in tables:
            fields = ("question", "answer") if isinstance(table, Example) else ("title", "url")
            yield f"[[{key}]]"
            yield from (f"{field} = {quoted(getattr(table, field))}" for field in fields)
    elif (value := getattr(profile, key)) not in ("", (), None):
        yield f"{key} = {_value(value)}"


def _value(value: str | bool | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else f"[{', '.join(map(quoted, value))}]"


def quoted(text: str) -> str:
    """A TOML string; its escapes are JSON's, and DEL must be escaped as well."""
    lines = [json.dumps(line, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f") for line in text.split("\n")]
    return f'"{lines[0]}"' if len(lines) == 1 else '"""\n' + "\n".join(lines) + '"""'
