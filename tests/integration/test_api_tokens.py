"""Tokens of an identity provider against the running API: beside keys, while its keys change and while it is away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rag.errors import SettingsError
from rag.schema import Scope
from rag.settings import Settings
from serve.access import check_exposure, local_names, token_reader
from serve.diagnosis import _tokens
from tests.fake_model import wait_until
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_server import ApiServer, FixedRetriever
from tests.token_kit import AUDIENCE, Issuer, jwk, pem, private_key, signed

ADMIN = "the-key-of-the-settings"


@pytest.fixture(scope="module")
def started_issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def issuer(started_issuer: Issuer) -> Issuer:
    """The provider as at its start."""
    started_issuer.keys = {"one": private_key("RS256", "one")}
    started_issuer.published, started_issuer.broken, started_issuer.configuration = None, None, {}
    started_issuer.requests.clear()
    return started_issuer


@pytest.fixture(scope="module")
def api(started_issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    """A service of the tenant acme with one document that its group sre may read."""
    with feeding(
        tmp_path_factory.mktemp("tokens"),
        api_key=ADMIN,
        tenant="acme",
        groups=("sre",),
        jwt_issuer=started_issuer.url,
        jwt_audience=(AUDIENCE,),
    ) as running:
        running.done(running.send_text({"id": "runbook", "text": "The pods of the runbook."}))
        yield running


@pytest.fixture
def fresh(issuer: Issuer) -> Iterator[ApiServer]:
    """A service that has read no key yet."""
    with ApiServer(FixedRetriever(), jwt_issuer=issuer.url, jwt_audience=(AUDIENCE,), jwt_timeout=0.5) as running:
        yield running


def call(server: ApiServer, token: str, method: str = "GET", path: str = "/v1/models", body: Any = None) -> Any:
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.request(method, server.url + path, json=body, headers=sent, trust_env=False, timeout=20)


def found(api: Feeding, token: str) -> int:
    response = call(api.server, token, "POST", "/v1/search", {"query": "pods of the runbook"})
    assert response.status_code == 200, response.text
    return len(response.json()["data"])


class TestBesideKeys:
    def test_a_token_a_made_key_and_the_settings_key_all_open(self, api: Feeding, issuer: Issuer) -> None:
        _, key = api.server.app.state.keys.store.create("alice", Scope("acme", frozenset({"sre"})))
        assert [found(api, each) for each in (ADMIN, key, issuer.token())] == [1, 1, 1]

    @pytest.mark.parametrize("token", ["", "wrong", "a.b.c", "lib_0000000000000000_" + "0" * 64])
    def test_without_any_of_them_it_is_401(self, api: Feeding, token: str) -> None:
        refused = call(api.server, token)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert refused.json()["error"]["type"] == "authentication_error"

    def test_a_bad_token_is_refused_in_openais_shape(self, api: Feeding, issuer: Issuer) -> None:
        refused = call(api.server, issuer.token(exp=int(time.time()) - 100), "POST", "/v1/search", {"query": "x"})
        error = refused.json()["error"]
        assert (refused.status_code, error["type"], error["code"]) == (401, "authentication_error", "invalid_token")
        assert "expired" in error["message"]
        assert error["request_id"] == refused.headers["x-request-id"]
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    def test_permissions_are_those_of_its_scopes(self, api: Feeding, issuer: Issuer) -> None:
        tried = (("POST", "/v1/search", {"query": "x"}), ("DELETE", "/v1/documents", {"uris": ["upload:none"]}))
        tried = (*tried, ("GET", "/v1/keys", None))
        for scope, statuses in (
            ("email", [403, 403, 403]),
            ("librarian:read", [200, 403, 403]),
            ("librarian:write", [403, 200, 403]),
            ("librarian:admin", [200, 200, 200]),
        ):
            token = issuer.token(scope=scope)
            assert [call(api.server, token, *each).status_code for each in tried] == statuses


class TestTenancy:
    def test_a_token_sees_its_tenant_and_groups_only(self, api: Feeding, issuer: Issuer) -> None:
        assert found(api, issuer.token()) == 1
        assert found(api, issuer.token(groups=[])) == 0
        assert found(api, issuer.token(tenant="rival")) == 0
        rival = issuer.token(tenant="rival", scope="librarian:admin")
        assert call(api.server, rival, path="/v1/documents").json()["data"] == []
        assert call(api.server, rival, path="/v1/keys").json()["data"] == []
        gone = call(api.server, rival, "DELETE", "/v1/documents", {"uris": ["upload:runbook"]})
        assert gone.json()["deleted"] == 0
        assert found(api, issuer.token()) == 1

    @pytest.mark.parametrize("tenant", ["librarian:keys", "librarian:feedback", None])
    def test_the_services_own_tenants_are_nobodys(self, api: Feeding, issuer: Issuer, tenant: str | None) -> None:
        assert call(api.server, issuer.token(tenant=tenant, scope="librarian:admin")).status_code == 401


class TestRotation:
    def test_the_configuration_leads_to_the_keys_which_are_read_once(self, fresh: ApiServer, issuer: Issuer) -> None:
        assert [call(fresh, issuer.token()).status_code for _ in range(4)] == [200] * 4
        assert issuer.requests == ["/realms/test/.well-known/openid-configuration", "/realms/test/certs"]

    def test_a_new_key_works_at_once_and_an_old_one_no_more(self, fresh: ApiServer, issuer: Issuer) -> None:
        old = issuer.token()
        assert call(fresh, old).status_code == 200
        issuer.keys = {"two": private_key("RS256", "two")}
        assert call(fresh, issuer.token("two")).status_code == 200
        assert call(fresh, old).status_code == 401

    def test_made_up_key_ids_do_not_become_requests_to_the_issuer(self, fresh: ApiServer, issuer: Issuer) -> None:
        assert call(fresh, issuer.token()).status_code == 200
        for number in range(20):
            stranger = signed({"iss": issuer.url}, private_key("RS256", "two"), kid=f"made-up-{number}")
            assert call(fresh, stranger).status_code == 401
        assert issuer.fetches() <= 3


class TestWhileTheIssuerIsAway:
    @pytest.mark.parametrize("broken", [500, 404, 302, "slow"])
    def test_what_is_known_goes_on_and_what_is_not_is_503(self, fresh: ApiServer, issuer: Issuer, broken: Any) -> None:
        assert call(fresh, issuer.token()).status_code == 200
        issuer.broken = broken
        issuer.keys["two"] = private_key("RS256", "two")
        refused = call(fresh, issuer.token("two"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "issuer_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert call(fresh, issuer.token()).status_code == 200

    @pytest.mark.parametrize(
        ("published", "configuration"),
        [
            ({"keys": []}, {}),
            ({"keys": [jwk(private_key("ES256"), "x" * 2_000_000)]}, {}),
            (["nonsense"], {}),
            (None, {"issuer": "https://evil.example"}),
            (None, {"jwks_uri": "file:///etc/passwd"}),
            (None, {"jwks_uri": "http://evil.example/certs"}),
            (None, {"jwks_uri": 5}),
        ],
    )
    def test_nonsense_is_no_key(
        self, fresh: ApiServer, issuer: Issuer, published: Any, configuration: dict[str, Any]
    ) -> None:
        issuer.published, issuer.configuration = published, configuration
        assert call(fresh, issuer.token()).status_code == 503

    def test_the_service_answers_others_while_it_waits_for_the_issuer(self, issuer: Issuer) -> None:
        issuer.broken = "slow"
        values = {"jwt_issuer": issuer.url, "jwt_audience": (AUDIENCE,), "api_key": ADMIN, "jwt_timeout": 30}
        with ApiServer(FixedRetriever(), **values) as server:
            waiting = server.run(_begin_token(server, issuer.token()))
            assert wait_until(lambda: bool(issuer.requests))
            assert call(server, ADMIN).status_code == 200
            assert call(server, "", path="/healthz").status_code == 200
            assert not waiting.done()
            issuer.broken = None
            assert wait_until(waiting.done)


async def _begin_token(server: ApiServer, token: str) -> Any:
    """The token on its way to be known."""
    return asyncio.create_task(server.app.state.tokens.caller(token))


def test_a_token_shows_up_in_no_answer_log_or_metric(api: Feeding, issuer: Issuer) -> None:
    good, late = issuer.token(), issuer.token(exp=1)
    huge = issuer.token(filler="x" * 20_000)
    unknown = signed({"iss": issuer.url, "sub": "someone"}, private_key("RS256", "two"), kid="unknown-key-id")
    said = ""
    for token in (good, late, huge, unknown, good + "x", "x" + good):
        for method, path, body in (
            ("POST", "/v1/search", {"query": 3}),
            ("POST", "/v1/search", {"query": "pods"}),
            ("POST", "/v1/chat/completions", {"model": "librarian", "messages": [{"role": "user", "content": "pods"}]}),
            ("GET", "/metrics", None),
            ("GET", "/v1/jobs/none", None),
        ):
            response = call(api.server, token, method, path, body)
            said += response.text + str(response.headers)
    said += json.dumps(api.server.logs, default=str)
    for token in (good, late, huge, unknown):
        for part in token.split("."):
            assert part not in said
    assert "unknown-key-id" not in said
    assert "user-1" not in said


class TestFiles:
    @pytest.mark.parametrize("form", ["jwks", "pem"])
    def test_a_file_takes_the_place_of_the_issuers_server(self, tmp_path: Path, form: str) -> None:
        key, path = private_key("RS256", "one"), tmp_path / "keys"
        path.write_text(json.dumps({"keys": [jwk(key, "one")]}) if form == "jwks" else pem(key))
        issuer = Issuer()  # not started: nobody answers there
        values = {"jwt_issuer": issuer.url, "jwt_audience": (AUDIENCE,), "jwt_jwks_file": path}
        with ApiServer(FixedRetriever(), **values) as server:
            assert call(server, issuer.token()).status_code == 200
            assert call(server, "").status_code == 401

    def test_one_that_cannot_be_read_keeps_the_service_from_starting(self, tmp_path: Path) -> None:
        values = {"jwt_issuer": "https://idp.example.org", "jwt_audience": (AUDIENCE,)}
        for path, text in ((tmp_path / "none", None), (tmp_path / "wrong", "no key")):
            if text:
                path.write_text(text)
            with pytest.raises(SettingsError, match="jwt_jwks_file"):
                token_reader(Settings(jwt_jwks_file=path, **values))


class TestSettings:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"jwt_issuer": "https://idp.example.org"}, "LIBRARIAN_JWT_AUDIENCE"),
            ({"jwt_audience": ("a",)}, "LIBRARIAN_JWT_ISSUER"),
            ({"jwt_jwks_url": "https://idp.example.org/certs"}, "LIBRARIAN_JWT_ISSUER"),
            ({"jwt_issuer": "http://idp.example.org", "jwt_audience": ("a",)}, "LIBRARIAN_JWT_ALLOW_HTTP"),
            ({"jwt_issuer": "idp", "jwt_audience": ("a",)}, "LIBRARIAN_JWT_JWKS_URL"),
            (
                {"jwt_issuer": "idp", "jwt_audience": ("a",), "jwt_jwks_file": "x", "jwt_jwks_url": "https://a.b"},
                "both set",
            ),
            (
                {"jwt_issuer": "https://a.b", "jwt_audience": ("a",), "jwt_default_tenant": "librarian:keys"},
                "service's own",
            ),
        ],
    )
    def test_half_of_them_keep_the_service_from_starting(self, values: dict[str, Any], said: str) -> None:
        with pytest.raises(SettingsError, match=said):
            check_exposure(Settings(**values))

    def test_with_an_issuer_nobody_is_anonymous(self) -> None:
        settings = Settings(host="0.0.0.0", jwt_issuer="https://idp.example.org", jwt_audience=("a",))
        check_exposure(settings)
        assert local_names(settings) is None

    def test_doctor_says_whether_the_keys_can_be_read(self, issuer: Issuer) -> None:
        settings = Settings(jwt_issuer=issuer.url, jwt_audience=(AUDIENCE,))
        assert _tokens(settings).state == "ok"
        issuer.broken = 500
        found = _tokens(settings)
        assert (found.state, "status 500" in found.found) == ("FAIL", True)
