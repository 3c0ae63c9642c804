"""An ingest in a process of its own, which dies where it is told to, and a reader in another, which never stops asking.

Both are forked from a server that has imported what takes long and has opened nothing, so that one takes milliseconds
to start; `CONTEXT` starts them. They talk to the test through a pipe.
"""

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from sys import addaudithook
from typing import Any

import numpy as np
import sqlalchemy as sa
from chromadb import Collection

from persona_cli import comparison, ingestion
from persona_cli.catalog import Catalog
from persona_cli.errors import StoreMissing
from persona_cli.index import Generation, Index
from persona_cli.models import Matrix, Vector, text_hash
from persona_cli.retrieval import Retriever
from persona_cli.snapshot import Snapshot
from persona_cli.store import Store

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", __name__])

MODEL = "hashes"
DIMENSIONS = 16
DONE = "done"
AFTER = -1
FILE_EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
"""https://docs.python.org/3/library/audit_events.html; "open" is one too, where it is for writing."""

State = frozenset[tuple[str, str]]
"""What a store holds: source and whole text of every chunk."""


class HashEmbedder:
    """A vector for each text, always the same one, as slowly as needed to be interrupted."""

    model = MODEL
    batch_chars = 60
    by_sentence = False

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        time.sleep(0.002)
        return np.stack([self.embed_question(text) for text in texts])

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        return self.embed_texts(questions)

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        vector = np.random.default_rng(list(text_hash(question))).standard_normal(DIMENSIONS)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass(slots=True)
class Child:
    """A process, and our end of the pipe to it."""

    process: ForkServerProcess
    pipe: "Connection[Any, Any]"

    @classmethod
    def start(cls, run: Callable[..., None], *args: object) -> "Child":
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=run, args=(theirs, *args), daemon=True)
        process.start()
        theirs.close()  # so that ours ends when the process does
        return cls(process, ours)

    def heard(self, patience_s: float = 0) -> Any:
        """The next that it says; None when it says nothing more, or not in time."""
        try:
            return self.pipe.recv() if self.pipe.poll(patience_s) else None
        except EOFError:
            return None

    def kill(self, after_s: float = 0) -> int | None:
        """Kill it, if it has not ended until then; what it exited with: minus the signal, if it was killed."""
        self.process.join(after_s)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


@dataclass(frozen=True, slots=True)
class Kill:
    """Where an ingest dies: before a phase (step 0), at a later step of it, or after it (step AFTER).

    Steps are to open a file for writing, to rename or remove one, an SQL statement, a commit, a call of Chroma, and to
    enter the phase once more. An ingest that has fewer of them dies when it is done.
    """

    phase: str
    step: int


PHASES: Mapping[str, tuple[Any, str, int]] = {
    "open": (Store, "__init__", 7),
    "read": (comparison, "read", 4),
    "embed": (HashEmbedder, "embed_texts", 2),
    "keep": (Catalog, "cache_vectors", 3),
    "build": (Index, "build", 30),
    "publish": (Catalog, "publish", 7),
    "clean up": (Index, "sweep", 17),
}
"""The function that a phase is, and its last step when a small file has changed."""


class Trap:
    """Counts the steps of a phase and kills this process at one of them, having said where."""

    def __init__(self, kill: Kill, say: Callable[[str], None]) -> None:
        self._kill, self._say = kill, say
        self._inside = False
        self._steps = 0
        owner, name, _ = PHASES[kill.phase]
        setattr(owner, name, self._phase(getattr(owner, name)))
        for name in ("add", "delete"):
            setattr(Collection, name, self._noted(getattr(Collection, name)))
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda _c, _k, statement, *_: self.step(statement))
        sa.event.listen(sa.Engine, "commit", lambda _: self.step("COMMIT"))
        addaudithook(self._audit)

    def step(self, what: str) -> None:
        """Note a step; the last this process does if it is the one."""
        if self._inside:
            if self._steps == self._kill.step:
                self.die(f"{self._kill.phase}: {what}")
            self._steps += 1

    def die(self, what: str) -> None:
        """Say where, and kill this process."""
        self._inside = False
        self._say(what)
        os.kill(os.getpid(), signal.SIGKILL)

    def _phase(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._inside = True
            self.step("before")
            result = run(*args, **kwargs)
            if self._kill.step == AFTER:
                self.die(f"{self._kill.phase}: after")
            self._inside = False
            return result

        return watched

    def _noted(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run)
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.step(f"Chroma's {run.__name__}")
            return run(*args, **kwargs)

        return noted

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if self._inside and (event in FILE_EVENTS or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))):
            self.step(f"{event} {args[0]}")


def count_threads(pipe: "Connection[int, None]") -> None:
    """Say how many threads there are in the server that this process was forked from; 1 where nothing tells."""
    tasks = Path(f"/proc/{os.getppid()}/task")
    pipe.send(len(list(tasks.iterdir())) if tasks.exists() else 1)


def ingest(pipe: "Connection[str, None]", home: Path, kill: Kill | None) -> None:
    """Ingest `home/docs` into `home/store`; say through the pipe where it dies, or that it is done."""
    trap = Trap(kill, pipe.send) if kill else None
    ingestion.COMMIT_S = 0.005  # several times in an ingest, though it takes no second
    store = Store(home / "store", create=True)
    ingestion.ingest([home / "docs"], store, lambda _: HashEmbedder(), MODEL)
    if trap:
        trap.die(DONE)
    pipe.send(DONE)
    store.close()


@dataclass(slots=True)
class Log:
    """What a reader saw.

    Attributes:
        seen: the published generation and what it held, whenever it was another one; generation 0 before the first.
        asked: how many questions were answered.
        rebuilt: how many times the reader found the index damaged and made it anew.
        faults: tracebacks.
    """

    seen: list[tuple[int, State]] = field(default_factory=list)
    asked: int = 0
    rebuilt: int = 0
    faults: list[str] = field(default_factory=list)

    def note(self, generation: int, state: State) -> None:
        if self.seen[-1:] != [(generation, state)]:
            self.seen.append((generation, state))


class WatchedStore(Store):
    """A store that remembers what its last reading could see."""

    rebuilt = 0
    generation = 0
    state: State = frozenset()

    @contextmanager
    def reading(self) -> Iterator[tuple[Snapshot, Generation]]:
        with super().reading() as (snapshot, generation):
            ids = [row.id for row in snapshot.index_rows()]
            assert list(generation.lexical.ids) == ids
            assert snapshot.generation == generation.number
            self.generation, self.state = generation.number, state_of(snapshot)
            yield snapshot, generation

    def publish(self, *args: Any, **kwargs: Any) -> int:
        self.rebuilt += 1
        return super().publish(*args, **kwargs)


def state_of(snapshot: Snapshot) -> State:
    """All there is in the catalog."""
    stored = snapshot.chunks(row.id for row in snapshot.index_rows())
    return frozenset((s.source, s.chunk.whole) for s in stored.values())


def read_on(pipe: "Connection[Log, None]", home: Path, questions: Sequence[str]) -> None:
    """Ask without pause; on each word through the pipe, ask once more and send what was seen since the last one."""
    log, store = Log(), None
    for question in cycle(questions):
        told = pipe.poll()
        try:
            store = store or WatchedStore(home / "store")
            ask(store, question)
            log.note(store.generation, store.state)
            log.asked, log.rebuilt = log.asked + 1, store.rebuilt
        except StoreMissing:
            log.note(0, frozenset())
        except Exception:
            log.faults.append(traceback.format_exc())
        if told:
            pipe.recv()
            pipe.send(log)
            log = Log()


def ask(store: WatchedStore, question: str) -> None:
    """Ask for everything there is, so that the answer must be all of one generation, the best of it first."""
    passages = Retriever(store, HashEmbedder()).retrieve(question, 1_000).passages
    assert {(p.stored.source, p.stored.chunk.whole) for p in passages} == store.state
    if any(whole.startswith(question) for _, whole in store.state):
        assert passages[0].stored.chunk.question == question
