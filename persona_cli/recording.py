"""Recording: one turn as it is written into its session, piece by piece, so that a kill loses little of it."""

import time
from collections.abc import Sequence
from dataclasses import replace

from persona_cli.budget import tokens_of
from persona_cli.catalog import Catalog
from persona_cli.errors import StoreBusy, StoreUnwritable
from persona_cli.models import Answer, Message
from persona_cli.sessions import Session, Sessions, history

NEW = "new"
"""Asks for a session of its own."""
SAVE_EVERY_S = 0.5
"""What a killed process may lose of an answer, in seconds."""


class Record:
    """One turn of a session.

    Args:
        catalog: where sessions are kept.
        question: what was asked.
        session: id of the session to go on with; "new" begins one, where the catalog can be written to; None keeps
            nothing.
        owner: whose session it is.

    Attributes:
        session_id: None when nothing is kept.
        given: sources of the documents whose words the answer may hold.
        history: what was said before in the session, oldest first.
        summary: notes on what was said long before.

    Raises:
        SessionUnknown: there is no such session.
        StoreError: it cannot be written to.
    """

    def __init__(self, catalog: Catalog, question: str, session: str | None = None, owner: str = "") -> None:
        self.session_id = session
        self.given: set[str] = set()
        self.history: Sequence[Message] = ()
        self.summary = ""
        self._sessions = Sessions(catalog)
        self._owner = owner
        self._session: Session | None = None
        self._pieces: list[str] = []
        self._saved_at = time.monotonic()
        if session == NEW:
            self.session_id = self._begun()
        self._is_open = self.session_id is not None
        if self.session_id is not None:
            self._n = self._sessions.begin(self.session_id, question, owner)
            said = self._sessions.load(self.session_id, owner)
            self._session = replace(said, turns=[turn for turn in said.turns if turn.n < self._n])
            self.history = history(self._session)
            self.summary = self._session.summary

    def _begun(self) -> str | None:
        """A new session's id; None where the catalog cannot be written to."""
        try:
            return self._sessions.start(self._owner)
        except (StoreUnwritable, StoreBusy):
            return None

    def due(self, room: int) -> tuple[int, list[Message]] | None:
        """The turns that should be summed up, as the number of the last one and their messages.

        Args:
            room: tokens that turns may take before the older ones are summed up, until half of it is free.
        """
        if not self._session:
            return None
        turns = [turn for turn in self._session.turns if turn.n > self._session.summarised]
        sizes = [tokens_of(turn.question) + tokens_of(turn.answer) for turn in turns]
        if sum(sizes) <= room:
            return None
        count = 0
        while sum(sizes[count:]) > room // 2:
            count += 1
        return turns[count - 1].n, history(replace(self._session, turns=turns[:count]))

    def summarise(self, notes: str, through: int) -> None:
        """Keep notes on the turns up to one. Raises: StoreError."""
        if self._session:
            self._sessions.summarise(self._session.id, notes, through, self._owner)
            self.summary = notes

    def add(self, piece: str) -> bool:
        """Take a piece of the answer; whether it is time to save."""
        self._pieces.append(piece)
        return self._is_open and time.monotonic() - self._saved_at >= SAVE_EVERY_S

    def save(self) -> None:
        """Write down what has come. Raises: StoreError."""
        if self.session_id is not None and self._is_open:
            self._sessions.save(self.session_id, self._n, "".join(self._pieces), self._owner, self.given)
            self._saved_at = time.monotonic()

    def finish(self, answer: Answer) -> None:
        """Write down the whole answer. Raises: StoreError."""
        if self.session_id is not None and self._is_open:
            self._sessions.finish(self.session_id, self._n, answer, self._owner, self.given)
            self._is_open = False

    def close(self) -> None:
        """Where the answer did not come to its end, write down that it was stopped. Raises: StoreError."""
        if self.session_id is not None and self._is_open:
            self._is_open = False
            self._sessions.stop(self.session_id, self._n, "".join(self._pieces), self._owner, self.given)
