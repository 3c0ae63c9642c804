"""`persona chat`, in a terminal with somebody before it."""

import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from persona_cli.cli.boundary import FAILED
from persona_cli.cli.terminal import Flow
from persona_cli.sessions import Session, Sessions
from persona_cli.store import Store
from tests.commands import persona
from tests.stores import FAQ, make_store
from tests.stub_model import StubModel
from tests.terminals import Terminal, terminal

CAT = "고양이 이름이 뭐예요?"
SHOW = "방송은 언제 하나요?"
LONG = (
    "제가 그날은 좀 천천히 해 보려고 했어요. I wanted to take every question at my own pace, and then I did not. " * 3
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("chat") / "vector_store")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A folder with a store in the default place."""
    shutil.copytree(made, tmp_path / "vector_store")
    return tmp_path


def served(model: StubModel, name: str = "stub") -> dict[str, str]:
    return {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "sk-test", "PERSONA_MODEL": name}


def kept(folder: Path) -> list[Session]:
    """The sessions of a store, the last one first."""
    store = Store(folder / "vector_store")
    sessions = Sessions(store.catalog)
    found = [sessions.load(outline.id) for outline in sessions.outlines()]
    store.close()
    return found


def asked(folder: Path) -> list[str]:
    """The questions of the last session."""
    return [turn.question for turn in kept(folder)[0].turns]


def leave(chat: Terminal) -> None:
    chat.ready()
    chat.type("\x04")
    assert chat.end() == 0


def test_a_question_in_korean_gets_its_answer_with_a_source_and_ctrl_d_leaves(folder: Path) -> None:
    with terminal("chat", cwd=folder, env={"LANG": "ko_KR.UTF-8"}) as chat:
        chat.see("반가워요", "모델의 답이에요", "/help로")
        chat.ready()
        chat.ask(CAT, FAQ[1].text)
        shown = chat.see(f"> {CAT}\n{FAQ[1].text}\n[1] faq.txt · line 3 — {CAT}")
        assert "생각하는 중" in chat.raw.decode()  # while there was nothing yet
        assert "생각하는 중" not in shown
        assert shown.count("모델의 답이에요") == 1
        assert chat.is_styled
        leave(chat)
    assert asked(folder) == [CAT]


def test_the_profile_greets_and_suggests_questions(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "a.txt").write_text("저는 매일 아침 강가를 달려요.\n", encoding="utf-8")
    profile = (
        'name = "박자두"\ngreeting = "왔어요?\\n앉아요."\nquestions = ["어디를 달려요?"]\ndescription = "달리는 사람."'
    )
    links = '\n[[links]]\ntitle = "강가 일기"\nurl = "https://river.example/diary"\n'
    (folder / "docs" / "persona.toml").write_text(profile + links, encoding="utf-8")
    persona("ingest", "docs", "--db", "own", cwd=folder).check_returncode()
    with terminal("chat", "--db", "own", cwd=folder) as chat:
        chat.see("왔어요?\n앉아요.\n박자두 본인이 아니라", "- 어디를 달려요?")
        chat.ready()
        chat.ask("/persona", "강가 일기: https://river.example/diary")
        chat.see("> /persona\n박자두\n달리는 사람.\n박자두 본인이 아니라", "강가 일기")


def test_korean_is_edited_by_whole_syllables(folder: Path) -> None:
    left, right, home, delete = "\x1b[D", "\x1b[C", "\x01", "\x1b[3~"
    with terminal("chat", cwd=folder) as chat:
        chat.ready()
        chat.type("고양이 이름잉")
        chat.see("> 고양이 이름잉")
        chat.type("\x7f이 뭐야?")
        chat.see("> 고양이 이름이 뭐야?")
        chat.type(left * 2 + "\x7f무예요" + left * 3 + right + "\x7f뭐")
        chat.see("> 고양이 이름이 뭐예요야?")
        chat.type(right * 2 + delete)
        chat.see("> 고양이 이름이 뭐예요?")
        chat.type(home + "\u1100\u1173\u1102\u1161\u11ab")  # a keyboard that gives jamo one by one
        chat.see("> 그난고양이")
        chat.type("\x7fx\u0302")  # which is no character of its own
        chat.see("> 그x\u0302고")
        chat.type("\x7f\x7f")
        chat.see("> 고양이 이름이 뭐예요?")
        chat.type("\r")
        chat.see(FAQ[1].text)
        leave(chat)
    assert asked(folder) == [CAT]


def test_what_was_typed_is_there_the_next_time_for_its_owner_alone(folder: Path, home: Path) -> None:
    with terminal("chat", cwd=folder) as chat:
        chat.ready()
        chat.ask(CAT, FAQ[1].text)
        chat.ask(" 비밀인데 방송은 언제 하나요?", "아홉 시요")
        leave(chat)
    file = home / ".local" / "state" / "persona" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert CAT in file.read_text(encoding="utf-8")
    assert "비밀" not in file.read_text(encoding="utf-8")
    with terminal("chat", cwd=folder) as chat:
        chat.ready()
        chat.type("\x1b[A")
        chat.see(f"> {CAT}")


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(folder: Path, stub_model: StubModel) -> None:
    stub_model.answer = LONG
    with terminal("chat", cwd=folder, env=served(stub_model, "slow")) as chat:
        chat.ready()
        chat.type(f"{CAT}\r")
        chat.see("제가 그날은")
        chat.type("\x03")
        chat.see("제가 그날은", "(stopped)")
        chat.ready()
        stub_model.answer = "이번에는 끝까지 말했어요."
        chat.ask(SHOW, "이번에는 끝까지 말했어요.")
        leave(chat)
    (session,) = kept(folder)
    assert [(turn.question, turn.state) for turn in session.turns] == [(CAT, "stopped"), (SHOW, "done")]
    assert session.turns[0].answer.startswith("제가 그날은")
    assert len(session.turns[0].answer) < len(LONG)


def test_ctrl_c_before_the_first_word_stops_too(folder: Path, stub_model: StubModel) -> None:
    with terminal("chat", cwd=folder, env=served(stub_model, "hang")) as chat:
        chat.ready()
        chat.type(f"{CAT}\r")
        chat.see("thinking…")
        chat.type("\x03")
        assert "thinking" not in chat.see("(stopped)")
        leave(chat)


def test_ctrl_c_at_the_prompt_drops_the_line_and_then_says_how_to_leave(folder: Path) -> None:
    with terminal("chat", cwd=folder) as chat:
        chat.ready()
        chat.type("고양")
        chat.see("> 고양")
        chat.type("\x03")
        assert "leaves" not in chat.gone("> 고양").splitlines()[-1]
        chat.type("\x03")
        chat.see("Ctrl-D or /quit leaves")
        chat.type("/quit\r")
        assert chat.end() == 0


def test_what_is_typed_during_an_answer_waits_for_its_end(folder: Path, stub_model: StubModel) -> None:
    stub_model.answer, stub_model.token_delay_s = "하나 둘 셋 넷 다섯 여섯.", 0.15
    with terminal("chat", cwd=folder, env=served(stub_model, "slow")) as chat:
        chat.ready()
        chat.type(f"{CAT}\r")
        chat.see("하나")
        chat.type(f"{SHOW}\r\x04")
        chat.see("하나 둘 셋 넷 다섯 여섯.\nno passage says: 셋, 여섯\n[1]", f"> {SHOW}\n하나 둘 셋 넷 다섯 여섯.")
        assert chat.end() == 0
    assert asked(folder) == [CAT, SHOW]


def test_a_pasted_text_of_several_lines_is_one_message(folder: Path) -> None:
    with terminal("chat", cwd=folder) as chat:
        chat.ready()
        chat.type("\x1b[200~고양이\r\n이름이\x1b[201~")
        chat.see("> 고양이\n  이름이")
        chat.type("\x1b\r뭐")  # Alt+Enter
        chat.see("> 고양이\n  이름이\n  뭐")
        chat.type("\n예요?")  # Ctrl+J
        chat.see("> 고양이\n  이름이\n  뭐\n  예요?")
        chat.type("\r")
        chat.see(FAQ[1].text)
        leave(chat)
    assert asked(folder) == ["고양이\n이름이\n뭐\n예요?"]


def test_forty_columns_split_no_word_and_no_syllable(folder: Path, stub_model: StubModel) -> None:
    stub_model.answer = LONG
    with terminal("chat", cwd=folder, columns=40, env=served(stub_model)) as chat:
        chat.ready()
        chat.ask(CAT, "[1] faq.txt")
        lines = chat.shown.split(f"> {CAT}\n")[1].split("\n[1]")[0].splitlines()
        assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
        assert max(map(cell_len, lines)) in (39, 40)
        assert {word for word in LONG.split() if word.isascii()} <= set(" ".join(lines).split())
        (source,) = (line for line in chat.shown.splitlines() if line.startswith("[1]"))
        assert source.endswith("…")


def test_a_window_made_smaller_during_an_answer_is_kept_to(folder: Path, stub_model: StubModel) -> None:
    stub_model.token_delay_s = 0.04
    stub_model.answer = "It takes " + "a while to say all of this at the pace I like, " * 4
    with terminal("chat", cwd=folder, env=served(stub_model, "slow")) as chat:
        chat.ready()
        chat.type(f"{CAT}\r")
        chat.see("It takes")
        before = len(chat.raw)
        chat.resize(30, 40)
        chat.see("[1] faq.txt")
        lines = chat.raw[before:].decode().split("\r\n")
        assert {"while", "say", "this", "pace", "like,"} <= set(" ".join(lines).split())
        assert all(cell_len(line) <= 30 for line in lines[1:] if "\x1b" not in line)
        chat.ready()
        chat.resize(60, 40)
        chat.type("고양이 이름은 왜 아직도 정해지지 않았나요?")
        chat.see("> 고양이 이름은 왜 아직도 정해지지 않았나요?")


def test_without_colours_nothing_is_styled(folder: Path) -> None:
    with terminal("chat", cwd=folder, env={"NO_COLOR": "1"}) as chat:
        chat.ready()
        chat.ask(CAT, FAQ[1].text)
        chat.type("/")
        chat.see("/help")
        assert not chat.is_styled


def test_a_dumb_terminal_is_sent_nothing_but_text(folder: Path) -> None:
    with terminal("chat", cwd=folder, env={"TERM": "dumb"}) as chat:
        chat.ready()
        chat.ask(CAT, FAQ[1].text)
        chat.ask("/session", "questions so far")
        leave(chat)
        assert b"\x1b" not in chat.raw


def test_slash_commands(folder: Path) -> None:
    with terminal("chat", cwd=folder, rows=100) as chat:
        chat.ready()
        chat.ask("/sources", "there is no answer with sources yet")
        chat.ask("/retry", "nothing has been asked yet")
        chat.ask(CAT, FAQ[1].text)
        chat.ask("/sources", f"> /sources\n[1] faq.txt · line 3\n    {CAT} {FAQ[1].text}")
        chat.ask("/sources 1", f"[1] faq.txt · line 3\n{CAT}\n{FAQ[1].text}\n")
        chat.ask("/sources 9", "there is no source '9'; there are 1")
        chat.ask("/sorces", "there is no command /sorces: did you mean /sources?")
        chat.ask("/retry", f"> /retry\n{FAQ[1].text}")
        (session,) = kept(folder)
        chat.ask("/session", f"session {session.id}: 2 questions so far")
        chat.ask("/export", f"written: persona-{session.id}.md")
        chat.ask("/export", "is there already: name another")
        chat.ask("/session new", "a new session, which begins with your next question")
        chat.ask("//session", "//session")
        chat.ask(f"/session {session.id[:6]}", f"session {session.id}: 2 questions so far")
        chat.ask("/session list", f"* {session.id}  ")
        chat.ask("/session nothing-of-this-name", "there is no session 'nothing-of-this-name'")
        chat.type("/cl")
        chat.see("> /cl", "clears the screen")
        chat.type("\t")
        chat.see("> /clear")
        chat.type("\r")
        chat.gone(FAQ[1].text)
        leave(chat)
    text = (folder / f"persona-{session.id}.md").read_text(encoding="utf-8")
    assert text.count(f"> {CAT}") == 2
    assert [[turn.question for turn in each.turns] for each in kept(folder)] == [["/session"], [CAT, CAT]]


def test_a_chat_goes_on_with_an_earlier_session(folder: Path) -> None:
    persona("chat", "--session", "first", cwd=folder, stdin=CAT).check_returncode()
    with terminal("chat", "--continue", cwd=folder) as chat:
        chat.see("session first: 1 questions so far")
        chat.ready()
        chat.ask("/sources", "[1] faq.txt · line 3")
        chat.ask(SHOW, "아홉 시요")
        leave(chat)
    (session,) = kept(folder)
    assert (session.id, [turn.question for turn in session.turns]) == ("first", [CAT, SHOW])


def test_a_conversation_that_is_not_kept_is_still_one(folder: Path, stub_model: StubModel) -> None:
    stub_model.answer = "다람쥐라고 부르려다 말았어요."
    questions = f"{CAT}\n그건 왜요?\n"
    env = {**served(stub_model), "PERSONA_KEEP_SESSIONS": "false"}
    persona("chat", cwd=folder, stdin=questions, env=env).check_returncode()
    assert kept(folder) == []
    told = [message["content"] for message in stub_model.requests[-1].body["messages"]]
    assert [CAT in told, stub_model.answer in told] == [True, True]


def test_a_failed_turn_is_one_line_and_the_chat_goes_on(folder: Path, stub_model: StubModel) -> None:
    env = {**served(stub_model, "error-401"), "PERSONA_MAX_QUESTION_CHARS": "40"}
    with terminal("chat", cwd=folder, env=env) as chat:
        chat.ready()
        chat.ask("길" * 41, "persona: the question has 41 characters, at most 40 are taken: shorten it")
        chat.ask(CAT, "refused the key for 'error-401'")
        leave(chat)


def test_a_model_cannot_steer_the_terminal(folder: Path, stub_model: StubModel) -> None:
    stub_model.answer = "빨간 \x1b[31m글씨 \x1b]0;제목\x07 \x9b2J 끝"
    with terminal("chat", cwd=folder, env={**served(stub_model), "NO_COLOR": "1"}) as chat:
        chat.ready()
        chat.ask(CAT, "빨간 [31m글씨 ]0;제목 2J 끝")
        assert not chat.is_styled


def test_lines_from_a_pipe_are_answered_in_one_session(folder: Path, stub_model: StubModel) -> None:
    env = {**served(stub_model), "PERSONA_MAX_QUESTION_CHARS": "40"}
    stub_model.answer = LONG
    done = persona("chat", cwd=folder, stdin=f"{CAT}\n\n{'길' * 41}\n{SHOW}".encode("cp949"), env=env)
    assert done.returncode == 0
    assert done.stdout.count(LONG.strip()) == 2
    assert done.stdout.splitlines()[1].startswith("[1] faq.txt · line ")
    assert "\x1b" not in done.stdout
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["persona:"] * 2  # disclosure, one failure
    assert asked(folder) == [CAT, SHOW]


def test_without_a_store_there_is_one_line_and_status_one(tmp_path: Path) -> None:
    done = persona("chat", cwd=tmp_path, stdin=CAT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (FAILED, "", 1)
    with terminal("chat", cwd=tmp_path) as chat:
        chat.see("nothing has been ingested into 'vector_store' yet")
        assert chat.end() == FAILED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two", 7, ["one two"]),
        ("하나 둘셋넷", 8, ["하나 둘", "셋넷"]),
        ("그랬어요.", 8, ["그랬어", "요."]),
        ("가(나다)라", 6, ["가(나", "다)라"]),
        ("가나 abc", 6, ["가나", "abc"]),
        ("가나다abc", 8, ["가나다", "abc"]),
        ("https://plum.example/a", 10, ["https://pl", "um.example", "/a"]),
        ("👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 5, ["👨‍👩‍👧👨‍👩‍👧", "👨‍👩‍👧"]),
        ("\u1112\u1161\u11ab\u1112\u1161\u11ab", 3, ["\u1112\u1161\u11ab"] * 2),
        ("- a\n  - b", 20, ["- a", "  - b"]),
        ("a\n\nb", 20, ["a", "", "b"]),
        ("가나", 1, ["가", "나"]),
    ],
)
def test_text_is_wrapped_between_words_and_syllables(text: str, width: int, lines: list[str]) -> None:
    assert flowed([text], width).split("\n") == [*lines, ""]


@given(st.lists(st.text("가나 ab.,(\n👍\u1161"), max_size=8), st.integers(2, 12))
def test_pieces_flow_as_the_whole_does_and_lose_nothing(pieces: list[str], width: int) -> None:
    whole = flowed(["".join(pieces)], width)
    assert flowed(pieces, width) == whole
    assert "".join(whole.split()) == "".join("".join(pieces).split())
    assert all(cell_len(line) <= width for line in whole.split("\n"))


def flowed(pieces: list[str], width: int) -> str:
    written: list[str] = []
    flow = Flow(written.append, lambda: width)
    for piece in pieces:
        flow.add(piece)
    flow.end()
    return "".join(written)
