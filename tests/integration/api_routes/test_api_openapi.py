"""The OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from tests.integration.api_routes.routes import FEEDING_ROUTES, ROUTES, ROUTES_OF_ONE


class TestTheDocument:
    @pytest.fixture
    def document(self, http: httpx2.Client) -> dict[str, Any]:
        found: dict[str, Any] = http.get("/openapi.json").json()
        return found

    def test_it_lists_every_public_route(self, document: dict[str, Any]) -> None:
        operations = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        assert operations == {
            *((method, path) for method, path, _ in ROUTES),
            *((method, path) for method, path, _ in ROUTES_OF_ONE),
            ("GET", "/healthz"),
            ("GET", "/readyz"),
            ("GET", "/metrics"),
            *((method, path) for method, path, _ in FEEDING_ROUTES),
            ("POST", "/v1/jobs"),  # wants another proof than the key: see test_handover.py
        }

    def test_every_json_answer_has_a_named_shape(self, document: dict[str, Any]) -> None:
        for path, item in document["paths"].items():
            for operation in item.values():
                [answer] = [each for status, each in operation["responses"].items() if status in {"200", "201", "202"}]
                content = answer["content"]
                assert path == "/metrics" or "$ref" in content["application/json"]["schema"], path

    @pytest.mark.parametrize(
        ("path", "statuses"),
        [
            ("/v1/chat/completions", {"400", "401", "404", "409", "413", "429", "503", "504", "default"}),
            ("/v1/search", {"400", "401", "404", "409", "413", "429", "503", "504", "default"}),
            ("/v1/models", {"401", "503", "504", "default"}),
            ("/v1/models/{model}", {"400", "401", "404", "503", "504", "default"}),
        ],
    )
    def test_every_error_has_the_error_shape(self, document: dict[str, Any], path: str, statuses: set[str]) -> None:
        [operation] = document["paths"][path].values()
        errors = {status: each for status, each in operation["responses"].items() if status != "200"}
        assert errors.keys() == statuses
        for each in errors.values():
            assert each["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")

    def test_it_promises_no_status_that_is_never_sent(self, document: dict[str, Any]) -> None:
        for item in document["paths"].values():
            for operation in item.values():
                assert "422" not in operation["responses"]  # invalid requests are 400, as OpenAI's are

    def test_a_stream_is_told_as_one(self, document: dict[str, Any]) -> None:
        content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
        assert content.keys() == {"application/json", "text/event-stream"}

    def test_every_route_says_what_it_does(self, document: dict[str, Any]) -> None:
        assert all(each.get("description") for item in document["paths"].values() for each in item.values())

    def test_the_page_for_people_works(self, http: httpx2.Client) -> None:
        response = http.get("/docs")
        assert response.status_code == 200
        assert "url: '/openapi.json'" in response.text
        assert '<div id="swagger-ui">This page needs JavaScript.' in response.text

    def test_the_page_for_people_takes_nothing_from_the_internet(self, http: httpx2.Client) -> None:
        page = http.get("/docs")
        assert "http" not in page.headers["content-security-policy"]
        wanted = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(wanted) == 3
        for url in wanted:
            assert http.get(url).raise_for_status().content, url
        assert http.get("/docs/../app.py").status_code == http.get("/docs/redoc.standalone.js").status_code == 404
        assert http.get("/redoc").status_code == 404
