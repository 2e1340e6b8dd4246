"""Who may use the API: its key, and the hosts it may listen on."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from rag.errors import SettingsError
from rag.settings import Settings
from serve.access import check_exposure
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import FEEDING_ROUTES, KEY, ROUTES, ROUTES_OF_ONE, assert_error
from tests.integration.api_server import ApiServer, FixedRetriever


class TestKeys:
    @pytest.mark.parametrize(("method", "path", "body"), [*ROUTES, *FEEDING_ROUTES])
    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer wrong",
            f"Bearer {KEY}x",
            f"Bearer {KEY[:-1]}",
            f"Bearer {KEY.upper()}",
            f"Basic {KEY}",
            KEY,
            f"Bearer Bearer {KEY}",
            "Bearer schlüssel",
        ],
    )
    def test_without_the_right_one_every_v1_route_is_401(
        self, locked: ApiServer, method: str, path: str, body: Any, header: str | None
    ) -> None:
        headers = {} if header is None else {"Authorization": header.encode()}
        response = httpx2.request(method, locked.url + path, json=body, headers=headers, trust_env=False)
        assert_error(response, 401, "authentication_error", "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"
        assert KEY not in response.text + str(response.headers)

    @pytest.mark.parametrize(("method", "path", "body"), ROUTES)
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_with_the_right_one_it_is_200(
        self, locked: ApiServer, method: str, path: str, body: Any, scheme: str
    ) -> None:
        headers = {"Authorization": f"{scheme} {KEY}"}
        response = httpx2.request(method, locked.url + path, json=body, headers=headers, trust_env=False, timeout=20)
        assert response.status_code == 200
        assert KEY not in response.text + str(response.headers)

    def test_a_key_beyond_ascii_works(self, model: FakeModel) -> None:
        with ApiServer(FixedRetriever(), llm_url=model.url, api_key="schlüssel") as api:
            right, wrong = ({"Authorization": f"Bearer {each}".encode()} for each in ("schlüssel", "schlussel"))
            assert httpx2.get(f"{api.v1}/models", headers=right, trust_env=False).status_code == 200
            assert httpx2.get(f"{api.v1}/models", headers=wrong, trust_env=False).status_code == 401

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    def test_probes_and_scrapers_need_none(self, locked: ApiServer, path: str) -> None:
        assert httpx2.get(locked.url + path, trust_env=False).status_code == 200

    def test_every_v1_route_is_in_the_list_that_is_tried_here(self, locked: ApiServer) -> None:
        paths = httpx2.get(f"{locked.url}/openapi.json", trust_env=False).json()["paths"]
        assert {each for each in paths if each.startswith("/v1")} == {
            path for _, path, _ in (*ROUTES, *ROUTES_OF_ONE, *FEEDING_ROUTES)
        }

    def test_the_key_shows_up_nowhere(self, locked: ApiServer) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        said = ""
        for path in ("/v1/models", "/v1/nothing", "/metrics", "/openapi.json", "/docs", "/readyz"):
            response = httpx2.get(locked.url + path, headers=headers, trust_env=False)
            said += response.text + str(response.headers)
        response = httpx2.post(f"{locked.v1}/search", json={"api_key": KEY[:5]}, headers=headers, trust_env=False)
        said += response.text + str(locked.logs)
        assert KEY not in said

    def test_an_open_service_ignores_a_key(self, http: httpx2.Client) -> None:
        assert http.get("/v1/models", headers={"Authorization": "Bearer any"}).status_code == 200


class TestExposure:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "librarian.example.org", "::ffff:10.0.0.1"])
    def test_where_others_reach_it_a_key_or_a_word_is_needed(self, host: str) -> None:
        with pytest.raises(SettingsError, match="LIBRARIAN_API_KEY"):
            check_exposure(Settings(host=host))
        check_exposure(Settings(host=host, api_key=KEY))
        check_exposure(Settings(host=host, allow_anonymous=True))

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
    def test_on_this_machine_alone_none_is_needed(self, host: str) -> None:
        check_exposure(Settings(host=host))

    def test_no_application_is_made_for_strangers(self) -> None:
        from serve.app import create_app

        with pytest.raises(SettingsError, match=r"0\.0\.0\.0"):
            create_app(Settings(host="0.0.0.0"), None)  # type: ignore[arg-type]
