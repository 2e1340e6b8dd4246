"""The service's own collection is to callers, admins too, one that is not there: by every route, in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rag.records import RESERVED
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_server import ask

NOWHERE = "nowhere"  # a collection that is not there
CHUNK = "00000000-0000-0000-0000-000000000001"
TOOLS = {"search": "query", "answer": "question"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    """A service with documents and records, called by its admin."""
    with feeding(tmp_path_factory.mktemp("reserved"), api_key="key") as running:
        running.done(running.send_text({"id": "a", "text": "Pods run on nodes."}))
        assert running.index.tenants(RESERVED)  # the job is among them
        yield running


def rating(collection: str) -> dict[str, Any]:
    passages = [{"id": CHUNK}]
    return {"answer_id": "a", "rating": "up", "question": "Pods?", "collection": collection, "passages": passages}


def requests(name: str) -> dict[str, dict[str, Any]]:
    """Every request that asks a collection of that name, or names it, as keyword arguments of a client."""
    post, get, delete = {"method": "POST"}, {"method": "GET"}, {"method": "DELETE"}
    return {
        "search": {**post, "url": "/v1/search", "json": {"query": "pods", "collection": name}},
        "context": {**post, "url": "/v1/context", "json": {"query": "pods", "collection": name}},
        "chat": {**post, "url": "/v1/chat/completions", "json": ask(collection=name)},
        "chat by model": {**post, "url": "/v1/chat/completions", "json": ask(model=f"librarian/{name}")},
        "stream": {**post, "url": "/v1/chat/completions", "json": ask(collection=name, stream=True)},
        "model": {**get, "url": f"/v1/models/librarian/{name}"},
        "collection": {**get, "url": f"/v1/collections/{name}"},
        "documents": {**get, "url": "/v1/documents", "params": {"collection": name}},
        "text": {**get, "url": "/v1/documents/text", "params": {"collection": name, "uri": "upload:a"}},
        "delete": {**delete, "url": "/v1/documents", "params": {"collection": name, "uri": "upload:a"}},
        "feedback": {**post, "url": "/v1/feedback", "json": rating(name)},
    }


@pytest.mark.parametrize("route", requests(NOWHERE))
def test_it_is_not_found(api: Feeding, route: str) -> None:
    asked, absent = (api.http.request(**requests(name)[route]) for name in (RESERVED, NOWHERE))
    assert asked.status_code == absent.status_code == 404, asked.text
    said, wanted = asked.json()["error"], absent.json()["error"]
    assert said["message"].replace(RESERVED, NOWHERE) == wanted["message"]
    assert (said["type"], said["code"]) == (wanted["type"], wanted["code"])


@pytest.mark.parametrize("tool", TOOLS)
def test_nor_do_the_tools_find_it(api: Feeding, tool: str) -> None:
    def told(name: str) -> str:
        call = {"name": tool, "arguments": {TOOLS[tool]: "pods", "collection": name}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        response = api.http.post("/mcp", json=body, headers={"Accept": "application/json, text/event-stream"})
        result = response.raise_for_status().json()["result"]
        assert result["isError"] is True
        return "".join(each["text"] for each in result["content"])

    assert told(RESERVED).replace(RESERVED, NOWHERE) == told(NOWHERE)


def test_no_list_names_it(api: Feeding) -> None:
    for path in ("/v1/models", "/v1/collections", "/v1/documents", "/v1/jobs", "/readyz", "/metrics"):
        response = api.http.get(path)
        assert response.status_code == 200
        assert RESERVED not in response.text


def test_nothing_is_put_into_it(api: Feeding) -> None:
    for response in (
        api.send({"a.md": b"x"}, collection=RESERVED),
        api.send_text({"id": "a", "text": "x"}, collection=RESERVED),
    ):
        assert response.status_code == 400
        assert "choose another name" in response.json()["error"]["message"]


def test_every_operation_that_takes_a_collection_is_tried_here(api: Feeding) -> None:
    document = api.http.get("/openapi.json").json()
    shapes = document["components"]["schemas"]

    def takes_one(operation: dict[str, Any]) -> bool:
        content = operation.get("requestBody", {}).get("content", {})
        bodies = [
            shapes[each["schema"]["$ref"].rpartition("/")[2]] for each in content.values() if "$ref" in each["schema"]
        ]
        named = {each["name"] for each in operation.get("parameters", ())}
        return "collection" in named or any("collection" in each["properties"] for each in bodies)

    found = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if takes_one(operation)
    }
    tried = {(each["method"], each["url"]) for each in requests(NOWHERE).values()}
    assert found - tried <= {("POST", "/v1/documents")}
    assert len(found & tried) > 5


def test_a_service_that_is_set_to_it_finds_nothing_to_answer_from(tmp_path: Path) -> None:
    with feeding(tmp_path, collection=RESERVED) as api:
        response: httpx2.Response = api.http.post("/v1/search", json={"query": "pods"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "collection_not_found")
