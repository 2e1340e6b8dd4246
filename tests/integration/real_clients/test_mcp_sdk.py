"""The MCP SDK's own client, over streamable HTTP with a key and over the command's stdin and stdout."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.integration.real_clients.conftest import KEY, QUESTION, TEXT, Service
from tests.integration.serving import COMMAND, ROOT


async def both_tools(client: Client) -> tuple[Any, Any]:
    """What `search` finds and what `answer` says."""
    assert {each.name for each in (await client.list_tools()).tools} == {"search", "answer"}
    found = await client.call_tool("search", {"query": QUESTION, "top_k": 1})
    answer = await client.call_tool("answer", {"question": QUESTION})
    assert not found.is_error, found.content
    assert not answer.is_error, answer.content
    return found.structured_content, answer.structured_content


def check(found: Any, answer: Any) -> None:
    assert [each["source"] for each in found["data"]] == ["probes.md"]
    assert answer["answer"] == TEXT
    assert [each["number"] for each in answer["citations"]] == [1]
    assert answer["context"][0]["source"] == "probes.md"


def test_over_http(service: Service) -> None:
    async def once() -> tuple[Any, Any]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=60) as http,
            Client(streamable_http_client(f"{service.url}/mcp", http_client=http)) as client,
        ):
            return await both_tools(client)

    check(*asyncio.run(once()))


def test_over_stdin_and_stdout_through_the_running_service(service: Service, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(ROOT), "LIBRARIAN_API_URL": service.url, "LIBRARIAN_API_KEY": KEY}
    command = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "mcp"], cwd=tmp_path, env={**variables, "PATH": os.environ["PATH"]}
    )

    async def once() -> tuple[Any, Any]:
        async with Client(command) as client:
            return await both_tools(client)

    check(*asyncio.run(once()))
