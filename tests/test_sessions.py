"""Sessions: what was said is kept turn by turn, whoever is killed, and for nobody but its owner."""

import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from markdown_it import MarkdownIt

from persona_cli.catalog import Catalog
from persona_cli.database import FILE_NAME
from persona_cli.errors import SessionUnknown, StoreBusy
from persona_cli.models import Answer, Mode, Source
from persona_cli.schema import VERSION
from persona_cli.sessions import Outline, Session, Sessions, State, Turn, history
from persona_cli.store import Store
from persona_cli.transcript import to_json, to_markdown
from tests.parts import needs
from tests.stores import make_store

CAT = Source(1, "faq.txt", "line 3", None, "2024-03-05", "고양이 이름이 뭐예요?\n보류예요.", 7.25)


def answer(output: str, *sources: Source, mode: Mode = "generated") -> Answer:
    return Answer(output, mode, answerable=True, support=0.9, sources=sources)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "store", create=True)) as catalog:
        yield catalog


@pytest.fixture
def sessions(catalog: Catalog) -> Sessions:
    return Sessions(catalog)


def test_a_session_holds_what_was_said_and_where_it_came_from(sessions: Sessions) -> None:
    assert sessions.latest() is None
    assert sessions.outlines() == []
    talk = sessions.start()
    assert sessions.begin(talk, "고양이 이름이 뭐예요?") == 1
    sessions.save(talk, 1, "보")
    sessions.save(talk, 1, "보류")
    assert sessions.load(talk).turns[0].answer == "보류"
    sessions.finish(talk, 1, answer("보류예요.", CAT, mode="quoted"))
    assert sessions.begin(talk, "Why?\u202e\x1b[2J") == 2
    sessions.stop(talk, 2, "Because")
    sessions.summarise(talk, "They spoke of a cat.", 1)
    sessions.begin(talk, "Still there?")
    found = sessions.load(talk)
    assert [(t.n, t.question, t.answer, t.state, t.mode, t.sources) for t in found.turns] == [
        (1, "고양이 이름이 뭐예요?", "보류예요.", "done", "quoted", [CAT]),
        (2, "Why?\u202e[2J", "Because", "stopped", None, []),
        (3, "Still there?", "", "open", None, []),
    ]
    assert (found.summary, found.summarised) == ("They spoke of a cat.", 1)
    assert found.started < found.turns[0].at < found.turns[1].at
    assert history(found) == [
        {"role": "user", "content": "고양이 이름이 뭐예요?"},
        {"role": "assistant", "content": "보류예요."},
        {"role": "user", "content": "Why?\u202e[2J"},
        {"role": "assistant", "content": "Because…"},
        {"role": "user", "content": "Still there?"},
    ]
    long = sessions.start()
    sessions.begin(long, "아주\n긴 " * 100)
    title = sessions.outlines()[0].title
    assert title.startswith("아주 긴 아주 긴")
    assert (len(title), title[-1]) == (60, "…")
    assert [(o.id, o.turns) for o in sessions.outlines()] == [(long, 1), (talk, 3)]
    sessions.begin(talk, "Hello?")
    assert sessions.latest() == talk


@pytest.mark.parametrize("name", ["a", "방송-이야기_1.txt", "7", "é" * 64, "방송"])
def test_a_session_can_be_named(sessions: Sessions, name: str) -> None:
    talk = sessions.start(name=name)
    assert sessions.begin(name, "?") == 1
    assert sessions.start(name=name) == talk  # goes on
    assert sessions.load(talk).id == talk
    assert sessions.delete([name]) == 1


@pytest.mark.parametrize(
    "name", ["", " ", "-a", ".a", "a b", "a/b", "a\n", "\ud800", "a\u202e", "é" * 65, "../x", "😀"]
)
def test_what_cannot_name_a_session_is_refused_and_unknown(sessions: Sessions, name: str) -> None:
    with pytest.raises(SessionUnknown, match="cannot name a session"):
        sessions.start(name=name)
    with pytest.raises(SessionUnknown, match="there is no session"):
        sessions.load(name)
    assert sessions.delete([name]) == 0


def test_drawn_ids_are_no_options_and_hold_128_bits(sessions: Sessions) -> None:
    drawn = [sessions.start() for _ in range(200)]
    assert len(set(drawn)) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9][\w-]{21}", each) for each in drawn)


def test_nobody_elses_session_is_there(sessions: Sessions) -> None:
    private = sessions.start("kim", "talk")
    sessions.begin(private, "secret?", "kim")
    for call in (lambda: sessions.load("talk", "lee"), lambda: sessions.begin("talk", "?", "lee")):
        with pytest.raises(SessionUnknown) as of_others:
            call()
        with pytest.raises(SessionUnknown) as of_nobody:
            sessions.load("task", "lee")
        assert str(of_others.value) == str(of_nobody.value).replace("task", "talk")
    with pytest.raises(SessionUnknown, match="there is no session 'talks': `persona"):
        sessions.find("talks", "lee")
    assert (sessions.latest("lee"), sessions.outlines("lee"), sessions.delete(["talk"], "lee")) == (None, [], 0)
    sessions.save("talk", 1, "lee was here", "lee")
    assert sessions.start("lee", "talk") == "talk"
    assert sessions.load("talk", "lee").turns == []
    assert sessions.load("talk", "kim").turns[0].answer == ""


def test_the_beginning_of_an_id_finds_it(sessions: Sessions) -> None:
    for name in ("summer", "summit", "winter", "방송이야기"):
        sessions.start(name=name)
    assert [sessions.find(each) for each in ("summe", "wint", "winter", "방송이야")] == [
        *("summer", "winter", "winter", "방송이야기"),
    ]
    for wanted, message in {
        "summ": "several sessions begin with 'summ': summer, summit",
        "win": "there is no session 'win': `persona sessions list` shows",
        "wintre": "there is no session 'wintre': did you mean winter?",
    }.items():
        with pytest.raises(SessionUnknown, match=re.escape(message)):
            sessions.find(wanted)


class Model(RuleBasedStateMachine):
    """Sessions against a dictionary, by two owners, with the catalog opened anew now and then."""

    talks = Bundle("talks")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.catalog = Catalog(Path(self.folder.name), create=True)
        self.sessions = Sessions(self.catalog)
        self.known: dict[tuple[str, str], list[tuple[str, str, State]]] = {}

    @rule(target=talks, owner=st.sampled_from(["", "kim"]), name=st.none() | st.sampled_from(["a", "나"]))
    def start(self, owner: str, name: str | None) -> tuple[str, str]:
        talk = (owner, self.sessions.start(owner, name))
        self.known.setdefault(talk, [])
        return talk

    @rule(talk=talks, question=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=5_000))
    def begin(self, talk: tuple[str, str], question: str) -> None:
        if talk not in self.known:
            with pytest.raises(SessionUnknown):
                self.sessions.begin(talk[1], question, talk[0])
            return
        n = self.sessions.begin(talk[1], question, talk[0])
        self.known[talk].append((self.sessions.load(talk[1], talk[0]).turns[-1].question, "", "open"))
        assert n == len(self.known[talk])

    @rule(
        talk=talks,
        n=st.integers(1, 4),
        output=st.text(max_size=9_000),
        how=st.sampled_from(["open", "done", "stopped"]),
    )
    def write(self, talk: tuple[str, str], n: int, output: str, how: State) -> None:
        if how == "open":
            self.sessions.save(talk[1], n, output, talk[0])
        elif how == "done":
            self.sessions.finish(talk[1], n, answer(output, CAT), talk[0])
        else:
            self.sessions.stop(talk[1], n, output, talk[0])
        turns = self.known.get(talk, [])
        if n <= len(turns) and turns[n - 1][2] == "open":
            turns[n - 1] = (turns[n - 1][0], output, how)

    @rule(talk=consumes(talks))
    def delete(self, talk: tuple[str, str]) -> None:
        assert self.sessions.delete([talk[1]], talk[0]) == (self.known.pop(talk, None) is not None)

    @rule()
    def open_anew(self) -> None:
        self.catalog.close()
        self.catalog = Catalog(Path(self.folder.name))
        self.sessions = Sessions(self.catalog)

    @invariant()
    def agree(self) -> None:
        listed = {(owner, o.id): o.turns for owner in ("", "kim") for o in self.sessions.outlines(owner)}
        assert listed == {talk: len(turns) for talk, turns in self.known.items()}
        for (owner, talk), turns in self.known.items():
            found = self.sessions.load(talk, owner).turns
            assert [(t.question, t.answer, t.state) for t in found] == turns
            assert [t.n for t in found] == list(range(1, len(turns) + 1))

    def teardown(self) -> None:
        self.catalog.close()
        self.folder.cleanup()


def test_sessions_do_what_a_dictionary_would() -> None:
    run_state_machine_as_test(
        Model, settings=settings(max_examples=25, stateful_step_count=25, deadline=None, database=None)
    )


CHAT = """
import sys, time
from pathlib import Path
from persona_cli.catalog import Catalog
from persona_cli.models import Answer
from persona_cli.sessions import Sessions
folder, talk, turns = sys.argv[1:]
sessions = Sessions(Catalog(Path(folder)))
for i in range(int(turns)):
    n = sessions.begin(talk, f"질문 {i}")
    sessions.save(talk, n, f"답 {i}, 반쯤")
    if i + 1 < int(turns) or talk != "killed":
        sessions.finish(talk, n, Answer(f"답 {i}", "generated", True, 1.0))
print("said", flush=True)
time.sleep(600 if talk == "killed" else 0)
"""


def chat(folder: Path, talk: str, turns: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHAT, str(folder), talk, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_leaves_what_was_said_and_the_session_goes_on(catalog: Catalog, sessions: Sessions) -> None:
    sessions.start(name="killed")
    with chat(catalog.folder, "killed", 3) as process:
        assert process.stdout
        assert process.stdout.readline() == "said\n"
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    said = [(turn.n, turn.answer, turn.state) for turn in sessions.load("killed").turns]
    assert said == [(1, "답 0", "done"), (2, "답 1", "done"), (3, "답 2, 반쯤", "open")]
    assert sessions.begin("killed", "아직 있어요?") == 4


def test_processes_in_sessions_of_their_own_do_not_collide(catalog: Catalog, sessions: Sessions) -> None:
    for name in "abcde":
        sessions.start(name=name)
    processes = [chat(catalog.folder, name, 20) for name in "abcde"]
    assert [process.wait(60) for process in processes] == [0] * 5
    for process in processes:
        assert process.stdout
        process.stdout.close()
    expected = [(n, f"질문 {n - 1}", f"답 {n - 1}", "done") for n in range(1, 21)]
    for name in "abcde":
        assert [(t.n, t.question, t.answer, t.state) for t in sessions.load(name).turns] == expected


def test_many_writers_of_one_session_get_a_turn_each(catalog: Catalog, sessions: Sessions) -> None:
    talk = sessions.start()

    def say(i: int) -> tuple[int, str]:
        with closing(Catalog(catalog.folder)) as own:
            n = Sessions(own).begin(talk, f"질문 {i}")
            Sessions(own).finish(talk, n, answer(f"답 {i}"))
            return n, f"답 {i}"

    with ThreadPoolExecutor(20) as threads:
        told = sorted(threads.map(say, range(60)))
    assert [(turn.n, turn.answer) for turn in sessions.load(talk).turns] == told
    assert [n for n, _ in told] == list(range(1, 61))


def traces(folder: Path, word: str) -> list[str]:
    """Files that hold a word."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if word.encode() in path.read_bytes()]


@pytest.mark.parametrize("seed", [0, 24, 31, 44])
def test_a_deleted_session_leaves_no_trace_in_any_file(catalog: Catalog, sessions: Sessions, seed: int) -> None:
    """Not even where SQLite has moved the rows of a growing answer from page to page."""
    draw = random.Random(seed)
    talks = [sessions.start(name=f"talk{i}") for i in range(8)]
    with catalog.transaction() as connection:  # one for all, as each waits for the disk
        for _ in range(100):
            i = draw.randrange(8)
            n = 1 + (connection.scalar(sa.text(f"SELECT max(n) FROM turns WHERE session_key = {i + 1}")) or 0)
            text = f"비밀{i}번"
            row = {"k": i + 1, "n": n, "q": text * draw.randint(1, 4)}
            connection.execute(
                sa.text("INSERT INTO turns (session_key, n, at, question, state) VALUES (:k, :n, '', :q, 'open')"), row
            )
            for _ in range(draw.randint(1, 12)):
                grown = {"k": i + 1, "n": n, "a": text * draw.randint(1, 40)}
                update = "UPDATE turns SET answer = answer || :a WHERE session_key = :k AND n = :n"
                connection.execute(sa.text(update), grown)
    for i in draw.sample(range(8), 5):
        assert traces(catalog.folder, f"비밀{i}번")
        assert sessions.delete([talks[i]]) == 1
        assert traces(catalog.folder, f"비밀{i}번") == []


def test_what_a_reader_keeps_of_a_deleted_session_is_wiped_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persona_cli.database.BUSY_TIMEOUT_S", 0.2)
    folder = make_store(tmp_path / "store")
    with closing(Store(folder)) as store, closing(Catalog(folder)) as other:
        sessions = Sessions(store.catalog)
        sessions.begin(sessions.start(name="talk"), "quetzalcoatlus?")
        with other.snapshot() as snapshot:
            snapshot.documents()
            with pytest.raises(StoreBusy, match="is being read"):
                sessions.delete(["talk"])
            assert sessions.outlines() == []
            assert traces(folder, "quetzalcoatlus")
        with store.writing():
            assert traces(folder, "quetzalcoatlus") == []


READ_ONLY = """
import sys
from pathlib import Path
from persona_cli.catalog import Catalog
from persona_cli.errors import StoreUnwritable
from persona_cli.sessions import Sessions
sessions = Sessions(Catalog(Path(sys.argv[1])))
print(sessions.load("talk").turns[0].question)
for write in (sessions.start, lambda: sessions.begin("talk", "?"), lambda: sessions.delete(["talk"])):
    try:
        write()
    except StoreUnwritable as error:
        print(error)
"""


def test_in_a_store_that_cannot_be_written_to_sessions_are_only_read(catalog: Catalog, sessions: Sessions) -> None:
    sessions.begin(sessions.start(name="talk"), "hello?")
    catalog.close()
    anybody = (
        [] if sys.platform == "win32" else [str(needs("setpriv")), "--bounding-set=-dac_override,-dac_read_search"]
    )
    paths = [catalog.folder, *catalog.folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [*anybody, sys.executable, "-c", READ_ONLY, str(catalog.folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    for path in paths:
        path.chmod(0o755)
    assert told.stderr == ""
    assert told.stdout.splitlines() == [
        "hello?",
        *[f"'{catalog.folder}' cannot be written to: check its permissions"] * 3,
    ]


def test_a_store_of_the_second_schema_gets_sessions(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        for table in ("turns", "sessions", "assets", "ways", "augmented"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 2")
    with closing(Store(folder)) as store:
        sessions = Sessions(store.catalog)
        assert sessions.begin(sessions.start(), "안녕?") == 1
        with store.reading() as (snapshot, _):
            assert snapshot.count_chunks() > 0
        with store.catalog.reading() as connected:
            assert connected.exec_driver_sql("PRAGMA user_version").scalar() == VERSION


def session_of(question: str, reply: str, *sources: Source) -> Session:
    at = "2026-03-05T09:12:44.000001+00:00"
    turn = Turn(1, at, question, reply, "stopped", None, list(sources))
    return Session("talk", "a secret", at, [turn], "", 0)


def test_json_holds_all_but_the_owner() -> None:
    assert to_json(session_of("Why?", "Because", CAT)) == {
        "id": "talk",
        "started": "2026-03-05T09:12:44.000001+00:00",
        "turns": [
            {
                "n": 1,
                "at": "2026-03-05T09:12:44.000001+00:00",
                "question": "Why?",
                "answer": "Because",
                "state": "stopped",
                "mode": None,
                "sources": [
                    {
                        "n": 1,
                        "source": "faq.txt",
                        "locator": "line 3",
                        "speaker": None,
                        "date": "2024-03-05",
                        "text": "고양이 이름이 뭐예요?\n보류예요.",
                        "score": 7.25,
                    }
                ],
            }
        ],
        "summary": "",
        "summarised": 0,
    }


def test_a_transcript_reads_well_in_both_languages() -> None:
    session = session_of("왜요?", "그냥요.\n\n1. 하나\n- 둘", CAT)
    assert to_markdown(session, "박자두", korean=False) == (
        "# Conversation with 박자두\n\n"
        "Session talk, started 2026-03-05 09:12 UTC. The answers come from a model of 박자두, made from the sources"
        " under each; they are not 박자두's own.\n\n"
        "## 1\n\n**You** · 2026-03-05 09:12 UTC\n\n> 왜요?\n\n"
        "**박자두** · *stopped*\n\n> 그냥요.  \n>\n> 1\\. 하나  \n> \\- 둘…\n\n"
        "1. faq.txt · line 3 · 2024-03-05\n"
    )
    korean = to_markdown(session, "", korean=True)
    assert korean.startswith("# 대화 기록: 이 사람\n")
    assert "**나** · 2026-03-05 09:12 UTC" in korean
    assert "*중지함*" in korean


MARKS = (
    "말 a 1 12 # - --- === + * ** _ ` ``` ~~~ ~~ > < </ <!-- --> | |-|-| [a](b) [a]: [^1] <b> &lt; & \\ $$ 1. 1) : ."
)
SPACES = ["\n", "\r", "\r\n", "\n\n", " ", "    ", "\t", "\u2028", "\x0b"]
NASTY = st.lists(st.sampled_from([*MARKS.split(), *SPACES, "![a](http://x/y)", "<script>"]), max_size=12).map("".join)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(question=NASTY, reply=NASTY, name=NASTY, source=NASTY)
def test_nothing_that_was_said_changes_the_structure_of_a_transcript(
    question: str, reply: str, name: str, source: str
) -> None:
    session = session_of(f"q{question}", f"r{reply}", Source(1, f"s{source}", "line 1", None, None, "text", 1.0))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(to_markdown(session, f"n{name}", False))
    said = ["paragraph", "blockquote"]
    expected = ["heading", "paragraph", "heading", *said, *said, "ordered_list"]
    assert [token.type for token in tokens if token.level == 0 and token.nesting > 0] == [f"{e}_open" for e in expected]
    nested = {t.type for t in tokens if t.level > 0 and t.type not in ("inline", "paragraph_open", "paragraph_close")}
    assert nested <= {"list_item_open", "list_item_close"}
    inline = [child for token in tokens if token.type == "inline" for child in token.children or ()]
    allowed = {"text", "softbreak", "hardbreak", "strong_open", "strong_close", "em_open", "em_close", "text_special"}
    assert {child.type for child in inline} <= allowed
    assert sum(child.type in ("strong_open", "em_open") for child in inline) == 3
    shown = "".join(child.content or " " for child in inline)
    assert "".join(f"q{question}".split()) in "".join(shown.split())
    assert "".join(f"r{reply}".split()) in "".join(shown.split())


def test_an_outline_of_a_session_without_turns_is_when_it_began(sessions: Sessions) -> None:
    talk = sessions.start()
    started = sessions.load(talk).started
    assert sessions.outlines() == [Outline(talk, started, started, 0, "")]
