"""The tools as the MCP SDK's own client sees them, over HTTP and over stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from rag.errors import IndexUnavailable
from tests.fake_model import FakeModel
from tests.integration.api_server import ApiServer, FixedRetriever

ROOT = Path(__file__).parents[2]
ASKED = {"question": "What runs containers in pods?"}


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture
def api(model: FakeModel) -> Iterator[ApiServer]:
    with ApiServer(FixedRetriever(), llm_url=model.url, request_timeout=20) as api:
        yield api


def call(server: Any, tool: str, arguments: dict[str, Any]) -> Any:
    """The result of one tool call by the SDK's client."""

    async def once() -> Any:
        async with Client(server) as client:
            assert {each.name for each in (await client.list_tools()).tools} == {"search", "answer"}
            return await client.call_tool(tool, arguments)

    return asyncio.run(once())


def words(result: Any) -> str:
    return "".join(each.text for each in result.content)


def test_search_finds_passages_over_http(api: ApiServer) -> None:
    result = call(f"{api.url}/mcp", "search", {"query": "pods", "top_k": 2, "collection": "handbook"})
    assert not result.is_error
    assert len(result.structured_content["data"]) == 2
    assert result.structured_content["collection"] == "handbook"
    assert api.metric("librarian_searches_total", outcome="found") == 1


def test_answer_cites_over_http_and_is_counted_and_logged(api: ApiServer) -> None:
    result = call(f"{api.url}/mcp", "answer", ASKED)
    assert not result.is_error
    assert "[1]" in result.structured_content["answer"]
    assert result.structured_content["citations"][0]["number"] == 1
    assert result.structured_content["context"][0]["cited"] is True
    assert api.metric("librarian_answers_total", outcome="cited") == 1
    assert next(each for each in api.logs if each["event"] == "answer")["request_id"]
    assert api.active() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"query": ""}, "query"),
        ({"query": "x", "top_k": 1000}, "top_k"),
        ({"query": "x", "collection": "../x"}, "coll"),
    ],
)
def test_arguments_are_checked(api: ApiServer, arguments: dict[str, Any], said: str) -> None:
    result = call(f"{api.url}/mcp", "search", arguments)
    assert result.is_error
    assert said in words(result)
    assert api.retriever.asked == []


def test_errors_are_told_in_one_line(api: ApiServer, model: FakeModel) -> None:
    model.fail = {"chat": 500}
    assert "model_unavailable: " in words(call(f"{api.url}/mcp", "answer", ASKED))
    api.retriever.index.failure = IndexUnavailable("Qdrant is away.")
    assert "index_unavailable: Qdrant is away." in words(call(f"{api.url}/mcp", "search", {"query": "x"}))


def test_a_slow_answer_is_cut_off(model: FakeModel) -> None:
    model.hangs_after = 0
    with ApiServer(FixedRetriever(), llm_url=model.url, request_timeout=0.5) as api:
        assert "timeout: " in words(call(f"{api.url}/mcp", "answer", ASKED))


def test_the_same_key_is_wanted_as_elsewhere(model: FakeModel) -> None:
    with ApiServer(FixedRetriever(), llm_url=model.url, api_key="key-of-the-service") as api:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert httpx2.post(f"{api.url}/mcp", json=body, trust_env=False).status_code == 401

        async def with_key() -> Any:
            headers = {"Authorization": "Bearer key-of-the-service"}
            async with (
                httpx2.AsyncClient(headers=headers, trust_env=False) as http,
                Client(streamable_http_client(f"{api.url}/mcp", http_client=http)) as client,
            ):
                return await client.call_tool("search", {"query": "pods"})

        assert not asyncio.run(with_key()).is_error


def test_garbage_and_strange_hosts_are_refused(api: ApiServer) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    assert httpx2.post(f"{api.url}/mcp", content=b"{", headers=headers, trust_env=False).status_code == 400
    strange = {**headers, "Host": "evil.example"}
    assert httpx2.post(f"{api.url}/mcp", content=b"{}", headers=strange, trust_env=False).status_code == 403
    assert api.active() == 0


def test_the_command_serves_the_tools_over_stdio_by_a_running_service(api: ApiServer, tmp_path: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=[str(ROOT / "librarian.py"), "mcp"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "LIBRARIAN_API_URL": api.url, "PATH": os.environ["PATH"]},
    )
    result = call(command, "answer", ASKED)
    assert not result.is_error
    assert result.structured_content["context"][0]["cited"] is True
    assert api.metric("librarian_answers_total", outcome="cited") == 1
    refused = call(command, "search", {"query": "pods", "collection": "nowhere"})
    assert refused.is_error
    assert "collection_not_found: " in words(refused)


def test_the_command_opens_the_index_itself_where_no_service_runs(model: FakeModel, tmp_path: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=[str(ROOT / "librarian.py"), "mcp", "--data-dir", str(tmp_path), "--llm-url", model.url],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    result = call(command, "search", {"query": "pods"})
    assert result.is_error
    assert "collection_not_found: " in words(result)
