"""The page in Chromium over a real API and a real embedded index; only the chat model is a stand-in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from rag.encoders import LocalEncoder
from tests.fake_model import FakeModel
from tests.integration.api_feeding import Feeding, feeding

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
expect.set_options(timeout=15_000)  # a machine that is busy with other tests is no failure of the page
PERMISSIONS = ["clipboard-read", "clipboard-write"]
QUESTION = "What does a readiness probe do?"
HOSTILE = (
    "# Probes <img src=x onerror=hit()>\n\n<script>window.hit = 1</script> A liveness probe restarts a container. "
    "![pixel](http://evil.example/pixel.png) [click](javascript:window.hit=1)\n"
)
# Long enough for several chunks, so that passages have headings and a place of their own.
ROUNDS = " ".join(f"Round {each} of the inspection writes down the state of node {each}." for each in range(32))
PROBES = f"""# Probes

## Readiness

Kubernetes asks containers how they are 🚀. {ROUNDS}

A readiness probe keeps traffic away from a pod that is not ready to answer.

{ROUNDS}
"""
DOCUMENTS = {
    "probes.md": PROBES,
    "quota.md": "# Quota\n\nA quota limits what the pods of a namespace may ask for.\n",
    "hostile.md": HOSTILE,
}
ANSWER = ("It keeps **traffic** away ", "from a pod that is not ready [1].\n\n", "- one\n- two\n")


@dataclass
class Seen:
    """A page under watch: `errors` of its console, and `strangers`, the requests that went to another host."""

    page: Page
    api: Feeding
    model: FakeModel
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def ask(self, question: str = QUESTION, ended: bool = True) -> None:
        """Ask, and wait for the end."""
        before = self.page.locator(".turn").count()
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_label("Question").press("Enter")
        if ended:
            expect(self.page.locator(".turn").nth(before).get_by_role("button", name="Retry")).to_be_visible()


@pytest.fixture(scope="module")  # no longer: Playwright's event loop runs until it stops, and no other can meanwhile
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModel]:
    with FakeModel(pieces=ANSWER) as running:
        yield running


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, minilm: LocalEncoder, model: FakeModel) -> Iterator[Feeding]:
    with feeding(tmp_path_factory.mktemp("page"), dense=minilm, llm_url=model.url) as running:
        files = {name: text.encode() for name, text in DOCUMENTS.items()}
        running.done(running.send(files))
        running.done(running.send({"tea.md": b"# Tea\n\nGreen tea is brewed at 80 degrees."}, collection="kitchen"))
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1100, "height": 800}, permissions=PERMISSIONS)
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def seen(context: BrowserContext, api: Feeding, model: FakeModel) -> Iterator[Seen]:
    """The page, opened. After each test: no error in its console, and no request to another host."""
    model.pieces, model.delay, model.dies_after = ANSWER, 0.0, None
    found = Seen(context.new_page(), api, model)

    def watch(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(api.server.url).netloc and not request.url.startswith("data:"):
            found.strangers.append(request.url)

    context.on("request", watch)
    found.page.on("console", lambda said: found.errors.append(said.text) if said.type == "error" else None)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.goto(api.server.url)
    expect(found.page.get_by_label("Collection").locator("option").first).to_be_attached()
    yield found
    assert found.errors == []
    assert found.strangers == []
