"""Errors and request ids of the API."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from rag.errors import IndexUnavailable
from tests.integration.api_routes.routes import assert_error
from tests.integration.api_server import ApiServer, ask


class TestRequestIds:
    @pytest.mark.parametrize("given", ["a", "req-1", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "A.b_c-9", "x" * 64])
    def test_a_harmless_one_is_echoed(self, http: httpx2.Client, given: str) -> None:
        assert http.get("/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] == given

    @pytest.mark.parametrize(
        "given", ["", "x" * 65, "a b", "a;b", "<script>", '"', "../x", "ü", "a\tb", "%0d%0aSet-Cookie:x=1"]
    )
    def test_a_hostile_one_is_replaced(self, http: httpx2.Client, given: str) -> None:
        response = http.get("/nothing", headers={"X-Request-Id": given.encode()})
        found = response.headers["x-request-id"]
        assert found != given
        assert re.fullmatch("[0-9a-f]{32}", found)
        assert response.json()["error"]["request_id"] == found

    def test_streams_carry_one_too(self, http: httpx2.Client) -> None:
        response = http.post("/v1/chat/completions", json=ask(stream=True), headers={"X-Request-Id": "mine"})
        assert response.headers["x-request-id"] == "mine"

    def test_two_requests_get_two(self, http: httpx2.Client) -> None:
        assert len({http.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "kind", "code"),
        [
            ("GET", "/nothing", None, 404, "not_found_error", "not_found"),
            ("GET", "/v1/chat/completions", None, 405, "invalid_request_error", "method_not_allowed"),
            ("POST", "/v1/search", {}, 400, "invalid_request_error", "invalid_request"),
            ("POST", "/v1/search", {"query": "x" * 25_000}, 413, "invalid_request_error", "request_too_large"),
            ("POST", "/v1/chat/completions", ask(model="gpt-4o"), 404, "not_found_error", "model_not_found"),
        ],
    )
    def test_each_has_type_code_message_and_request_id(
        self, http: httpx2.Client, method: str, path: str, body: Any, status: int, kind: str, code: str
    ) -> None:
        assert_error(http.request(method, path, json=body), status, kind, code)

    def test_a_wrong_method_is_told_the_right_one(self, http: httpx2.Client) -> None:
        assert http.get("/v1/search").headers["allow"] == "POST"

    @pytest.mark.parametrize("body", [{"query": "pods"}, ask(), ask(stream=True)], ids=["search", "chat", "stream"])
    def test_a_mistake_of_the_service_is_500_without_its_details(
        self, unready: ApiServer, body: dict[str, Any]
    ) -> None:
        unready.retriever.index.failure = RuntimeError("the password of qdrant.internal is hunter2")
        path = "search" if "query" in body else "chat/completions"
        response = httpx2.post(f"{unready.v1}/{path}", json=body, headers={"X-Request-Id": "id-7"}, trust_env=False)
        error = assert_error(response, 500, "server_error", "internal_error")
        assert error["request_id"] == "id-7"
        assert "hunter2" not in response.text
        assert "id-7" in [each.get("request_id") for each in unready.logs]
        assert unready.active() == 0

    @pytest.mark.parametrize("path", ["search", "chat/completions", "models"])
    def test_an_index_that_is_down_is_503_with_retry_after(self, unready: ApiServer, path: str) -> None:
        unready.retriever.index.failure = IndexUnavailable("qdrant cannot be reached")
        body = {"search": {"query": "x"}, "chat/completions": ask(stream=True)}.get(path)
        method = "POST" if body else "GET"
        response = httpx2.request(method, f"{unready.v1}/{path}", json=body, trust_env=False)
        assert_error(response, 503, "server_error", "index_unavailable")
        assert int(response.headers["retry-after"]) >= 1
