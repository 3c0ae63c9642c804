"""What the documentation says of settings and commands is what the program does."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from persona_cli.cli import app
from persona_cli.settings import Settings

ROOT = Path(__file__).parents[1]


def test_every_setting_stands_in_the_table_with_its_default_and_meaning() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in row.split("|")[1:-1]) for row in text.splitlines() if row.startswith("| `")]
    expected = []
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"PERSONA_{name.upper()}"
        default = "none" if field.default is None else f"`{field.default}`"
        expected.append((f"`{variable}`", default, field.description))
    assert rows == expected


@pytest.mark.parametrize(
    "name",
    ["README.md", "README.ko.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))],
)
def test_every_link_leads_to_a_file(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("command", ["ingest", "ask", "chat", "serve", "status", "forget", "init", "export", "import"])
def test_every_command_of_the_readme_explains_itself(command: str) -> None:
    assert f"persona {command}" in (ROOT / "README.md").read_text(encoding="utf-8")
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert "--help" in done.stdout
