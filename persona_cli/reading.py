"""Reading: one file → one document, by the rules of the store it goes into."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from persona_cli.chunking import chunk
from persona_cli.errors import LoadError, NoWords, PersonSilent
from persona_cli.loading import load, loader_name
from persona_cli.models import Dialogue, Document, Segment
from persona_cli.redaction import Redactor
from persona_cli.testimony import INTERVIEWERS, count_speakers, fold_name, person_in, words_of

SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was read may change again within the same tick of its clock."""


class PersonUnknown(Exception):
    """Several people speak in a file and nothing tells which of them is the person.

    Attributes:
        speakers: how many turns each has.
    """

    def __init__(self, speakers: Counter[str]) -> None:
        super().__init__(speakers)
        self.speakers = speakers


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are read into a store.

    Attributes:
        names: what the person goes by in dialogues, the name to be shown first; empty when nobody said.
        redact: mask what tells who or where somebody is.
        max_bytes: largest file that is read.
        timeout_s: longest time an office file may take, in seconds.
    """

    names: tuple[str, ...] = ()
    redact: bool = False
    max_bytes: int = 50_000_000
    timeout_s: float = 60

    def is_current(self, loader: str, recorded: str) -> bool:
        """Whether a document recorded as read one way would be read the same way again.

        Args:
            loader: name and version of the loader for such files.
            recorded: `Document.loader` in the store.
        """
        loader = self._named(loader)
        if recorded == loader:
            return True
        as_whom = recorded.removeprefix(f"{loader} as ")
        return as_whom != recorded and (not self.names or as_whom == ", ".join(self.names))

    def name(self, loader: str, person: str | None) -> str:
        """What a document records of how it was read: "text/2", "text/2 redacted as 박자두, 자두"."""
        return self._named(loader) + (f" as {', '.join(self.names) or person}" if person else "")

    def _named(self, loader: str) -> str:
        return f"{loader} redacted" if self.redact else loader


@dataclass(slots=True)
class Memory:
    """What a process that reads the same folder again and again knows of its files, so as not to open them all."""

    _seen: dict[Path, tuple[tuple[int, ...], str | LoadError]] = field(default_factory=dict)

    def recall(self, path: Path, state: os.stat_result) -> str | LoadError | None:
        """The checksum of a file, or why it cannot be read, if it has not been touched since; else None."""
        stamp, known = self._seen.get(path, ((), None))
        return known if stamp == _stamp(state) else None

    def keep(self, path: Path, state: os.stat_result, known: str | LoadError) -> None:
        """Remember a file, unless it was changed too shortly ago to be sure of it."""
        if time.time_ns() - state.st_mtime_ns > SETTLED_NS:
            self._seen[path] = (_stamp(state), known)


def read(path: Path, source: str, known: Document | None, rules: Rules, memory: Memory) -> Document | None:
    """The document in a file, or None when the store knows it as it is.

    Raises:
        NoWords: there are no words of the person in it.
        LoadError: it cannot be read.
        PersonUnknown: several people speak in it, and the rules do not say who the person is.
    """
    try:
        state = path.stat()
        if state.st_size > rules.max_bytes:
            raise LoadError(
                "{size:.0f} MB, and at most {most:.0f} MB are read: split it, or raise PERSONA_MAX_FILE_BYTES",
                size=state.st_size / 1e6,
                most=rules.max_bytes / 1e6,
            )
        remembered = memory.recall(path, state)
        if isinstance(remembered, LoadError):
            raise remembered
        loader = loader_name(path.name)
        is_current = known is not None and rules.is_current(loader, known.loader)
        if is_current and known and remembered == known.sha256:
            return None
        data = path.read_bytes()
    except OSError as error:
        raise LoadError("cannot be opened: {why}", why=error.strerror or str(error)) from error
    digest = sha256(data).hexdigest()
    if is_current and known and known.sha256 == digest:
        memory.keep(path, state, digest)
        return None
    try:
        segments, person = _words(path.name, data, rules)
        chunks = chunk(segments)
        if not chunks:
            raise NoWords("there are no words in it")
    except LoadError as reason:
        memory.keep(path, state, reason)
        raise
    memory.keep(path, state, digest)
    return Document(source, digest, len(data), rules.name(loader, person), chunks)


def spell_speakers(speakers: Counter[str], most: int = 20) -> str:
    """Speakers with their counts, most turns first: "박자두 (98), 김여울 (71)"."""
    named = [f"{name} ({turns})" for name, turns in speakers.most_common(most)]
    return ", ".join(named + ["…"] * (len(speakers) > most))


def _words(name: str, data: bytes, rules: Rules) -> tuple[list[Segment], str | None]:
    """What the person said in a file, and the name by which they speak there when others may speak too."""
    reading = load(name, data, rules.timeout_s)
    if not isinstance(reading, Dialogue):
        segments, named = _own(reading, rules)
        return _redacted(segments, (), rules), named
    speakers = count_speakers(reading)
    person = person_in(reading, rules.names)
    if person is None:
        raise PersonUnknown(speakers)
    others = [speaker for speaker in speakers if fold_name(speaker) not in person | INTERVIEWERS]
    own = [speaker for speaker in speakers if fold_name(speaker) in person]
    if not own:
        listed = f"{len(speakers)}" if rules.redact else spell_speakers(speakers)
        raise PersonSilent(
            "{names} does not speak in it; who does: {list}", speakers, names=" / ".join(rules.names), list=listed
        )
    called = rules.names[0] if rules.names else own[0]
    return _redacted(words_of(reading, person, called), others, rules), called


def _own(segments: Sequence[Segment], rules: Rules) -> tuple[list[Segment], str | None]:
    """The segments that are not somebody else's, as a post by another author is, and who is named in any.

    A recorded pair stays: who wrote an interview down is not who answers in it.
    """
    named = [segment.speaker for segment in segments if segment.speaker]
    names = {fold_name(name) for name in rules.names} or {fold_name(name) for name in named}
    own = [s for s in segments if not s.speaker or s.question or fold_name(s.speaker) in names]
    return own, named[0] if named else None


def _redacted(segments: list[Segment], names: list[str] | tuple[str, ...], rules: Rules) -> list[Segment]:
    if not rules.redact:
        return segments
    redactor = Redactor(names)
    return [redactor.mask(segment) for segment in segments]


def _stamp(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
