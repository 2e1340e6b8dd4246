"""What /metrics counts."""

from __future__ import annotations

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api_server import ApiServer, ask


class TestMetrics:
    def test_they_parse_and_carry_one_prefix(self, http: httpx2.Client) -> None:
        response = http.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        families = list(text_string_to_metric_families(response.text))
        assert families
        assert all(each.name.startswith("librarian_") for each in families)
        assert all(each.documentation for each in families)

    def test_an_answer_raises_its_counts(self, api: ApiServer, http: httpx2.Client) -> None:
        names: list[tuple[str, dict[str, str], float]] = [
            ("librarian_http_requests_total", {"route": "/v1/chat/completions", "status": "200"}, 2),
            ("librarian_http_request_seconds_count", {"route": "/v1/chat/completions"}, 2),
            ("librarian_answers_total", {"outcome": "cited"}, 2),
            ("librarian_tokens_total", {"direction": "prompt"}, 24),
            ("librarian_tokens_total", {"direction": "completion"}, 10),
            ("librarian_stage_seconds_count", {"stage": "first_token"}, 2),
            ("librarian_relevance_ratio_count", {}, 2),
        ]
        before = [api.metric(name, **labels) for name, labels, _ in names]
        for streaming in (False, True):
            http.post("/v1/chat/completions", json=ask("What runs containers in pods?", stream=streaming))
        for (name, labels, rise), was in zip(names, before, strict=True):
            assert api.metric(name, **labels) - was == rise, (name, labels)

    def test_an_abstention_is_counted_as_one(self, api: ApiServer, http: httpx2.Client) -> None:
        before = api.metric("librarian_answers_total", outcome="abstained")
        body = http.post("/v1/chat/completions", json=ask("zzz")).json()
        assert body["abstained"] is True
        assert api.metric("librarian_answers_total", outcome="abstained") == before + 1

    def test_nothing_that_a_caller_sends_becomes_a_label(self, api: ApiServer, http: httpx2.Client) -> None:
        http.get("/seen-before")
        before = {(each.name, *sorted(each.labels.items())) for each in api.samples()}
        for number in range(5):
            http.get(f"/unknown-{number}")
            http.get(f"/v1/models/unknown-{number}")
            http.request(f"ODD{number}", "/seen-before")
            http.post("/v1/search", json={"query": "pods", "collection": f"unknown-{number}"})
            http.post("/v1/chat/completions", json=ask(model=f"librarian/unknown-{number}"))
        after = {(each.name, *sorted(each.labels.items())) for each in api.samples()}
        assert {each for each in after - before if "unknown-" in str(each) or "ODD" in str(each)} == set()
        routes = {each.labels["route"] for each in api.samples() if "route" in each.labels}
        assert routes <= {
            "unknown",
            "/v1/chat/completions",
            "/v1/search",
            "/v1/models",
            "/v1/models/{model}",
            "/healthz",
            "/readyz",
            "/metrics",
        }
        assert api.metric("librarian_http_requests_total", route="unknown", status="404") >= 10

    def test_refusals_before_a_route_are_counted_too(self, api: ApiServer, http: httpx2.Client) -> None:
        before = api.metric("librarian_http_requests_total", status="413")
        assert http.post("/v1/search", content=b"x" * 30_000).status_code == 413
        assert api.metric("librarian_http_requests_total", status="413") == before + 1
