"""Takes the README's pictures again, from the example person: `python -m docs.pictures [NAME...]`, in the checkout.

It needs the `dev` extra and Chromium; for the Korean text, a font such as NanumGothic (Debian: fonts-nanum).
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import expect, sync_playwright

from tests.commands import persona
from tests.parts import needs
from tests.servers import serving

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
QUESTION = "유퀴즈 출연 후 아쉬웠던 점?"
PAGE_SIZE = (1100, 760)


def take_page(folder: Path) -> None:
    """The chat page with an answer and its source opened."""
    width, height = PAGE_SIZE
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


PICTURES: dict[str, Callable[[Path], None]] = {"page": take_page}
"""By name, what takes a picture in a folder where the examples have been ingested."""


def main() -> None:
    """Take the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description="Take the README's pictures again.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(PICTURES)}; all by default")
    names = parser.parse_args().names or list(PICTURES)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(EXAMPLES, home / "examples", ignore=shutil.ignore_patterns("README.md"))
        persona("ingest", "examples", cwd=home).check_returncode()
        for name in names:
            PICTURES[name](home)


if __name__ == "__main__":
    main()
