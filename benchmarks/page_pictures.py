"""The pictures of the page in docs/images, taken in Chromium from a service that runs: `make demo`, `make pictures`.

An answer in light and in dark, the reader open on the passage that it cites, and why it was given.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZE = {"width": 900, "height": 560}
MOST_BYTES = 200_000
ANSWER_MS = 300_000  # a model on a CPU that is busy takes its time


def main() -> None:
    """Take the pictures and name them with their sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the page is")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the pictures")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.goto(given.url)
        expect(page.get_by_label("Collection").locator("option").first).to_be_attached(timeout=ANSWER_MS)
        ask(page, given.question)
        take(page, given.to / "page-answer.png")
        page.emulate_media(color_scheme="dark")
        take(page, given.to / "page-answer-dark.png")
        page.emulate_media(color_scheme="light")
        page.locator(".answer .mark").first.click()
        expect(page.get_by_role("dialog").locator("mark")).to_be_visible(timeout=ANSWER_MS)
        take(page, given.to / "page-passage.png")
        page.keyboard.press("Escape")
        page.get_by_text("Why this answer").click()
        page.get_by_text("Why this answer").evaluate("shown => shown.scrollIntoView({block: 'start'})")
        take(page, given.to / "page-why.png")
        browser.close()


def ask(page: Page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    page.get_by_label("Question").fill(question)
    page.get_by_label("Question").press("Enter")
    expect(page.get_by_role("button", name="Retry")).to_be_visible(timeout=ANSWER_MS)
    expect(page.locator(".answer .mark").first).to_be_visible()


def take(page: Page, to: Path) -> None:
    """One picture. Raises SystemExit where it is too large for a repository."""
    page.screenshot(path=to, animations="disabled", caret="hide")
    size = to.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{to} has {size} bytes; {MOST_BYTES} is the limit: show less in it.")
    print(f"{to.name}: {size:,} bytes")


if __name__ == "__main__":
    main()
