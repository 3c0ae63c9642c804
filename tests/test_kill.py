"""`kill -9` at any moment of an ingest: the store opens, answers, and the next ingest finishes the work."""

import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count, groupby, pairwise
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from persona_cli import ingestion
from persona_cli.database import FILE_NAME
from persona_cli.models import ChunkId
from persona_cli.store import LOCK_NAME, Store
from tests.commands import PERSONA, persona
from tests.forks import (
    AFTER,
    DONE,
    MODEL,
    PHASES,
    Child,
    HashEmbedder,
    Kill,
    Log,
    State,
    count_threads,
    ingest,
    read_on,
)

KILLS = 200
EXAMPLES, ROUNDS = 18, 20
STAYS = "always.txt"
NAMES = ("가.txt", "나.txt", "song.txt", "여름/노래.txt")
PUBLISHED = ("publish: after", "clean up: ", DONE)
"""How the places begin at which a death comes too late to matter."""
ANY_TIME = "any time"
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Text:
    """What is in a file: recorded pairs, which are answered otherwise in each version."""

    topic: str
    version: int
    pairs: int

    def pair(self, n: int) -> tuple[str, str]:
        return f"{self.topic}에 대해 {n}번째로 물은 것은?", f"{self.topic}에 대한 {n}번째 답, {self.version}판이에요."


@dataclass(frozen=True, slots=True)
class Put:
    """A file is written, new or over another."""

    name: str
    version: int
    pairs: int

    def change(self, texts: dict[str, Text]) -> None:
        texts[self.name] = Text(self.name, self.version, self.pairs)


@dataclass(frozen=True, slots=True)
class Rename:
    """A file, if there is one, gets another name, perhaps that of another file."""

    name: str
    to: str

    def change(self, texts: dict[str, Text]) -> None:
        if self.name in texts:
            texts[self.to] = texts.pop(self.name)


@dataclass(frozen=True, slots=True)
class Delete:
    """A file goes, if there is one."""

    name: str

    def change(self, texts: dict[str, Text]) -> None:
        texts.pop(self.name, None)


@dataclass(frozen=True, slots=True)
class KillAfter:
    """An ingest is killed when a share of the time has passed that one usually takes."""

    share: float


@dataclass(frozen=True, slots=True)
class Round:
    """Files are edited, then ingested.

    Attributes:
        kill: what the ingest dies of, if it does.
        reader_too: the reader is killed after it, and another one begins.
    """

    edits: Sequence[Put | Rename | Delete]
    kill: Kill | KillAfter | None
    reader_too: bool = False


names = st.sampled_from(NAMES)


@st.composite
def edits(draw: st.DrawFn) -> Put | Rename | Delete:
    kind = draw(st.sampled_from([Put, Put, Rename, Delete]))
    if kind is Put:
        return Put(draw(names), draw(st.integers(1, 99)), draw(st.integers(1, 3)))
    return Rename(draw(names), draw(names)) if kind is Rename else Delete(draw(names))


@st.composite
def kills(draw: st.DrawFn) -> Kill | KillAfter | None:
    phase = draw(st.sampled_from([None, *PHASES, ANY_TIME, ANY_TIME, ANY_TIME]))
    if phase == ANY_TIME:
        return KillAfter(draw(st.integers(0, 20)) / 20)
    return Kill(phase, draw(st.integers(AFTER, PHASES[phase][2]))) if phase else None


@st.composite
def rounds(draw: st.DrawFn) -> list[Round]:
    """Up to twenty, of which those can be left out that have no part in a failure."""
    some = [draw(st.integers(0, 9)) for _ in range(ROUNDS)]
    return [
        Round(draw(st.lists(edits(), min_size=1, max_size=4)), draw(kills()), draw(st.booleans())) for s in some if s
    ]


IN_EVERY_PHASE = [
    Round([Put(NAMES[0], version, 1)], Kill(phase, step))
    for version, (phase, step) in enumerate((p, s) for p, (_, _, last) in PHASES.items() for s in (0, last // 2, AFTER))
]


def write(docs: Path, texts: dict[str, Text]) -> None:
    """Make a folder hold these files, and no others."""
    shutil.rmtree(docs, ignore_errors=True)
    for name, text in texts.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        pairs = ["Q: {}\nA: {}\n".format(*text.pair(n)) for n in range(text.pairs)]
        (docs / name).write_text("\n".join(pairs), encoding="utf-8")


def state_of(texts: dict[str, Text]) -> State:
    """What a store of these files holds."""
    return State((f"docs/{name}", "\n".join(text.pair(n))) for name, text in texts.items() for n in range(text.pairs))


def ingest_here(home: Path, name: str) -> ingestion.Report:
    """Ingest `home/docs` into a store of that name, in this process."""
    with closing(Store(home / name, create=True)) as store:
        return ingestion.ingest([home / "docs"], store, lambda _: HashEmbedder(), MODEL)


def contents(folder: Path) -> tuple[list[Any], dict[Any, float]]:
    """All that a store holds without the ids it gave: documents, chunks and postings; and what questions find."""
    figures: dict[Any, float] = {}
    with closing(Store(folder)) as store, store.reading() as (snapshot, generation):
        chunks = {i: (s.source, s.chunk) for i, s in snapshot.chunks(r.id for r in snapshot.index_rows()).items()}
        lexical = generation.lexical
        ids = [ChunkId(int(i)) for i in lexical.ids]
        postings = {
            int(term): {chunks[ids[row]] for row in lexical.postings[start:end]}
            for term, (start, end) in zip(lexical.terms, pairwise(lexical.starts), strict=True)
        }
        for name in (STAYS, *NAMES):
            vector = HashEmbedder().embed_question(Text(name, 0, 1).pair(0)[0])
            figures |= {(name, chunks[ChunkId(i)]): near for i, near in generation.nearest(vector, 1_000).items()}
            figures |= {(name, "usual", n): figure for n, figure in enumerate(generation.usual(vector))}
        return [snapshot.documents(), sorted(chunks.values(), key=repr), postings], figures


@dataclass(slots=True)
class Tally:
    """What was done: ingests killed, by phase and step, and questions answered."""

    deaths: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    asked: int = 0


class Sync:
    """A folder and its store, with a reader that asks all the while.

    Args:
        home: where both are to be.
        tally: counts what is done.
        usual_s: seconds that an ingest usually takes.
    """

    def __init__(self, home: Path, tally: Tally, usual_s: float = 0) -> None:
        self.home, self.tally, self.usual_s = home, tally, usual_s
        self.texts = {STAYS: Text(STAYS, 0, 8)}
        self.generation, self.state = 0, State()
        self.reader = self._start_reader()

    def run(self, round: Round) -> None:
        """Edit files, ingest them, perhaps die of it, and hear what the reader saw in the meantime."""
        for edit in round.edits:
            edit.change(self.texts)
        write(self.home / "docs", self.texts)
        before, now = self.state, state_of(self.texts)
        place = self.ingest_once(round.kill)
        note(f"{round} ended at {place!r}")
        self._hear(now)
        if place.startswith(PUBLISHED):
            assert self.state == now
        elif place != ANY_TIME:
            assert self.state == before
        if round.reader_too:
            self.reader.kill()
            self.reader = self._start_reader()

    def finish(self) -> None:
        """Ingest without a kill, and compare the store with one that was never in harm's way."""
        self.run(Round([], kill=None))
        self.reader.kill()
        report = ingest_here(self.home, "store")
        assert (report.embedded, report.generation) == (0, self.generation)
        ingest_here(self.home, "fresh")
        (held, found), (held_afresh, found_afresh) = (contents(self.home / name) for name in ("store", "fresh"))
        assert held == held_afresh
        assert found == pytest.approx(found_afresh, abs=1e-5)
        store = self.home / "store"
        assert [path.name for path in (store / "index").iterdir()] == [str(self.generation)]
        assert (store / LOCK_NAME).read_text() == ""
        with closing(sqlite3.connect(store / FILE_NAME)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def close(self) -> None:
        self.reader.kill()
        shutil.rmtree(self.home)

    def ingest_once(self, kill: Kill | KillAfter | None) -> str:
        """Where it died; DONE if nothing was left to do by then."""
        child = Child.start(ingest, self.home, kill if isinstance(kill, Kill) else None)
        status = child.kill(kill.share * self.usual_s if isinstance(kill, KillAfter) else PATIENCE_S)
        place: str = child.heard() or ANY_TIME
        if isinstance(kill, KillAfter):
            assert status in (0, -signal.SIGKILL)
        else:
            assert (status, place == ANY_TIME) == (-signal.SIGKILL if kill else 0, False)
        if status:
            phase, _, step = place.partition(": ")
            self.tally.deaths[phase, step if step in ("", "before", "after") else "inside"] += 1
        return place

    def _hear(self, now: State) -> None:
        """Check what the reader saw since it was last asked: generations one after the other, each with one state."""
        self.reader.pipe.send(None)
        log = self.reader.heard(PATIENCE_S)
        assert isinstance(log, Log)
        assert not log.faults, log.faults[0]
        assert not log.rebuilt  # a kill does no harm to an index
        seen = [pair for pair, _ in groupby([(self.generation, self.state), *log.seen])]
        generations, states = [number for number, _ in seen], [state for state, _ in groupby(s for _, s in seen)]
        assert generations == sorted(set(generations))
        assert states in ([self.state], [self.state, now])
        self.generation, self.state = seen[-1]
        self.tally.asked += log.asked

    def _start_reader(self) -> Child:
        return Child.start(read_on, self.home, [Text(name, 0, 1).pair(0)[0] for name in (STAYS, *NAMES)])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # what is forked must have no threads
    assert Child.start(count_threads).heard(PATIENCE_S) == 1
    tally = Tally()
    homes = (tmp_path / f"{n}" for n in count())
    with closing(Sync(next(homes), tally)) as sync:
        write(sync.home / "docs", sync.texts)
        start = time.monotonic()
        sync.ingest_once(None)
        usual_s = time.monotonic() - start

    @settings(derandomize=True, max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rounds())
    @example(IN_EVERY_PHASE)
    def run(rounds: list[Round]) -> None:
        with closing(Sync(next(homes), tally, usual_s)) as sync:
            for round in rounds:
                sync.run(round)
            sync.finish()

    run()
    assert tally.deaths.total() >= KILLS
    assert tally.asked >= 10 * KILLS
    assert tally.deaths.keys() >= {(phase, place) for phase in PHASES for place in ("before", "after")}
    assert tally.deaths.keys() >= {(phase, "inside") for phase in ("keep", "build", "publish", "clean up")}


@pytest.mark.slow
def test_a_first_ingest_that_is_killed_leaves_a_folder_the_next_one_can_use(tmp_path: Path) -> None:
    """By the real command, whose start takes longest."""
    text = Text(STAYS, 0, 8)
    question, answer = text.pair(3)
    write(tmp_path / "docs", {STAYS: text})
    for delay_s in (0.2, 0.6, 1.0, 1.4):
        with subprocess.Popen([*PERSONA, "ingest", "docs", "--db", "store"], cwd=tmp_path, stderr=DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(delay_s)
            process.kill()
        done = persona("ask", question, "--db", "store", cwd=tmp_path)
        assert done.returncode == 0 or "nothing has been ingested" in done.stderr
    assert persona("ingest", "docs", "--db", "store", cwd=tmp_path).returncode == 0
    assert answer in persona("ask", question, "--db", "store", cwd=tmp_path).stdout
