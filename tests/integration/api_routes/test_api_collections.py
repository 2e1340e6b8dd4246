"""GET /v1/collections over a real index: only what the reader may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from rag.encoders import Bm25Encoder
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.records import RESERVED, Records
from rag.retrieval import Retriever
from rag.schema import Scope
from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import KEY, TEXTS, HashEncoder, assert_error, break_both, fill
from tests.integration.api_server import ApiServer


@pytest.fixture(scope="module")
def stranger(model: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A tenant without documents, beside one with a collection and records."""
    dense, sparse = HashEncoder(), Bm25Encoder()
    index = EmbeddedIndex(tmp_path_factory.mktemp("index"))
    fill(index, "secret-project", dense, sparse)
    Records(index).put("job", "1", {}, Scope("stranger"))
    retriever = Retriever(ThreadedIndex(index), dense, sparse, Settings())
    with (
        ApiServer(retriever, llm_url=model.url, tenant="stranger", data_dir=Path("nowhere")) as server,
        httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client,
    ):
        yield client
    index.close()


def test_each_is_told_with_its_names_points_and_encoder(http: httpx2.Client) -> None:
    body = http.get("/v1/collections").json()
    assert body["object"] == "list"
    assert [each["name"] for each in body["data"]] == ["documents", "foreign"]
    assert {each["points"] for each in body["data"]} == {len(TEXTS)}
    assert [each["encoder"].split("'")[1] for each in body["data"]] == ["hash", "other"]
    assert body["data"][0]["aliases"] == ["documents"]


@pytest.mark.parametrize("name", ["documents", "documents-1a2b3c4d"])
def test_one_is_found_by_its_alias_and_by_its_own_name(http: httpx2.Client, name: str) -> None:
    assert http.get(f"/v1/collections/{name}").json() == http.get("/v1/collections").json()["data"][0]


def test_another_tenant_is_told_of_nothing(stranger: httpx2.Client) -> None:
    assert stranger.get("/v1/collections").json()["data"] == []


def test_what_is_hidden_and_what_is_not_there_get_the_same_answer(stranger: httpx2.Client) -> None:
    words = set()
    for name in ("secret-project", "secret-project-1a2b3c4d", RESERVED, "nowhere"):
        response = stranger.get(f"/v1/collections/{name}")
        error = assert_error(response, 404, "not_found_error", "collection_not_found")
        words.add(error["message"].replace(name, "NAME"))
    assert len(words) == 1


def test_no_error_names_what_belongs_to_others(stranger: httpx2.Client) -> None:
    for path, body in (
        ("/v1/search", {"query": "pods"}),
        ("/v1/context", {"query": "pods"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "pods"}]}),
    ):
        response = stranger.post(path, json={**body, "collection": "nowhere"})
        error = assert_error(response, 404, "not_found_error", "collection_not_found")
        assert "'nowhere'" in error["message"]
        assert "secret-project" not in response.text


def test_models_are_those_collections_and_the_default_one(stranger: httpx2.Client) -> None:
    assert [each["id"] for each in stranger.get("/v1/models").json()["data"]] == ["librarian"]


@pytest.mark.parametrize("name", ["a%20b", ".hidden", "x" * 129, "a%00b"])
def test_what_no_collection_can_be_called_is_refused(http: httpx2.Client, name: str) -> None:
    assert_error(http.get(f"/v1/collections/{name}"), 400, "invalid_request_error", "invalid_request")


def test_the_key_is_needed(locked: ApiServer) -> None:
    for name, status in (("documents", 401), ("nowhere", 401)):
        assert httpx2.get(f"{locked.url}/v1/collections/{name}", trust_env=False).status_code == status
    headers = {"Authorization": f"Bearer {KEY}"}
    found = httpx2.get(f"{locked.url}/v1/collections/documents", headers=headers, trust_env=False)
    assert found.json()["name"] == "documents"


def test_a_dead_index_is_503(unready: ApiServer, model: FakeModel) -> None:
    break_both(unready, model)
    for path in ("/v1/collections", "/v1/collections/documents"):
        response = httpx2.get(unready.url + path, trust_env=False)
        assert_error(response, 503, "server_error", "index_unavailable")
