"""A question meant for one reader is not answered for another, and a strange name gets nothing without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from rag.errors import LibrarianError
from rag.settings import Settings
from serve.access import SCOPE_HEADER, local_names, scope_header
from serve.client import ApiClient
from tests.fake_model import FakeModel
from tests.integration.api_server import ApiServer, FixedRetriever


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with FakeModel() as model, ApiServer(FixedRetriever(), llm_url=model.url) as running:
        yield running


def base(api: ApiServer) -> str:
    return api.v1.removesuffix("/v1")


SEARCH = {"query": "What is a pod?"}


def test_the_same_reader_is_answered(api: ApiServer, settings: Callable[..., Settings]) -> None:
    headers = {SCOPE_HEADER: scope_header(settings())}
    assert httpx2.post(f"{api.v1}/search", json=SEARCH, headers=headers).status_code == 200


@pytest.mark.parametrize("values", [{"tenant": "acme"}, {"groups": ("staff",)}, {"tenant": "ac\nme"}])
def test_another_reader_is_refused_and_told_whom_it_answers_for(
    api: ApiServer, settings: Callable[..., Settings], values: dict[str, object]
) -> None:
    headers = {SCOPE_HEADER: scope_header(settings(**values))}
    refused = httpx2.post(f"{api.v1}/search", json=SEARCH, headers=headers)
    assert refused.status_code == 403
    assert "tenant=default" in refused.json()["error"]["message"]


def test_the_commands_client_says_for_whom_it_asks(api: ApiServer, settings: Callable[..., Settings]) -> None:
    async def search(values: Settings) -> object:
        client = ApiClient(base(api), values)
        try:
            return (await client.search(SEARCH))["data"]
        finally:
            await client.aclose()

    assert asyncio.run(search(settings()))
    with pytest.raises(LibrarianError, match="tenant=acme"):
        asyncio.run(search(settings(tenant="acme")))


def test_the_exit_code_is_that_of_the_servers_error(api: ApiServer, settings: Callable[..., Settings]) -> None:
    async def search() -> None:
        client = ApiClient(base(api), settings())
        try:
            await client.search({"query": ""})
        finally:
            await client.aclose()

    with pytest.raises(LibrarianError) as raised:
        asyncio.run(search())
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[::1", "localhost@evil.example"])
def test_a_strange_host_name_gets_nothing(api: ApiServer, host: str) -> None:
    refused = httpx2.post(f"{api.v1}/search", json=SEARCH, headers={"Host": host})
    assert refused.status_code in {400, 403}
    assert "pod" not in refused.text.lower() or "error" in refused.json()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:8000"])
def test_this_machines_names_are_answered(api: ApiServer, host: str) -> None:
    assert httpx2.post(f"{api.v1}/search", json=SEARCH, headers={"Host": host}).status_code == 200


def test_with_a_key_or_in_the_open_any_name_will_do(settings: Callable[..., Settings], tmp_path: Path) -> None:
    assert local_names(settings()) is not None
    assert local_names(settings(api_key="k")) is None
    assert local_names(settings(host="0.0.0.0", api_key="k")) is None
    assert local_names(settings(allow_anonymous=True)) is None
