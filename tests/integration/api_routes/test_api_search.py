"""POST /v1/search and GET /v1/models over a real index."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from rag.encoders import DenseEncoder
from rag.index.threaded import ThreadedIndex
from tests.integration.api_routes.routes import TEXTS, HashEncoder, assert_error
from tests.integration.api_server import ask


class TestSearch:
    def test_it_gives_ranked_passages_with_scores_and_spans(self, http: httpx2.Client) -> None:
        body = http.post("/v1/search", json={"query": "readiness probe of a pod"}).json()
        assert (body["object"], body["collection"]) == ("list", "documents")
        assert body["query"] == "readiness probe of a pod"
        scores = [each["score"] for each in body["data"]]
        assert scores == sorted(scores, reverse=True)
        best = body["data"][0]
        assert (best["source"], best["uri"], best["title"]) == ("docs/2.md", "file:///docs/2.md", "Document 2")
        assert best["text"] == TEXTS[1]
        assert (best["start"], best["end"]) == (0, len(TEXTS[1]))
        assert best["sparse_score"] > 0
        assert 0.5 < body["relevance"] < 1
        assert {"encode", "search", "fetch"} <= body["timings_ms"].keys()

    @pytest.mark.parametrize("top_k", [1, 2, 100])
    def test_top_k_is_how_many_come_at_most(self, http: httpx2.Client, top_k: int) -> None:
        body = http.post("/v1/search", json={"query": "pods", "top_k": top_k}).json()
        assert len(body["data"]) == min(top_k, len(TEXTS))

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"query": "pods", "top_k": 0}, "top_k"),
            ({"query": "pods", "top_k": 101}, "top_k"),
            ({"query": "pods", "top_k": "many"}, "top_k"),
            ({"query": ""}, "query"),
            ({"query": "x" * 20_001}, "query"),
            ({"query": None}, "query"),
            ({}, "query"),
            ({"query": "pods", "collection": "../../etc"}, "collection"),
            ({"query": "pods", "collection": ""}, "collection"),
            ({"query": "pods", "filter": {}}, "filter"),
        ],
    )
    def test_what_is_out_of_bounds_is_refused_by_name(
        self, http: httpx2.Client, body: dict[str, Any], param: str
    ) -> None:
        status = 413 if len(json.dumps(body)) > 20_000 else 400
        response = http.post("/v1/search", json=body)
        if status == 413:
            assert_error(response, 413, "invalid_request_error", "request_too_large")
        else:
            assert assert_error(response, 400, "invalid_request_error", "invalid_request")["param"] == param

    def test_a_blank_query_is_refused(self, http: httpx2.Client) -> None:
        assert_error(http.post("/v1/search", json={"query": " \n"}), 400, "invalid_request_error", "invalid_request")

    def test_words_that_stand_nowhere_are_no_error(self, http: httpx2.Client) -> None:
        assert http.post("/v1/search", json={"query": "zzz 🙂 \u2028"}).status_code == 200

    def test_an_unknown_collection_is_404(self, http: httpx2.Client) -> None:
        response = http.post("/v1/search", json={"query": "pods", "collection": "nowhere"})
        assert "nowhere" in assert_error(response, 404, "not_found_error", "collection_not_found")["message"]

    @pytest.mark.parametrize("path", ["/v1/search", "/v1/chat/completions"])
    def test_a_collection_of_another_encoder_is_409(self, http: httpx2.Client, path: str) -> None:
        body = {"query": "pods"} if path == "/v1/search" else ask(stream=True)
        response = http.post(path, json={**body, "collection": "foreign"})
        error = assert_error(response, 409, "invalid_request_error", "fingerprint_mismatch")
        assert "'other'" in error["message"]
        assert "'hash'" in error["message"]

    @pytest.mark.parametrize("name", ["../documents", "a/b", "a\u0000b", ".", "documents ", "d%2e"])
    def test_a_model_name_cannot_leave_the_index(self, http: httpx2.Client, name: str) -> None:
        response = http.post("/v1/chat/completions", json=ask(model=f"librarian/{name}"))
        assert response.status_code in {400, 404}
        assert response.json()["error"]["type"] in {"invalid_request_error", "not_found_error"}


class TestModels:
    def test_they_are_librarian_and_one_for_each_alias(self, http: httpx2.Client) -> None:
        body = http.get("/v1/models").json()
        assert body["object"] == "list"
        assert [each["id"] for each in body["data"]] == ["librarian", "librarian/documents", "librarian/foreign"]
        assert {each["object"] for each in body["data"]} == {"model"}

    def test_each_of_them_can_be_asked(self, http: httpx2.Client) -> None:
        for each in ("librarian", "librarian/documents"):
            response = http.post("/v1/chat/completions", json=ask("What runs containers in pods?", model=each))
            assert response.status_code == 200
            assert response.json()["model"] == each
            assert response.json()["context"][0]["source"] == "docs/1.md"


def test_the_encoder_that_stands_in_is_one() -> None:
    encoder: DenseEncoder = HashEncoder()
    near, same, far = encoder.encode_documents(["pods run", "pods run", "quota"])
    assert float(near @ same) == pytest.approx(1)
    assert float(near @ far) < 0.3
    assert asyncio.iscoroutinefunction(ThreadedIndex.query)
