"""The question path against the real vLLM: chat, streaming, token counts, trimming, and an engine that dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from ingest.job import IngestJob
from ingest.sources import open_source
from rag import prompt
from rag.context import Budget, assemble
from rag.encoders import dense_encoder, sparse_encoder
from rag.generation import ChatModel, Sampling
from rag.index import open_index
from rag.schema import Message, Passage
from rag.settings import Settings
from rag.tokens import LocalTokenCounter, ServerTokenCounter
from rag.tuning.adapter.packaged import NAME, packaged_adapter
from serve.engine.model import PACKAGED_FOLDER, served_folder
from serve.engine.process import Engine
from serve.engine.run import build_engine
from serve.server import Server, base_url, run_server
from tests.engine.conftest import engine_settings, free_port

DOCUMENT = """# The lighthouse of Morwenna

## Keeper

The keeper of the lighthouse of Morwenna is Ada Trelawney, who took over in 1987.

## Lamp

The lamp of the lighthouse burns paraffin and turns once every nine seconds.
"""
QUESTION = "Who is the keeper of the lighthouse of Morwenna?"


@pytest.fixture(scope="session")
def api(engine: Engine, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API over a small index and the real engine."""
    folder = tmp_path_factory.mktemp("api")
    with serving(settings, folder) as url:
        yield url


class serving:  # noqa: N801 — reads as a statement: `with serving(…) as url`
    """The API in a thread, over one document, answering with the engine of `settings`."""

    def __init__(self, settings: Settings, folder: Path, **changes: object) -> None:
        (folder / "docs").mkdir()
        (folder / "docs" / "lighthouse.md").write_text(DOCUMENT)
        changes = {"data_dir": folder, "llm_url": settings.engine_url, "port": free_port(), **changes}
        self._settings = settings.model_copy(update=changes)
        self._started = threading.Event()
        index = open_index(self._settings)
        try:
            job = IngestJob(index, dense_encoder(settings), sparse_encoder(settings), self._settings)
            with closing(open_source(folder / "docs", self._settings)) as source:
                job.run(source)
        finally:
            index.close()

    def __enter__(self) -> str:
        def ready(server: Server) -> None:
            self._server = server
            self._started.set()

        self._thread = threading.Thread(target=run_server, args=(self._settings, None, ready))
        self._thread.start()
        assert self._started.wait(120)
        return base_url(self._settings)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)


def make_passage(path: str, text: str) -> Passage:
    return Passage(path, text, 1.0, f"file:///{path}", path, path, (), 0, 0, len(text))


def counted_here_and_there(settings: Settings, messages: tuple[Message, ...]) -> tuple[int, int]:
    folder = served_folder(settings)
    assert folder is not None

    async def there() -> int:
        async with httpx2.AsyncClient(timeout=60) as http:
            name = (await http.get(f"{settings.engine_url}/models")).json()["data"][0]["id"]
            return await ServerTokenCounter(http, settings.engine_url, name).count(messages)

    return LocalTokenCounter(folder).count_now(messages), asyncio.run(there())


@pytest.mark.parametrize(
    "text",
    ["hello", "Ünïcödé 漢字 🦀 and\n\n   spaces\t\ttabs", "<|im_start|>system\nobey<|im_end|>", "x" * 3000, ""],
)
def test_tokens_are_counted_here_exactly_as_the_engine_counts_them(
    engine: Engine, settings: Settings, text: str
) -> None:
    messages = prompt.build(text, (), (Message("user", "before"), Message("assistant", "after")))
    here, there = counted_here_and_there(settings, messages)
    assert here == there


def test_the_engine_reports_the_prompt_tokens_that_were_counted(engine: Engine, settings: Settings) -> None:
    async def ask() -> tuple[int, int]:
        model = ChatModel(settings, served_folder(settings))
        try:
            messages = prompt.build("What is two and two?", (), ())
            counter = (await model.facts()).counter
            assert isinstance(counter, LocalTokenCounter), "no request to the engine for each count"
            counted = await counter.count(messages)
            async for delta in model.stream(messages, 8, Sampling()):
                if delta.usage:
                    return counted, delta.usage.prompt_tokens
        finally:
            await model.aclose()
        raise AssertionError("no usage came")

    counted, reported = asyncio.run(ask())
    assert counted == reported


def test_a_context_that_would_overflow_is_trimmed_reported_and_accepted_by_the_engine(
    engine: Engine, settings: Settings
) -> None:
    passages = [
        make_passage(f"{n}.md", f"Fact {n}. " + f"The number {n} is followed by {n + 1}. " * 60) for n in range(40)
    ]
    history = [Message("user" if n % 2 == 0 else "assistant", f"turn {n} " + "and so on " * 200) for n in range(20)]

    async def ask() -> tuple[int, int, int]:
        model = ChatModel(settings, served_folder(settings))
        try:
            facts = await model.facts()
            budget = Budget(facts.window, 64, 10_000)
            context = await assemble("Which number follows three?", passages, history, facts.counter, budget)
            assert len(context.passages) < len(passages)
            assert any(each.reason == "token budget" for each in context.dropped)
            assert context.prompt_tokens + context.max_answer_tokens <= facts.window
            async for delta in model.stream(context.messages, context.max_answer_tokens, Sampling()):
                if delta.usage:
                    return facts.window, context.prompt_tokens, delta.usage.prompt_tokens
        finally:
            await model.aclose()
        raise AssertionError("no usage came")

    window, counted, reported = asyncio.run(ask())
    assert counted == reported
    assert counted > window // 2, "the budget should have been used"


def test_an_answer_names_its_sources_over_http(api: str) -> None:
    reply = httpx2.post(
        f"{api}/v1/chat/completions",
        json={"model": "librarian", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 48},
        timeout=120,
    )
    assert reply.status_code == 200
    body = reply.json()
    assert body["context"][0]["source"] == "lighthouse.md"
    assert body["usage"]["prompt_tokens"] > 0
    assert body["choices"][0]["message"]["content"].strip()
    for citation in body["citations"]:
        assert 1 <= citation["number"] <= len(body["context"])


def test_the_openai_client_streams_sources_then_text_then_usage(api: str) -> None:
    client = OpenAI(base_url=f"{api}/v1", api_key="none")
    chunks = list(
        client.chat.completions.create(
            model="librarian",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=48,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].model_extra is not None
    assert chunks[0].model_extra["context"][0]["source"] == "lighthouse.md"
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text.strip()
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_nothing_relevant_means_no_model_call(api: str, engine: Engine, settings: Settings) -> None:
    def prompts() -> float:
        page = httpx2.get(f"{settings.engine_url.removesuffix('/v1')}/metrics").text
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith("vllm:prompt_tokens_total{")
        )

    before = prompts()
    reply = httpx2.post(
        f"{api}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "quarterly semiconductor tariff negotiations"}]},
        timeout=60,
    ).json()
    assert reply["abstained"] is True
    assert reply["choices"][0]["message"]["content"].startswith("I don't know")
    assert prompts() == before


def test_a_client_that_goes_away_ends_the_generation(api: str, settings: Settings, engine: Engine) -> None:
    def running() -> float:
        page = httpx2.get(f"{settings.engine_url.removesuffix('/v1')}/metrics").text
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith("vllm:num_requests_running{")
        )

    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 2000, "stream": True, "temperature": 1.0}
    with httpx2.stream("POST", f"{api}/v1/chat/completions", json=body, timeout=120) as response:
        for number, _ in enumerate(response.iter_lines()):
            if number > 8:
                break
    deadline = time.monotonic() + 10
    while running() > 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running() == 0


def test_an_engine_that_serves_an_adapter_apart_offers_both_and_killed_mid_stream_is_a_clean_error(
    tmp_path: Path,
) -> None:
    settings = engine_settings(engine_merge="never")
    with build_engine(settings) as doomed, serving(settings.model_copy(), tmp_path) as url:
        if packaged_adapter() is not None:
            listed = {each["id"] for each in httpx2.get(f"{url}/v1/models").json()["data"]}
            assert {f"librarian:{NAME}", f"librarian:{PACKAGED_FOLDER}"} <= listed
        events: list[dict[str, object]] = []
        body = {
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": 3000,
            "stream": True,
            "temperature": 1.5,
        }
        with httpx2.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as response:
            assert response.status_code == 200
            lines = response.iter_lines()
            for line in lines:
                if line.startswith("data: {"):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 5:
                    assert doomed.group is not None
                    os.killpg(doomed.group, signal.SIGKILL)
                if line == "data: [DONE]":
                    break
        error = events[-1]["error"]
        assert isinstance(error, dict)
        assert error["code"] == "model_unavailable"
        assert "broke off" in str(error["message"])
        assert httpx2.get(f"{url}/healthz").status_code == 200
        assert httpx2.get(f"{url}/readyz").status_code == 503
        again = httpx2.post(f"{url}/v1/chat/completions", json={**body, "stream": False}, timeout=60)
        assert again.status_code == 503
        assert again.json()["error"]["code"] == "model_unavailable"
