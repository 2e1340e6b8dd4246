"""Keys that `librarian keys` makes, against the running API: whom they open what for, and when they no longer do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rag.caller_limits import CallerLimits
from rag.errors import BadInput, IndexLocked
from rag.index import open_index
from rag.keys import KeyNotFound
from rag.schema import Scope
from rag.settings import Settings
from serve.access import check_exposure, local_names
from serve.keeping import keeping
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.command_line.running import parsed, run

ADMIN = "the-key-of-the-settings"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    with feeding(tmp_path_factory.mktemp("keys"), api_key=ADMIN, groups=("sre", "dev")) as running:
        running.done(running.send_text({"id": "runbook", "text": "The pods of the runbook."}))
        yield running


def call(api: Feeding, token: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
    sent = {"Authorization": f"Bearer {token}", **headers}
    return httpx2.request(method, api.server.url + path, json=body, headers=sent, trust_env=False, timeout=20)


def made(api: Feeding, token: str = ADMIN, **fields: Any) -> dict[str, Any]:
    response = call(api, token, "POST", "/v1/keys", {"name": "test", **fields})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def found(api: Feeding, token: str) -> int:
    response = call(api, token, "POST", "/v1/search", {"query": "pods of the runbook"})
    assert response.status_code == 200, response.text
    return len(response.json()["data"])


class TestScope:
    def test_a_key_reads_what_its_groups_see(self, api: Feeding) -> None:
        assert found(api, ADMIN) == 1
        assert found(api, made(api)["key"]) == 1
        assert found(api, made(api, groups=["sre"])["key"]) == 1
        assert found(api, made(api, groups=[])["key"]) == 0

    def test_a_key_of_another_tenant_sees_nothing_of_this_one(self, api: Feeding) -> None:
        assert api.server.app.state.keys
        _, token = api.server.app.state.keys.store.create(
            "rival", Scope("rival", frozenset({"sre"})), ["read", "write"]
        )
        assert found(api, token) == 0
        assert call(api, token, "GET", "/v1/documents").json()["data"] == []
        assert call(api, token, "GET", "/v1/jobs").json()["data"] == []
        assert call(api, token, "DELETE", "/v1/documents", {"uris": ["upload:runbook"]}).json()["deleted"] == 0
        refused = call(api, token, "POST", "/v1/documents", {"documents": [{"id": "a", "text": "b"}]})
        assert refused.status_code == 403
        assert "LIBRARIAN_TENANT" in refused.text
        assert found(api, ADMIN) == 1

    def test_a_question_meant_for_another_reader_is_refused(self, api: Feeding) -> None:
        token = made(api, groups=["sre"])["key"]
        body = {"query": "pods"}
        for scope, status in (("tenant=default groups=sre", 200), ("tenant=default groups=dev,sre", 403)):
            response = call(api, token, "POST", "/v1/search", body, **{"X-Librarian-Scope": scope})
            assert response.status_code == status


class TestPermissions:
    @pytest.mark.parametrize(
        ("permissions", "statuses"),
        [
            (["read"], (200, 403, 403)),
            (["write"], (403, 200, 403)),
            (["read", "write"], (200, 200, 403)),
            (["admin"], (200, 200, 200)),
        ],
    )
    def test_each_opens_its_own_routes(self, api: Feeding, permissions: list[str], statuses: tuple[int, ...]) -> None:
        token = made(api, permissions=permissions)["key"]
        tried = (
            call(api, token, "POST", "/v1/search", {"query": "pods"}),
            call(api, token, "DELETE", "/v1/documents", {"uris": ["upload:nothing"]}),
            call(api, token, "GET", "/v1/keys"),
        )
        assert tuple(each.status_code for each in tried) == statuses

    def test_an_admin_makes_no_key_beyond_itself(self, api: Feeding) -> None:
        token = made(api, permissions=["admin"], groups=["sre"])["key"]
        for wanted in ({"tenant": "rival"}, {"groups": ["dev"]}, {"groups": ["sre", "dev"]}):
            assert call(api, token, "POST", "/v1/keys", {"name": "x", **wanted}).status_code == 403
        assert made(api, token, permissions=["admin"])["groups"] == ["sre"]

    def test_an_admin_neither_sees_nor_revokes_keys_of_another_tenant(self, api: Feeding) -> None:
        rival, _ = api.server.app.state.keys.store.create("rival", Scope("rival"))
        assert rival.id not in call(api, ADMIN, "GET", "/v1/keys").text
        assert call(api, ADMIN, "DELETE", f"/v1/keys/{rival.id}").status_code == 404
        assert api.server.app.state.keys.store.get(rival.id) == rival


class TestTheirEnd:
    def test_a_revoked_key_is_401_at_once_here(self, api: Feeding) -> None:
        key = made(api)
        assert found(api, key["key"]) == 1
        assert call(api, ADMIN, "DELETE", f"/v1/keys/{key['id']}").json()["id"] == key["id"]
        assert call(api, key["key"], "GET", "/v1/models").status_code == 401

    def test_one_revoked_elsewhere_is_401_once_the_cache_is_old(self, api: Feeding) -> None:
        cache, key = api.server.app.state.keys, made(api)
        assert found(api, key["key"]) == 1
        cache.store.revoke(key["id"])
        assert call(api, key["key"], "GET", "/v1/models").status_code == 200
        clock, cache._clock = cache._clock, lambda: clock() + 5.1
        try:
            assert call(api, key["key"], "GET", "/v1/models").status_code == 401
        finally:
            cache._clock = clock

    def test_an_expired_one_is_401(self, api: Feeding) -> None:
        store = api.server.app.state.keys.store
        clock, store._clock = store._clock, lambda: clock() - 100
        try:
            _, token = store.create("old", Scope(), lifetime=99)
        finally:
            store._clock = clock
        assert call(api, token, "GET", "/v1/models").status_code == 401

    @pytest.mark.parametrize("token", ["lib_", "lib_0000000000000000_" + "0" * 64, "lib_x", "lib_" + "0" * 500])
    def test_what_was_never_a_key_is_401(self, api: Feeding, token: str) -> None:
        response = call(api, token, "GET", "/v1/models")
        assert (response.status_code, token in response.text) == (401, False)

    def test_unknown_ids_take_a_bounded_place(self, api: Feeding) -> None:
        cache = api.server.app.state.keys
        size, cache._size = cache._size, 3
        try:
            for number in range(8):
                call(api, f"lib_{number:016x}_{'0' * 64}", "GET", "/v1/models")
            assert len(cache._known) <= 3
        finally:
            cache._size = size


def test_a_secret_shows_up_in_no_answer_log_or_metric(api: Feeding) -> None:
    token = made(api)["key"]
    said = ""
    for method, path, body in (
        ("GET", "/v1/keys", None),
        ("POST", "/v1/search", {"query": 3}),
        ("POST", "/v1/search", {"query": "pods", "collection": "nowhere"}),
        ("GET", "/metrics", None),
        ("GET", "/v1/jobs/none", None),
    ):
        response = call(api, token, method, path, body)
        said += response.text + str(response.headers)
    said += call(api, ADMIN, "GET", "/v1/keys").text + call(api, token + "x", "GET", "/v1/models").text
    secret = token.rpartition("_")[2]
    assert secret not in said + json.dumps(api.server.logs, default=str)


class TestWithoutTheSettingsKey:
    def test_a_service_may_need_a_key_of_those_made(self, tmp_path: Path) -> None:
        with feeding(tmp_path, known_callers_only=True) as api:
            _, token = api.server.app.state.keys.store.create("alice", Scope())
            assert api.http.get("/v1/models").status_code == 401
            assert call(api, token, "GET", "/v1/models").status_code == 200

    def test_an_open_one_refuses_a_wrong_key_and_gives_strangers_no_keys(self, tmp_path: Path) -> None:
        with feeding(tmp_path) as api:
            assert api.http.get("/v1/models").status_code == 200
            assert call(api, "lib_wrong", "GET", "/v1/models").status_code == 401
            assert api.http.post("/v1/keys", json={"name": "mine"}).status_code == 403

    def test_where_one_is_needed_it_may_listen_anywhere(self) -> None:
        check_exposure(Settings(host="0.0.0.0", known_callers_only=True))
        assert local_names(Settings(known_callers_only=True)) is None


class TestCommands:
    def test_keys_are_made_listed_and_revoked(self, tmp_path: Path) -> None:
        key = parsed(run(tmp_path, "keys", "create", "alice", "--groups", "sre", "--expires", "1d", "--json"))
        ran = run(tmp_path, "keys", "list")
        assert (ran.code, key["id"] in ran.out, key["key"] in ran.out) == (0, True, False)
        assert run(tmp_path, "keys", "revoke", key["id"]).code == 0
        assert "There are no keys" in run(tmp_path, "keys", "list").out

    def test_a_key_may_have_limits_of_its_own(self, tmp_path: Path) -> None:
        options = ("--requests-per-minute", "60", "--tokens-per-minute", "0")
        key = parsed(run(tmp_path, "keys", "create", "alice", *options, "--json"))
        assert key["limits"] == {"requests_per_minute": 60, "tokens_per_minute": 0, "concurrent_requests": None}
        assert "requests_per_minute=60 tokens_per_minute=0" in run(tmp_path, "keys", "list").out
        refused = run(tmp_path, "keys", "create", "bob", "--concurrent-requests", "-1")
        assert (refused.code, "concurrent_requests must be 0" in refused.err) == (2, True)

    def test_what_a_running_server_holds_goes_through_it(
        self, api: Feeding, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api.server.app.state, "holder_token", "a-token")
        held = Holding(api.server.url, "a-token")
        monkeypatch.setattr("serve.keeping.open_index", refuse)
        monkeypatch.setattr("serve.keeping.holder", lambda _: held)
        with keeping(settings()) as keys:
            key = keys.create("bob", "rival", ["any"], ["read"], None, CallerLimits(requests_per_minute=9))
            assert key["limits"]["requests_per_minute"] == 9
            assert found(api, key["key"]) == 0
            assert key["id"] in {each["id"] for each in keys.list()}
            assert keys.revoke(key["id"])["name"] == "bob"
            with pytest.raises(KeyNotFound):
                keys.revoke(key["id"])
            with pytest.raises(BadInput, match="a key's permissions are of read, write, admin, not 'fly'"):
                keys.create("bob", "rival", [], ["fly"], None, CallerLimits())
        monkeypatch.setattr("serve.keeping.holder", lambda _: Holding(None, ""))
        with pytest.raises(IndexLocked), keeping(settings()):
            pass


class Holding:
    """Stands for rag.index.folder.Holder, of a process that this test runs inside."""

    def __init__(self, url: str | None, token: str) -> None:
        self.url = url
        self.token = token


def refuse(settings: Settings) -> Any:
    """Stands for open_index where another process has the folder."""
    assert open_index
    raise IndexLocked("the index folder is held.")
