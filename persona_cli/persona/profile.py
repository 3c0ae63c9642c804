"""The persona's profile: what `persona.toml` says."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from persona_cli.errors import ProfileError
from persona_cli.persona.checked import LINE_CHARS, MAX_BYTES, Checked, check_size

FILE_NAME = "persona.toml"
LISTENERS = ("stranger", "friend")
REGISTERS = ("hapsyo", "haeyo", "banmal", "plain")
TABLES = {"voice": ("register", "manner"), "examples": ("question", "answer"), "links": ("title", "url")}
KEYS = (
    *("name", "speaker", "aliases", "language", "description", "greeting", "rules", "avoid", "address", "listener"),
    *("verbatim", "disclosure", "questions", "voice", "examples", "links"),
)
"""Of the whole file; `voice` is a table, `examples` and `links` are lists of tables."""


@dataclass(frozen=True, slots=True)
class Example:
    """How the person would answer a question, as somebody wrote it for the persona."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the person's that is shown beside the chat."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What `persona.toml` says, or a character card; keys it may have beside these are kept for others to read.

    All text is NFC, without control characters and without white space at its ends; what is empty is not set.

    Attributes:
        name: what the person is called.
        speaker: what they are called in chats and transcripts, where that is another name.
        aliases: other names they go by there.
        language: ISO 639-1; what to answer in when the question does not tell.
        description: who the person is, for the prompt.
        greeting: what is said first in a chat.
        rules: what the persona keeps to.
        avoid: topics it does not talk about.
        address: what it calls the listener.
        listener: "stranger" or "friend"; empty is as "stranger".
        verbatim: whether recorded answers may be given word for word.
        disclosure: rewords the note that this is a model of the person; empty leaves it as it is.
        questions: suggested ones.
        examples: of questions and answers.
        links: to the person's pages.
        register: "hapsyo", "haeyo", "banmal" or "plain"; empty is as measured.
        manner: how the person speaks, in free text.
        instructions: a card's own system prompt.
        closing: what a card puts behind the conversation.
    """

    name: str = ""
    speaker: str = ""
    aliases: tuple[str, ...] = ()
    language: str = ""
    description: str = ""
    greeting: str = ""
    rules: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    address: str = ""
    listener: str = ""
    verbatim: bool | None = None
    disclosure: str = ""
    questions: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    links: tuple[Link, ...] = ()
    register: str = ""
    manner: str = ""
    instructions: str = ""
    closing: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the person may speak, the best known one first; empty when no name is told."""
        return tuple(dict.fromkeys(name for name in (self.speaker or self.name, self.name, *self.aliases) if name))


def over(own: Profile, base: Profile) -> Profile:
    """One profile with another beneath it: each field as the first has it, or as the second where it is not set."""
    values = {field.name: getattr(own, field.name) for field in fields(Profile)}
    return replace(base, **{name: value for name, value in values.items() if value not in ("", (), None)})


def find_profile(paths: Sequence[Path]) -> Path | None:
    """The first `persona.toml` that is one of the paths or lies in one of the folders."""
    candidates = (path if path.name == FILE_NAME else path / FILE_NAME for path in paths)
    return next(
        (file for file in candidates if os.path.isfile(file)), None
    )  # a Path would raise where one may not look


def load_profile(file: Path) -> Profile:
    """The profile in a file.

    Raises:
        ProfileError: it cannot be read, or a value in it cannot be used; the message names the line.
    """
    return parse_profile(read_profile(file), str(file))


def read_profile(file: Path) -> str:
    """The text of a profile's file, without a byte order mark.

    Raises:
        ProfileError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError("{file} cannot be read: {why}", file=str(file), why=error.strerror or str(error)) from error
    check_size(len(data), str(file))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError("{file}, line {line}: this is not UTF-8", file=str(file), line=line) from error


def parse_profile(text: str, file: str) -> Profile:
    """The profile that a text says; keys it does not know may be there as well.

    Args:
        text: TOML.
        file: what to call the text in messages.

    Raises:
        ProfileError: a value cannot be used, or a key looks like another one mistyped; the message names the line.
    """
    values = Checked(text, file)
    values.check_keys(KEYS, of_voice=("register", "manner"))
    examples, links = values.tables("examples"), values.tables("links")
    strange = [key for key in KEYS if key != "name"]  # a link, say, may have a name of its own
    for path in (("voice",), *examples, *links):
        values.check_table(*path, known=TABLES[str(path[0])], strange=strange)
    disclosure = values.string("disclosure", most=LINE_CHARS)
    return Profile(
        name=values.name("name"),
        speaker=values.name("speaker"),
        aliases=values.names("aliases"),
        language=values.language("language"),
        description=values.string("description"),
        greeting=values.string("greeting"),
        rules=values.lines("rules"),
        avoid=values.lines("avoid"),
        address=values.name("address"),
        listener=values.choice(LISTENERS, "listener"),
        verbatim=values.flag("verbatim"),
        disclosure=disclosure if any(map(str.isalnum, disclosure)) else "",  # one of nothing to read would remove it
        questions=values.lines("questions"),
        examples=tuple(Example(values.needed(*p, "question"), values.needed(*p, "answer")) for p in examples),
        links=tuple(_link(values, *path) for path in links),
        register=values.choice(REGISTERS, "voice", "register"),
        manner=values.string("voice", "manner"),
    )


def _link(values: Checked, *path: str | int) -> Link:
    url = values.web_address(*path, "url")
    return Link(values.name(*path, "title") or url, url)
