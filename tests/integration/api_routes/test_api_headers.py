"""What browsers are told with every response, and which pages may call."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from rag.errors import SettingsError
from rag.settings import load
from serve.headers import missing
from tests.fake_model import FakeModel
from tests.integration.api_server import ApiServer, FixedRetriever

PAGE = "https://app.example.org"


@pytest.fixture(scope="module")
def shared(model: FakeModel) -> Iterator[ApiServer]:
    """The API that one other origin may call."""
    with ApiServer(FixedRetriever(), llm_url=model.url, cors_origins=(PAGE,)) as server:
        yield server


def preflight(server: ApiServer, origin: str) -> httpx2.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    return httpx2.request("OPTIONS", f"{server.v1}/search", headers=headers, trust_env=False)


class TestEveryResponse:
    @pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nowhere", "/metrics", "/docs", "/v1/search"])
    def test_it_carries_them(self, http: httpx2.Client, path: str) -> None:
        self.check(http.get(path))

    def test_refusals_before_a_route_do_too(self, http: httpx2.Client) -> None:
        self.check(http.post("/v1/search", content=b"x" * 30_000))
        self.check(http.get("/healthz", headers={"Host": "evil.example.org"}))

    def test_errors_that_nobody_expected_do_too(self, unready: ApiServer) -> None:
        unready.retriever.index.failure = ZeroDivisionError("a defect")
        response = httpx2.get(f"{unready.v1}/models", trust_env=False)
        assert response.status_code == 500
        self.check(response)

    def check(self, response: httpx2.Response) -> None:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        [policy] = response.headers.get_list("content-security-policy")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy

    def test_only_the_pages_about_the_api_may_run_scripts(self, http: httpx2.Client) -> None:
        assert "script-src" in http.get("/docs").headers["content-security-policy"]
        assert "script-src" not in http.get("/v1/models").headers["content-security-policy"]

    def test_a_route_may_say_otherwise_for_itself(self) -> None:
        own = [(b"Content-Security-Policy", b"default-src 'self'")]
        assert b"content-security-policy" not in dict(missing(own, "/page"))
        assert b"x-frame-options" in dict(missing(own, "/page"))


class TestOtherOrigins:
    def test_none_may_call_unless_named(self, api: ApiServer, shared: ApiServer) -> None:
        for server, origin in ((api, PAGE), (shared, "https://evil.example.org"), (shared, "null")):
            assert "access-control-allow-origin" not in preflight(server, origin).headers
            answer = httpx2.get(f"{server.v1}/models", headers={"Origin": origin}, trust_env=False)
            assert "access-control-allow-origin" not in answer.headers

    def test_one_that_is_named_may_and_without_cookies(self, shared: ApiServer) -> None:
        allowed = preflight(shared, PAGE)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in allowed.headers
        assert allowed.headers["x-frame-options"] == "DENY"

    @pytest.mark.parametrize(
        "value", ["*", "https://*.example.org", "https://a.org/", "a.org", "ftp://a.org", "https://u@a.org"]
    )
    @pytest.mark.usefixtures("clean_environment")
    def test_what_is_no_origin_is_refused(self, value: str) -> None:
        with pytest.raises(SettingsError, match="cors_origins"):
            load({"cors_origins": value})
