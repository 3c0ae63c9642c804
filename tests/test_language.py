import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import persona_cli
from persona_cli import errors
from persona_cli.korean import KOREAN
from persona_cli.language import is_korean, say

PACKAGE = Path(persona_cli.__file__).parent
SPEAKERS = {"say", *(n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.PersonaError))}
"""Names that are called with an English template."""


def given_templates() -> Iterator[tuple[str, str | None]]:
    """Where a template is given, and each that may be; None where it cannot be told."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if name in SPEAKERS and not is_passed_on(node.args[0]):
                texts: list[str | None] = [*written_out(node.args[0], tree)]
                yield from ((f"{path.relative_to(PACKAGE)}:{node.lineno}", text) for text in texts or [None])


def is_passed_on(argument: ast.expr) -> bool:
    """Whether it is the template of an error that has been made elsewhere."""
    if isinstance(argument, ast.Subscript):
        return isinstance(argument.slice, ast.Constant) and argument.slice.value == "template"
    return isinstance(argument, ast.Attribute) and argument.attr == "template"


def written_out(argument: ast.expr, module: ast.Module) -> list[str]:
    """The text itself, or all texts of the module's table that it is looked up in."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.Subscript) and isinstance(argument.value, ast.Name):
        tables = [
            node.value
            for node in module.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, ast.Dict)
            and argument.value.id in map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        values = [value for table in tables for value in table.values]
        return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return []


GIVEN = list(given_templates())
TEMPLATES = {text: place for place, text in GIVEN if text is not None}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def test_every_template_is_written_out_where_it_is_used() -> None:
    """So that this test can find it, and so can a reader."""
    assert [place for place, text in GIVEN if text is None] == []
    assert len(TEMPLATES) > 50


def test_every_template_has_its_korean() -> None:
    assert {template: place for template, place in TEMPLATES.items() if template not in KOREAN} == {}


def test_no_korean_is_left_of_a_template_that_is_gone() -> None:
    assert [template for template in KOREAN if template not in TEMPLATES] == []


@pytest.mark.parametrize("template", KOREAN)
def test_the_korean_has_the_fields_of_its_template(template: str) -> None:
    korean = KOREAN[template]
    assert fields(korean) == fields(template)
    assert "" not in fields(template)
    assert any("가" <= char <= "힣" for char in korean)


def test_no_template_is_translated_twice() -> None:
    tree = ast.parse((PACKAGE / "korean.py").read_text(encoding="utf-8"))
    (table,) = (node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    keys = [key.value for key in table.keys if isinstance(key, ast.Constant)]
    assert sorted(map(str, keys)) == sorted(KOREAN)


@pytest.mark.parametrize(
    ("environment", "korean"),
    [
        ({"LANG": "ko_KR.UTF-8"}, True),
        ({"LANG": "KO_KR.utf8"}, True),
        ({"LANG": "ko"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "korean"}, True),
        ({"LANG": "kok_IN"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": ""}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}, True),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LC_MESSAGES": "ko_KR.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_ALL": "ko_KR.UTF-8"}, True),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, True),
    ],
    ids=str,
)
def test_the_locale_tells_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], korean: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    is_korean.cache_clear()
    assert is_korean() is korean
    assert say("size") == ("크기" if korean else "size")
    is_korean.cache_clear()


@pytest.fixture
def korean_locale(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    is_korean.cache_clear()
    yield
    is_korean.cache_clear()


@pytest.mark.usefixtures("korean_locale")
def test_a_korean_reader_gets_korean_with_the_values_in_it() -> None:
    assert say("skipped {path}: {reason}", path="a.txt", reason="왜") == "건너뜀 a.txt: 왜"
    error = errors.QuestionError(
        "the question has {chars} characters, at most {most} are taken: shorten it", chars=5_000, most=4_000
    )
    assert say(error.template, **error.values) == "질문이 5000자입니다. 4000자까지 받으니 줄여 주세요"
    assert str(error) == "the question has 5000 characters, at most 4000 are taken: shorten it"


@pytest.mark.usefixtures("korean_locale")
def test_what_has_no_korean_is_said_in_english() -> None:
    assert say("no such template: {value}", value=1) == "no such template: 1"


def test_a_template_without_values_is_said_as_it_is() -> None:
    assert say("not a {field}") == "not a {field}"


def test_a_value_may_have_any_name_and_hold_braces() -> None:
    assert say("{template} and {self}", template="{a}", self="{b}") == "{a} and {b}"


@pytest.mark.parametrize("locale", ["ko_KR.UTF-8", "C.UTF-8"])
def test_the_command_line_speaks_the_readers_language(locale: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "persona_cli", "ask", "안녕?", "--db", "nowhere"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 1
    assert ("저장소는 아직 비어 있습니다" in done.stderr) == (locale == "ko_KR.UTF-8")
