"""What the tests share: settings without an outside world, passages, a cheap token counter, the real encoder."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import multiprocessing.forkserver
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from rag.encoders import LocalEncoder
from rag.schema import Message, Passage
from rag.settings import PREFIX, Settings, load
from tests.fake_model import FakeModel

# A machine that is busy with other things is no failure of the code.
hypothesis_settings.register_profile("librarian", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("librarian")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and the modules they import all stay to the end: looking for garbage among them is time lost,
    now and in each collection after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class WordCounter:
    """Stands for a TokenCounter: one token a word, and three a message for the template's own tokens.

    Exact, quick, and growing with the text as a real one; `calls` says how often it was asked, which may be remote.
    """

    name = "words"

    def __init__(self) -> None:
        self.calls = 0

    async def count(self, messages: Sequence[Message]) -> int:
        self.calls += 1
        return sum(len(each.content.split()) + 3 for each in messages)


def make_passage(text: str = "Kubernetes runs containers.", number: int = 1, **fields: Any) -> Passage:
    """A passage `number` with a path, title and span to match; `fields` replace any of its own."""
    values: dict[str, Any] = {
        "id": f"00000000-0000-0000-0000-{number:012d}",
        "text": text,
        "score": 1 / number,
        "uri": f"file:///docs/{number}.md",
        "path": f"docs/{number}.md",
        "title": f"Document {number}",
        "heading_path": (),
        "ordinal": 0,
        "start": 0,
        "end": len(text),
    }
    return Passage(**{**values, **fields})


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C in what tests start, give each of several workers one core, read the system's roots once.

    A shell's background jobs, CI's among them, ignore SIGINT.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers that share the cores and each take all of them for their tensors hinder one another: twice the time.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Each new client would read all certificates of the system: longer than most requests of these tests take.
    httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take long (they say so by a timeout of their own), so that none is left alone."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder (returned) and no LIBRARIAN_* variable."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(clean_environment: Path) -> Callable[..., Settings]:
    """A factory: `settings(top_k=3)`. Everything that is written lies below tmp_path."""

    def make(**values: Any) -> Settings:
        return load({"data_dir": clean_environment / ".librarian", **values}).settings

    return make


@pytest.fixture
def word_counter() -> WordCounter:
    return WordCounter()


@pytest.fixture(scope="session")
def minilm() -> LocalEncoder:
    """The real packaged encoder; loaded once, by the first test that encodes or counts with it."""
    return LocalEncoder("minilm")


@pytest.fixture
def fake_model() -> Iterator[FakeModel]:
    """A running stand-in for the chat model's server."""
    with FakeModel() as model:
        yield model


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Processes to be killed: they begin with what they need imported, which by themselves takes them a second.

    The server that forks them finds the tests only from the root, and there is one for all tests of this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.test_ingest_crash", "tests.integration.reindexing"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[1])
        multiprocessing.forkserver.ensure_running()
    return context
