import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_cli.cli.boundary import FAILED
from persona_cli.errors import ProfileError
from persona_cli.loading.discovery import discover
from persona_cli.persona.positions import lines_of
from persona_cli.persona.profile import (
    KEYS,
    Example,
    Link,
    Profile,
    find_profile,
    load_profile,
    over,
    parse_profile,
)
from persona_cli.store import Store
from tests.commands import persona

ROOT = Path(__file__).parents[1]
WHOLE = '''\
# 두루미
name = "반박자두루미"
speaker = "자두"
aliases = ["회원님", " ", "두루미"]
language = "KO"
description = """
우산을 두 개 들고 다닌다.
고양이는 한 마리다.
"""
greeting = "어서 오세요"
rules = ["짧게\\n  답한다", "모르면 모른다고 한다"]
avoid = ["정치"]
address = "여러분"
listener = "friend"
verbatim = false
disclosure = "저는 기록으로 만든 프로그램이에요."
questions = ["우산은 왜 두 개예요?"]
avatar = "crane.png"  # for somebody else

[voice]
register = "haeyo"
manner = "말끝을 흐린다"

[[examples]]
question = "비 와요?"
answer = "아직은요."

[[examples]]
question = "How slow?"
answer = "Half a beat."

[[links]]
title = "방송국"
url = "https://example.org/두루미?a=1"

[[links]]
url = "http://example.org"
'''


def write(folder: Path, text: str) -> Path:
    file = folder / "persona.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_whole_profile_is_read() -> None:
    assert parse_profile(WHOLE, "persona.toml") == Profile(
        name="반박자두루미",
        speaker="자두",
        aliases=("회원님", "두루미"),
        language="ko",
        description="우산을 두 개 들고 다닌다.\n고양이는 한 마리다.",
        greeting="어서 오세요",
        rules=("짧게 답한다", "모르면 모른다고 한다"),
        avoid=("정치",),
        address="여러분",
        listener="friend",
        verbatim=False,
        disclosure="저는 기록으로 만든 프로그램이에요.",
        questions=("우산은 왜 두 개예요?",),
        examples=(Example("비 와요?", "아직은요."), Example("How slow?", "Half a beat.")),
        links=(Link("방송국", "https://example.org/두루미?a=1"), Link("http://example.org", "http://example.org")),
        register="haeyo",
        manner="말끝을 흐린다",
    )


def test_a_file_saved_on_windows_or_a_mac_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "persona.toml"
    for text in (WHOLE, WHOLE.replace("\n", "\r\n"), unicodedata.normalize("NFD", WHOLE)):
        file.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert load_profile(file) == parse_profile(WHOLE, "persona.toml")


def test_names_begin_with_the_one_used_in_chats() -> None:
    text = 'name = "반박자두루미"\nspeaker = "자두"\naliases = ["회원님", "반박자두루미"]\n'
    assert parse_profile(text, "").names == ("자두", "반박자두루미", "회원님")
    assert Profile().names == ()


def test_what_cannot_be_seen_is_taken_out_and_nothing_to_read_is_no_disclosure() -> None:
    text = """
        name = "\\u001b[2J자\\u202e두\\u200b"
        description = "가족 👨\u200d👩\u200d👧, \\u0000\\tคำ"
        disclosure = " …\\u2060"
    """
    assert parse_profile(text, "") == Profile(name="[2J자두", description="가족 👨\u200d👩\u200d👧, \tคำ")


def test_ones_own_fields_stand_over_anothers() -> None:
    base = Profile(name="카드", rules=("한다",), verbatim=True, instructions="x", register="banmal")
    own = Profile(name="자두", verbatim=False, examples=(Example("q", "a"),))
    assert over(own, base) == replace(base, name="자두", verbatim=False, examples=(Example("q", "a"),))
    assert over(Profile(), base) == over(base, Profile()) == base


def test_the_first_profile_named_or_in_a_folder_is_found(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    assert find_profile([bare]) is None
    assert find_profile([bare, tmp_path / "missing", tmp_path]) is None
    file = write(tmp_path, "")
    assert find_profile([bare, file]) == find_profile([bare, tmp_path]) == file


def bad(message: str, *lines: str) -> Any:
    return pytest.param("\n".join(lines) + "\n", message, id=message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        bad("line 2: speaker must be a text in quotes", 'name = "자두"', "speaker = 3"),
        bad("line 3: aliases must be a list of texts in quotes", "", "", 'aliases = "자두"'),
        bad("line 3: rules must be a list of texts in quotes", "rules = [", '  "a", # [', "  1]"),
        bad("line 1: this is not valid TOML", 'name = "자두'),
        bad("line 2: this is not valid TOML: Cannot overwrite a value", 'name = "a"', 'name = "b"'),
        bad("line 3: this is not valid TOML", 'name = "a"', 'description = """', "unclosed"),
        bad("line 1: this is not valid TOML", f"age = {'9' * 5_000}"),
        bad("line 1: this is not valid TOML: nested too deeply", "x = " + "[" * 90_000),
        bad("line 1: this is not valid TOML: too many dots", "x" + ".x" * 90_000 + " = 1"),
        bad(
            "line 5: voice.register must be one of",
            'greeting = """',
            "register = 0",
            '"""',
            "[voice]",
            'register = "존댓말"',
        ),
        bad("line 2: voice.manner must be a text in quotes", "listener = 'friend'", "voice.manner = 1"),
        bad("line 1: voice.manner must be a text in quotes", 'voice = { register = "plain", manner = 1 }'),
        bad("line 1: voice must be a table: a line [voice]", 'voice = "낮게"'),
        bad("line 2: register belongs below a line [voice]", "", 'register = "plain"'),
        bad("line 3: greeting stands in a table", "[voice]", 'register = "plain"', 'greeting = "안녕"'),
        bad("line 3: rules stands in a table", "[[links]]", 'url = "https://example.org"', "rules = []"),
        bad(
            "line 4: links.url must be a web address",
            "[[links]]",
            "url='https://example.org'",
            "",
            "[[links]]",
            "title='a'",
        ),
        bad("line 2: examples.answer is missing or empty", "", "[[examples]]", "question = 'q'"),
        bad(
            "line 3: examples.question must be a text",
            "examples = [",
            " {question='q', answer='a'},",
            " {question=1},",
            "]",
        ),
        bad("line 1: examples must be tables: a line [[examples]]", 'examples = ["a"]'),
        bad("line 3: links.url must be a web address", "[[links]]", 'title = "x"', 'url = "javascript:alert(1)"'),
        bad("line 2: links.url must be a web address", "[[links]]", 'url = "https://[a"'),
        bad("line 2: links.url must be a web address", "[[links]]", 'url = "https:///x"'),
        bad('line 1: language must be a code of two letters, such as "ko"', 'language = "Korean"'),
        bad('line 1: listener must be one of "stranger", "friend"', 'listener = "엄마"'),
        bad("line 1: verbatim must be true or false, without quotes", 'verbatim = "yes"'),
        bad("line 1: name must be on one line", 'name = "a\\nb"'),
        bad("line 1: name is 101 characters long, and at most 100", f'name = "{"가" * 101}"'),
        bad("line 2: rules is 501 characters long", f'rules = ["a",\n"{"가" * 501}"]'),
        bad("line 1: description is 8001 characters long", f'description = "{"가" * 8_001}"'),
        bad("line 1: questions has 51 entries, and at most 50", f"questions = {['q'] * 51}"),
        bad("line 2: there is no key alias: did you mean aliases?", "# alias = 1", 'alias = ["b"]'),
        bad("line 1: there is no key Greeting: did you mean greeting?", 'Greeting = "a"'),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(text: str, message: str) -> None:
    for same in (text, "\ufeff" + text.replace("\n", "\r\n")):
        with pytest.raises(ProfileError) as caught:
            parse_profile(same, "persona.toml")
        assert str(caught.value).startswith(f"persona.toml, {message}")


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "persona.toml"
    file.write_bytes('# a\nname = "자두"'.encode("cp949"))
    with pytest.raises(ProfileError, match="line 2: this is not UTF-8"):
        load_profile(file)
    file.write_bytes(b"#" * 200_001)
    with pytest.raises(ProfileError, match="is larger than 200 kB"):
        load_profile(file)
    with pytest.raises(ProfileError, match="is larger than 200 kB"):
        parse_profile("#" + "가" * 70_000, "persona.toml")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n} = 1\n" for n in range(19_000)),
        "".join(f"x.y{n}.z = {{ a = [1, 2] }}\n" for n in range(6_000)),
        "[[examples]]\n" * 15_000,
        "x = [" + "[]," * 60_000 + "]",
        ("a" + ".a" * 498 + "\n") * 190,
        'x = """' + '\\"' * 90_000,
        "#" * 190_000,
    ],
    ids=lambda text: text[:20],
)
def test_a_hostile_file_takes_no_long_time(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_profile(f"verbatim = 1\n{text}", "persona.toml")


def paths_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from paths_in(inner, (*path, key))


TEXTS = st.sampled_from(['"a"', "'[b]'", '"#\\""', '"""\nx = 1\n[y]\n""""', "'''{\n'''", '""', "''''a'''", '"{,=."'])
SCALARS = st.one_of(TEXTS, st.sampled_from(["1", "-2.5e3", "true", "1979-05-27 07:32:00", "07:32:00.99", "inf"]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",\n # ]\n".join(items) + "\n]"),
        st.lists(SCALARS.filter(lambda s: "\n" not in s), max_size=3).map(
            lambda items: "{ " + ", ".join(f"k{n} = {item}" for n, item in enumerate(items)) + " }"
        ),
    ),
    max_leaves=5,
)
KEY = st.sampled_from(["a", "b", '"a"', "'b c'", "a . b", 'c."d.e"', '"=\\u0041"'])
STATEMENTS = st.one_of(
    st.tuples(KEY, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]} # c"),
    KEY.map(lambda key: f"[ {key} ]"),
    KEY.map(lambda key: f"[[{key}]] # x"),
    st.sampled_from(["", "# [[a]]"]),
)


@given(st.lists(STATEMENTS, max_size=8))
def test_every_value_has_its_line(statements: list[str]) -> None:
    text = ""
    begun: dict[tuple[str | int, ...], int] = {}
    for statement in statements:
        try:
            values = tomllib.loads(f"{text}{statement}\n")
        except tomllib.TOMLDecodeError:  # the key is there already
            continue
        line = text.count("\n") + 1
        for path in set(paths_in(values)) - set(begun):
            begun[path] = line
        text += f"{statement}\n"
    lines = lines_of(text)
    assert lines.keys() == begun.keys()
    for path, line in begun.items():
        assert lines[path] >= line
        assert lines[path] == line or isinstance(path[-1], int) or any(isinstance(part, int) for part in path)


def test_the_documentation_and_the_example_know_every_key() -> None:
    page = (ROOT / "docs" / "persona.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"| `{key}" not in page] == []
    example = load_profile(ROOT / "examples" / "persona.toml")
    unset = {field.name for field in fields(Profile) if getattr(example, field.name) in ("", (), None)}
    assert unset == {"register", "instructions", "closing"}


def stored(store: Path) -> bytes | None:
    opened = Store(store)
    with opened.catalog.snapshot() as snapshot:
        found = snapshot.assets(["persona.toml"]).get("persona.toml")
    opened.close()
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("이름이 뭐예요? 보류요.\n", encoding="utf-8")
    return tmp_path


def test_the_store_keeps_the_text_that_was_used(home: Path) -> None:
    text = '# 두루미\r\nname = "자두"\r\n'
    own = home / "docs" / "persona.toml"
    own.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert persona("ingest", "docs", "--dry-run", cwd=home).returncode == 0
    assert not (home / "vector_store").exists()
    assert persona("ingest", "docs/a.txt", "docs/persona.toml", "--strict", cwd=home).returncode == 0
    assert stored(home / "vector_store") == text.encode()
    other = home / "other.toml"
    other.write_text('greeting = "안녕"\n', encoding="utf-8")
    assert persona("ingest", "docs", "--persona", "other.toml", "--dry-run", cwd=home).returncode == 0
    assert stored(home / "vector_store") == text.encode()
    assert persona("ingest", "docs", "--persona", "other.toml", cwd=home).returncode == 0
    assert stored(home / "vector_store") == 'greeting = "안녕"\n'.encode()
    own.unlink()
    assert persona("ingest", "docs", cwd=home).returncode == 0
    assert stored(home / "vector_store") == 'greeting = "안녕"\n'.encode()


def test_a_broken_one_fails_ingest_before_anything_is_made(home: Path) -> None:
    write(home / "docs", 'name = "자두"\nrules = "짧게"\n')
    done = persona("ingest", "docs", cwd=home)
    assert done.returncode == FAILED
    assert done.stderr == "persona: docs/persona.toml, line 2: rules must be a list of texts in quotes\n"
    assert not (home / "vector_store").exists()


def test_it_is_never_a_document_even_when_it_is_named(home: Path) -> None:
    own = write(home / "docs", "")
    (home / "docs" / "link.txt").symlink_to(own)
    found = discover([home / "docs", own, home / "docs" / "link.txt"])
    assert ([file.name for file in found.files], found.problems) == (["a.txt"], [])
