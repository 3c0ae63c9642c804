"""Takes the README's pictures again, from the example person: `python -m docs.pictures [NAME...]`, in the checkout.

It needs the `dev` extra and Chromium; for the Korean text, fonts such as Nanum (Debian: fonts-nanum,
fonts-nanum-coding).
"""

import argparse
import shlex
import shutil
from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import pyte
from playwright.sync_api import expect, sync_playwright

from tests.commands import on_terminal, persona
from tests.parts import needs
from tests.servers import serving

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
QUESTION = "유퀴즈 출연 후 아쉬웠던 점?"
PAGE_SIZE = (1100, 760)
COLUMNS, ROWS = 80, 40
TERMINAL = """<pre style="display: inline-block; margin: 0; padding: 20px 24px; background: #1c1b1a; color: #e8e4dc;
font: 15px/1.5 NanumGothicCoding, monospace">{text}</pre>"""


def take_page(folder: Path) -> None:
    """The chat page with an answer and its source opened."""
    width, height = PAGE_SIZE
    persona("ingest", "examples", cwd=folder).check_returncode()
    with serving(folder) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=["--no-sandbox"])
        page = browser.new_page(locale="ko-KR", color_scheme="light", viewport={"width": width, "height": height})
        page.goto(server.url)
        page.get_by_role("textbox").fill(QUESTION)
        page.get_by_role("textbox").press("Enter")
        page.locator("summary").click()
        expect(page.locator("blockquote")).to_be_visible()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=DOCS / "page.png")
        browser.close()


def take_terminal(folder: Path) -> None:
    """What a terminal shows for the first commands of the README."""
    lines: list[str] = []
    for command in (["ingest", "examples/"], ["ask", QUESTION]):
        screen = pyte.Screen(COLUMNS, ROWS)
        pyte.Stream(screen).feed(on_terminal(*command, cwd=folder))
        lines += [f"<b>$ persona {escape(shlex.join(command))}</b>", *map(escape, screen.display)]
        while not lines[-1].strip():
            lines.pop()
        lines.append("")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=["--no-sandbox"])
        page = browser.new_page(device_scale_factor=2)
        page.set_content(TERMINAL.format(text="\n".join(lines[:-1])))
        page.locator("pre").screenshot(path=DOCS / "terminal.png")
        browser.close()


PICTURES: dict[str, Callable[[Path], None]] = {"page": take_page, "terminal": take_terminal}
"""By name, what takes a picture in a folder with the examples."""


def main() -> None:
    """Take the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description="Take the README's pictures again.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(PICTURES)}; all by default")
    names = parser.parse_args().names or list(PICTURES)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(EXAMPLES, home / "examples", ignore=shutil.ignore_patterns("README.md"))
        for name in names:
            PICTURES[name](home)


if __name__ == "__main__":
    main()
