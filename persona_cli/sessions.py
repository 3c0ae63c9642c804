"""Sessions: conversations, kept turn by turn in the catalog's database."""

import json
import re
import secrets
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal

import sqlalchemy as sa

from persona_cli.catalog import Catalog
from persona_cli.errors import SessionUnknown
from persona_cli.loading.decoding import clean
from persona_cli.models import Answer, Message, Mode, Source, text_hash
from persona_cli.schema import facts, sessions, turns
from persona_cli.snapshot import pages

State = Literal["open", "done", "stopped", "erased"]

NAME = re.compile(r"[^\W_][\w.-]{0,63}")
TITLE_CHARS = 60
LEAST_PREFIX = 4
"""Characters of an id that may stand for the whole."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what it got.

    Attributes:
        n: from 1.
        at: when it was asked, ISO 8601 in UTC.
        answer: as far as it came.
        state: open while it is answered, or where that was killed; stopped by somebody; erased, because the answer may
            have held words of a document that was forgotten.
        mode: None until it is done.
        sources: those of them that have not been forgotten.
    """

    n: int
    at: str
    question: str
    answer: str
    state: State
    mode: Mode | None
    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation.

    Attributes:
        owner: whose it is, where several share a server.
        started: ISO 8601 in UTC.
        summary: of the first `summarised` turns.
    """

    id: str
    owner: str
    started: str
    turns: Sequence[Turn]
    summary: str
    summarised: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A session in one line.

    Attributes:
        last: when the last question was asked, ISO 8601 in UTC; when the session started, before the first.
        turns: how many there are.
        title: the first question, cut; empty before it.
    """

    id: str
    started: str
    last: str
    turns: int
    title: str


class Sessions:
    """The sessions of one store. Each belongs to an owner, and to everybody else it is as if it were not there.

    Raises:
        StoreError: of all methods; the catalog cannot be read or written.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def start(self, owner: str = "", name: str | None = None) -> str:
        """A session's id: a new one's of 128 random bits, or the name; an own session of that name goes on.

        Raises:
            SessionUnknown: the name cannot be one.
        """
        session_id = _draw_id() if name is None else _as_id(name)
        if not session_id:
            raise SessionUnknown(
                "{session!r} cannot name a session: take up to 64 letters, digits, '-', '_' and '.', the first a letter"
                " or a digit",
                session=str(name)[:64],
            )
        with self._catalog.transaction() as connection:
            if connection.execute(_find(session_id, owner)).first() is None:
                connection.execute(sa.insert(sessions).values(owner=owner, id=session_id, started=_now()))
        return session_id

    def latest(self, owner: str = "") -> str | None:
        """The session in which something was asked last; None when there is none."""
        with self._catalog.reading() as connection:
            found: str | None = connection.scalar(_outlined(owner).limit(1))
        return found

    def load(self, session_id: str, owner: str = "") -> Session:
        """The session as it is now. Raises: SessionUnknown."""
        with self._catalog.reading() as connection:
            row = connection.execute(_find(session_id, owner)).first()
            if row is None:
                raise _unknown(session_id)
            found = connection.execute(sa.select(turns).where(turns.c.session_key == row.key).order_by(turns.c.n))
            said = [_turn(turn) for turn in found]
        return Session(row.id, row.owner, row.started, said, row.summary, row.summarised)

    def find(self, beginning: str, owner: str = "") -> str:
        """The id that somebody means by it, or by how it begins.

        Raises:
            SessionUnknown: there is none, or there are several; the message names the nearest.
        """
        with self._catalog.reading() as connection:
            known: list[str] = list(connection.scalars(sa.select(sessions.c.id).where(sessions.c.owner == owner)))
        wanted = unicodedata.normalize("NFC", beginning)
        if wanted in known:
            return wanted
        alike = [each for each in known if each.startswith(wanted)] if len(wanted) >= LEAST_PREFIX else []
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise SessionUnknown("several sessions begin with {session!r}: {ids}", session=wanted, ids=", ".join(alike))
        for near in get_close_matches(wanted[:64], known, n=1, cutoff=0.75):
            raise SessionUnknown(
                "there is no session {session!r}: did you mean {nearest}?", session=wanted[:64], nearest=near
            )
        raise _unknown(beginning)

    def begin(self, session_id: str, question: str, owner: str = "") -> int:
        """Note a question; the number of its turn, which is open. Load the session after this, not before.

        What is forgotten while a turn is open is kept out of it (see `erase`).

        Raises:
            SessionUnknown: there is no such session.
        """
        with self._catalog.transaction() as connection:
            row = connection.execute(_find(session_id, owner)).first()
            if row is None:
                raise _unknown(session_id)
            last = connection.scalar(sa.select(sa.func.max(turns.c.n)).where(turns.c.session_key == row.key)) or 0
            values = {"session_key": row.key, "n": last + 1, "at": _now(), "question": clean(question), "state": "open"}
            connection.execute(sa.insert(turns).values(values))
        return last + 1

    def save(self, session_id: str, n: int, answer: str, owner: str = "", given: Collection[str] | None = None) -> None:
        """Keep an answer as far as it has come; nothing happens if its turn is not open (any more).

        Args:
            given: sources of all documents whose words the model was given; without it the answer is erased with
                whichever document is forgotten.
        """
        self._write(session_id, n, owner, given, answer=answer)

    def finish(
        self, session_id: str, n: int, answer: Answer, owner: str = "", given: Collection[str] | None = None
    ) -> None:
        """Keep a whole answer with its sources; nothing happens if its turn is not open (any more).

        Args:
            given: as for `save`; without it, the documents among the answer's sources.
        """
        sources = _json([asdict(source) for source in answer.sources])
        values = {"answer": answer.output, "mode": answer.mode, "sources": sources}
        self._write(session_id, n, owner, given, state="done", **values)

    def stop(self, session_id: str, n: int, answer: str, owner: str = "", given: Collection[str] | None = None) -> None:
        """Keep what had come of an answer when somebody stopped it; for `given` see `save`."""
        self._write(session_id, n, owner, given, state="stopped", answer=answer)

    def summarise(self, session_id: str, summary: str, through: int, owner: str = "") -> None:
        """Keep a summary of the turns up to a number.

        Nothing happens if the last turn was erased, as the summary may have been made from what was.
        """
        key = sa.select(sessions.c.key).where(_is(session_id, owner)).scalar_subquery()
        last = sa.select(turns.c.state).where(turns.c.session_key == key).order_by(turns.c.n.desc()).limit(1)
        with self._catalog.transaction() as connection:
            if connection.scalar(last) != "erased":
                values = {"summary": summary, "summarised": through}
                connection.execute(sa.update(sessions).where(_is(session_id, owner)).values(values))

    def outlines(self, owner: str = "") -> list[Outline]:
        """All sessions, the one in which something was asked last first."""
        with self._catalog.reading() as connection:
            rows = connection.execute(_outlined(owner))
            return [Outline(row.id, row.started, row.last, row.how_many, _title(row.question)) for row in rows]

    def delete(self, session_ids: Sequence[str], owner: str = "") -> int:
        """Delete sessions, and every trace of them in any file of the store; how many there were.

        Raises:
            StoreBusy, StoreUnwritable: deleted, but traces stay until the next writer of the store can wipe them.
        """
        deleted = 0
        with self._catalog.transaction() as connection:
            for page in pages(map(_as_id, session_ids)):
                going = sa.delete(sessions).where(sessions.c.owner == owner, sessions.c.id.in_(page))
                deleted += connection.execute(going).rowcount
            if deleted:  # a fact that makes the next writer wipe the traces if this process is killed before it does
                connection.execute(sa.delete(facts).where(facts.c.name == "erasing"))
                connection.execute(sa.insert(facts).values(name="erasing", value="yes"))
        if deleted:
            self._catalog.flush()
        return deleted

    def _write(self, session_id: str, n: int, owner: str, given: Collection[str] | None, **values: str) -> None:
        """Change a turn, if it is open."""
        if given is not None:
            values["given"] = _json(sorted(given))
        key = sa.select(sessions.c.key).where(_is(session_id, owner)).scalar_subquery()
        this = (turns.c.session_key == key, turns.c.n == n, turns.c.state == "open")
        with self._catalog.transaction() as connection:
            connection.execute(sa.update(turns).where(*this).values(**values))


def erase(connection: sa.Connection, sources: Collection[str], texts: Collection[bytes]) -> None:
    """Take out of all sessions what was made from documents that go.

    That is: the sources from them, the answers that may hold their words, and in those sessions the summary and what a
    model answered later, since it had read the conversation. Open turns are closed, lest a model that has read the
    documents already is heard out.

    Args:
        sources: of the documents.
        texts: hashes of the texts that go with them, which older turns may know from a document of another name.
    """
    tainted: set[int] = set()
    changed: list[dict[str, Any]] = []
    for row in connection.execute(sa.select(turns).order_by(turns.c.session_key, turns.c.n)):
        recorded = json.loads(row.sources)
        kept = [s for s in recorded if s["source"] not in sources and text_hash(s["text"]) not in texts]
        given = None if row.given is None else json.loads(row.given)
        still_given = [source for source in given or () if source not in sources]
        unknown = given is None and row.state in ("open", "stopped")
        from_them = unknown or len(kept) < len(recorded) or len(still_given) < len(given or ())
        if from_them and row.answer:
            tainted.add(row.session_key)
        if from_them or (row.session_key in tainted and row.mode not in ("quoted", "refused")):
            changed.append({"key": row.session_key, "number": row.n, "kept": _json(kept), "still": _json(still_given)})
    spoilt = sa.update(turns).where(turns.c.session_key == sa.bindparam("key"), turns.c.n == sa.bindparam("number"))
    if changed:
        values = {"answer": "", "state": "erased", "sources": sa.bindparam("kept"), "given": sa.bindparam("still")}
        connection.execute(spoilt.values(values), changed)
    for page in pages(tainted):
        connection.execute(sa.update(sessions).where(sessions.c.key.in_(page)).values(summary="", summarised=0))


def history(session: Session) -> list[Message]:
    """What was said, oldest first; an answer that broke off ends with "…", and one that is not there is left out."""
    messages: list[Message] = []
    for turn in session.turns:
        messages.append({"role": "user", "content": turn.question})
        if turn.answer:
            messages.append({"role": "assistant", "content": answer_of(turn)})
    return messages


def answer_of(turn: Turn) -> str:
    return f"{turn.answer}…" if turn.state in ("open", "stopped") else turn.answer


def _draw_id() -> str:
    """A new session's id; a command line would take one that begins with a dash for an option."""
    while not _as_id(drawn := secrets.token_urlsafe(16)):
        pass
    return drawn


def _as_id(text: str) -> str:
    """The text as ids are written; empty where it cannot be one."""
    text = unicodedata.normalize("NFC", text)
    return text if NAME.fullmatch(text) else ""


def _unknown(session_id: str) -> SessionUnknown:
    return SessionUnknown(
        "there is no session {session!r}: `persona sessions list` shows those there are", session=session_id[:64]
    )


def _is(session_id: str, owner: str) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.owner == owner, sessions.c.id == _as_id(session_id))


def _find(session_id: str, owner: str) -> sa.Select[Any]:
    return sa.select(sessions).where(_is(session_id, owner))


def _outlined(owner: str) -> sa.Select[Any]:
    """Sessions in the order of `outlines`: id, start, time of the last question, number of turns, first question."""
    first = turns.alias()
    question = sa.select(first.c.question).where(first.c.session_key == sessions.c.key, first.c.n == 1)
    last = sa.func.coalesce(sa.func.max(turns.c.at), sessions.c.started).label("last")
    count = sa.func.count(turns.c.n).label("how_many")
    columns = (sessions.c.id, sessions.c.started, last, count, question.scalar_subquery().label("question"))
    query = sa.select(*columns).outerjoin(turns).where(sessions.c.owner == owner).group_by(sessions.c.key)
    return query.order_by(last.desc(), sessions.c.key.desc())


def _title(question: str | None) -> str:
    title = " ".join((question or "").split())
    return title if len(title) <= TITLE_CHARS else f"{title[: TITLE_CHARS - 1]}…"


def _turn(row: sa.Row[Any]) -> Turn:
    recorded = [Source(**source) for source in json.loads(row.sources)]
    return Turn(row.n, row.at, row.question, row.answer, row.state, row.mode, recorded)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
