"""What a hostile answer or document cannot do, and how the page is for people who see or hold it differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import QUESTION, Seen
from tests.integration.api_feeding import feeding

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
BAD = (
    "<script>window.hit = 1</script> <img src=http://evil.example/a.png onerror='window.hit=1'> "
    "![pixel](http://evil.example/b.png) [click](javascript:window.hit=1) [data](data:text/html,x) "
    "[bank.example](https://evil.example/x) **[deep](JaVaScRiPt:window.hit=1)**\n"
)


def test_a_hostile_answer_is_only_text(seen: Seen) -> None:
    seen.model.pieces = [BAD]
    seen.ask()
    answer = seen.page.locator(".answer")
    expect(answer).to_contain_text("<script>window.hit = 1</script>")
    expect(answer).to_contain_text("pixel")
    assert seen.page.locator(".answer script, .answer img, .answer iframe, .answer [onerror]").count() == 0
    links = seen.page.locator(".answer a")
    assert [each.get_attribute("href") for each in links.all()] == [
        "http://evil.example/b.png",  # the service makes a link of a picture: it is fetched only by who follows it
        "https://evil.example/x",
    ]
    expect(links).to_have_text(["pixel (evil.example)", "bank.example (evil.example)"])
    for each in links.all():
        expect(each).to_have_attribute("rel", "noopener noreferrer")
    assert seen.page.evaluate("window.hit") is None


def test_a_hostile_document_is_only_text(seen: Seen) -> None:
    seen.model.pieces = ["It restarts a container [1]."]
    seen.ask("What does a liveness probe restart?")
    seen.page.locator(".answer .mark").click()
    text = seen.page.locator("#reader-text")
    expect(text.locator("mark")).to_contain_text("A liveness probe restarts a container")
    assert seen.page.locator("dialog script, dialog img, dialog a").count() == 0
    seen.page.keyboard.press("Escape")
    seen.page.get_by_text("Why this answer").click()
    assert seen.page.locator(".why script, .why img, .why a").count() == 0
    assert seen.page.evaluate("window.hit") is None


def violations(seen: Seen) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA."""
    seen.page.evaluate(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found: dict[str, Any] = seen.page.evaluate("tags => axe.run({ runOnly: tags })", tags)
    return [f"{each['id']}: {node['target']}" for each in found["violations"] for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_passes_wcag_aa(seen: Seen, scheme: Any) -> None:
    seen.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    assert violations(seen) == []
    seen.ask()
    seen.page.get_by_text("Why this answer").click()
    seen.page.get_by_role("button", name="Bad answer").click()
    expect(seen.page.get_by_label("What was wrong?")).to_be_visible()
    assert violations(seen) == []
    seen.page.locator(".answer .mark").first.click()
    expect(seen.page.locator("#reader mark")).to_be_visible()
    assert violations(seen) == []


def test_on_a_phone_nothing_sticks_out(seen: Seen) -> None:
    seen.page.set_viewport_size({"width": 360, "height": 740})
    seen.model.pieces = ["A-very-long-word" * 20, "\n\n```\n" + "code " * 80 + "\n```\n", "See [1]."]
    seen.ask()
    seen.page.get_by_text("Why this answer").click()
    seen.page.get_by_role("button", name="Good answer").click()
    expect(seen.page.get_by_label("What was good?")).to_be_visible()
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
    seen.page.locator(".answer .mark").click()
    expect(seen.page.locator("#reader mark")).to_be_visible()
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_keyboard_is_enough(seen: Seen) -> None:
    expect(seen.page.get_by_label("Question")).to_be_focused()
    seen.page.keyboard.type(QUESTION)
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_role("button", name="Retry")).to_be_visible()
    seen.page.locator("#question").focus()
    seen.page.keyboard.press("Shift+Tab")
    expect(seen.page.locator(".why summary")).to_be_focused()
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".passages")).to_be_visible()


def test_a_key_is_asked_for_and_kept_for_the_tab_only(browser: Browser, tmp_path: Path) -> None:
    with feeding(tmp_path, api_key="a-key-that-nobody-guesses") as locked:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(locked.server.url)
        page.get_by_label("Key", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Key", exact=True)).to_have_value("")
        page.get_by_label("Key", exact=True).fill("a-key-that-nobody-guesses")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_label("Collection").locator("option")).to_have_text(["the default one"])
        assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
        context.close()


def test_the_apis_documentation_comes_whole_from_the_service(seen: Seen) -> None:
    """Its script, its style and its icon, under a policy that lets nothing else in."""
    seen.page.goto(f"{seen.api.server.url}/docs")
    expect(seen.page.locator("#swagger-ui h1, #swagger-ui h2").first).to_contain_text("Librarian")
    expect(seen.page.locator(".opblock-summary-path").first).to_be_visible()
    expect(seen.page.get_by_text("This page needs JavaScript")).to_have_count(0)
