"""Comparison: how files and folders differ from what a store knows of them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from persona_cli.errors import LoadError, NoWords, PersonSilent, SpeakerNeeded, StoreMissing
from persona_cli.language import say
from persona_cli.loading.discovery import discover
from persona_cli.models import Document, Progress
from persona_cli.reading import Memory, PersonUnknown, Rules, read, spell_speakers

STEERING = re.compile("[\0-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""New lines, control characters, and what turns the direction of a text: a file's name may forge a line with them."""
What = Literal["added", "updated", "removed", "renamed"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, and why."""

    path: str
    reason: LoadError


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a document; `before` is its former source when the same file has another name now."""

    what: What
    source: str
    before: str | None = None


@dataclass(slots=True)
class Plan:
    """How a store differs from the folders."""

    known: Mapping[str, Document]
    put: list[Document] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unchanged: int = 0

    def counts(self) -> dict[str, int]:
        """How many documents are added, updated, unchanged, removed, skipped."""
        added = sum(document.source not in self.known for document in self.put)
        return {
            "added": added,
            "updated": len(self.put) - added,
            "unchanged": self.unchanged,
            "removed": len(self.remove),
            "skipped": len(self.skipped),
        }

    def changes(self) -> list[Change]:
        """What is to be done, by source."""
        gone = {(self.known[source].sha256, self.known[source].loader): source for source in self.remove}
        changes: list[Change] = []
        for document in self.put:
            if document.source in self.known:
                changes.append(Change("updated", document.source))
            elif before := gone.pop((document.sha256, document.loader), None):
                changes.append(Change("renamed", document.source, before))
            else:
                changes.append(Change("added", document.source))
        renamed = {change.before for change in changes}
        changes += [Change("removed", source) for source in self.remove if source not in renamed]
        return sorted(changes, key=lambda change: change.source)


def compare(
    paths: Sequence[Path],
    folder: Path,
    known: Mapping[str, Document],
    rules: Rules,
    *,
    prune: bool,
    memory: Memory,
    lenient: bool,
    progress: Progress,
) -> Plan:
    """Read files and folders, and see how the store in `folder`, which knows these documents, differs from them.

    Args:
        lenient: skip a file when nobody said who of its speakers the person is, rather than stop.

    Raises:
        SpeakerNeeded: several people speak in a file, and the rules do not tell who the person is, or nobody goes by
            the names they tell.
        StoreMissing: there was nothing to read.
    """
    found = discover(paths, exclude=[folder])
    plan = Plan(known, skipped=[Skipped(source_of(path, folder), reason) for path, reason in found.problems])
    seen = {skipped.path for skipped in plan.skipped}
    home = _home(folder)
    speakers: Counter[str] = Counter()
    unattributed: list[str] = []
    for done, path in enumerate(found.files):
        progress("read", done, len(found.files))
        source = _named(path, home)
        seen.add(source)
        try:
            document = read(path, source, known.get(source), rules, memory)
        except PersonUnknown as unknown:
            speakers += unknown.speakers
            unattributed.append(source)
            listed = "…" if rules.redact else spell_speakers(unknown.speakers)
            reason = LoadError("several people speak in it, and nobody said who the person is: {list}", list=listed)
            plan.skipped.append(Skipped(source, reason))
        except LoadError as reason:
            plan.skipped.append(Skipped(source, reason))
            if source in known and (isinstance(reason, NoWords) or rules.redact > known[source].is_redacted):
                plan.remove.append(source)  # what cannot be read now otherwise stays as it was last read
        else:
            plan.put += [document] if document else []
            plan.unchanged += document is None
    progress("read", len(found.files), len(found.files))
    if unattributed and not lenient:
        raise _speaker_needed(unattributed, speakers)
    _check_names(plan, rules)
    if paths and not found.files and not found.problems:
        raise StoreMissing(
            "nothing to read in {paths}; what came from there stays until `persona forget`",
            paths=", ".join(map(str, paths)),
        )
    if not known and not plan.put:
        first = plan.skipped[0]
        why = say(first.reason.template, **first.reason.values)
        raise StoreMissing("nothing could be read; {path}: {why}", path=first.path, why=why)
    folders = [source_of(Path(os.path.realpath(path)), folder) for path in paths if path.is_dir()]
    if prune:
        unread = [skipped.path for skipped in plan.skipped]
        plan.remove += [s for s in known if s not in seen and is_under(s, folders) and not is_under(s, unread)]
    return plan


def source_of(path: Path, store: Path) -> str:
    """The name a file goes by: its path from the folder the store is in, or the whole path when it is elsewhere.

    It is the same from whichever folder `persona` is run. What is no valid Unicode in a name, or would steer what shows
    it, becomes U+FFFD.
    """
    return _named(path, _home(store))


def _home(store: Path) -> str:
    """The folder that a store is in, links resolved, with a separator at its end."""
    return os.path.join(os.path.dirname(os.path.realpath(store)), "")


def _named(path: Path, home: str) -> str:
    name = os.fsencode(str(path).removeprefix(home)).decode("utf-8", "replace").replace(os.sep, "/")
    return unicodedata.normalize("NFC", STEERING.sub("\ufffd", name))


def is_under(source: str, folders: Iterable[str]) -> bool:
    return any(folder == "." or source.startswith(folder.rstrip("/") + "/") for folder in folders)


def _check_names(plan: Plan, rules: Rules) -> None:
    """See that a name nobody goes by, misspelt perhaps, does not empty the store of its dialogues.

    Raises:
        SpeakerNeeded: dialogues were read, and the person speaks in none of them and in none that the store knows.
    """
    silent = [skipped.reason for skipped in plan.skipped if isinstance(skipped.reason, PersonSilent)]
    documents = [*plan.put, *plan.known.values()]
    if silent and not any(document.loader.endswith(f" as {', '.join(rules.names)}") for document in documents):
        speakers = Counter[str]()
        for reason in silent:
            speakers.update(reason.speakers)
        raise SpeakerNeeded(
            "{names} speaks in none of these files; who does: {list}; say who the person is with --speaker NAME",
            dict(speakers.most_common()),
            names=" / ".join(rules.names),
            list=spell_speakers(speakers),
        )


def _speaker_needed(sources: Sequence[str], speakers: Counter[str]) -> SpeakerNeeded:
    return SpeakerNeeded(
        "several people speak in {sources}: {list}; say who the person is with --speaker NAME",
        dict(speakers.most_common()),
        sources=", ".join([*sources[:3], *(["…"] if len(sources) > 3 else [])]),
        list=spell_speakers(speakers),
    )
