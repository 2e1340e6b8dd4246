"""Whether the service lives and is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from rag.errors import IndexUnavailable
from rag.index import Collection, CollectionSpec
from serve.sharing import Shared
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import break_both
from tests.integration.api_server import ApiServer


class TestHealth:
    def test_the_process_lives_whatever_else_is_down(self, unready: ApiServer, model: FakeModel) -> None:
        break_both(unready, model)
        response = httpx2.get(f"{unready.url}/healthz", trust_env=False)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})

    def test_it_is_ready_when_index_and_model_answer(self, http: httpx2.Client) -> None:
        response = http.get("/readyz")
        assert response.status_code == 200
        assert response.json() == {"ready": True, "checks": {"index": "ok", "model": "ok"}}

    def test_a_probe_has_nothing_counted(self, unready: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        index = unready.retriever.index
        fixed = Collection("documents-1a2b3c4d", CollectionSpec(3))
        calls: list[str] = []

        async def resolve(name: str) -> Collection:
            calls.append(f"resolve {name}")
            return fixed

        async def count(name: str, *_: object) -> int:
            calls.append(f"count {name}")
            return 0

        for name, call in (("resolve", resolve), ("describe", count), ("count", count)):
            monkeypatch.setattr(index, name, call)
        assert httpx2.get(f"{unready.url}/readyz", trust_env=False).status_code == 200
        assert calls == ["resolve documents"]

    def test_an_empty_index_is_ready(self, unready: ApiServer) -> None:
        unready.retriever.index.names = []
        assert httpx2.get(f"{unready.url}/readyz", trust_env=False).status_code == 200

    def test_what_is_down_is_told_by_code_and_without_host_names(self, unready: ApiServer, model: FakeModel) -> None:
        break_both(unready, model)
        response = httpx2.get(f"{unready.url}/readyz", trust_env=False)
        assert response.status_code == 503
        assert response.json() == {
            "ready": False,
            "checks": {"index": "index_unavailable", "model": "model_unavailable"},
        }

    @pytest.mark.parametrize("part", ["index", "model"])
    def test_one_of_the_two_is_not_enough(self, unready: ApiServer, model: FakeModel, part: str) -> None:
        if part == "index":
            unready.retriever.index.failure = IndexUnavailable("qdrant.internal is down")
        else:
            model.fail = {"models": 500}
        checks = httpx2.get(f"{unready.url}/readyz", trust_env=False).json()["checks"]
        assert checks[part] == f"{part}_unavailable"
        assert sorted(checks.values())[-1] == "ok"

    def test_one_part_alone_may_be_asked_about(self, unready: ApiServer, model: FakeModel) -> None:
        model.fail = {"models": 500}
        response = httpx2.get(f"{unready.url}/readyz?part=index", trust_env=False)
        assert (response.status_code, response.json()) == (200, {"ready": True, "checks": {"index": "ok"}})
        assert httpx2.get(f"{unready.url}/readyz?part=index&part=model", trust_env=False).status_code == 503

    def test_an_unknown_part_is_refused(self, http: httpx2.Client) -> None:
        assert http.get("/readyz?part=moon").status_code in {400, 422}

    def test_it_is_ready_again_without_a_restart(self, unready: ApiServer, model: FakeModel) -> None:
        break_both(unready, model)
        assert httpx2.get(f"{unready.url}/readyz", trust_env=False).status_code == 503
        unready.retriever.index.failure, model.fail = None, {}
        assert httpx2.get(f"{unready.url}/readyz", trust_env=False).status_code == 200

    def test_a_part_that_hangs_is_a_timeout(self, unready: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serve.routes.health.CHECK_SECONDS", 0.2)
        unready.retriever.index.slow = 30
        response = httpx2.get(f"{unready.url}/readyz", trust_env=False)
        assert response.status_code == 503
        assert response.json()["checks"]["index"] == "timeout"

    def test_probes_at_the_same_time_are_one_question_to_each_part(
        self, unready: ApiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first one is held until all of them have come."""
        asked: list[str] = []
        arrived, everyone = asyncio.Event(), 20

        async def resolve(name: str) -> Collection:
            asked.append(name)
            await arrived.wait()
            return Collection(name, CollectionSpec(3))

        class Counting(Shared[str]):
            waiting = 0

            async def call(self, name: str, make: Callable[[], Coroutine[Any, Any, str]]) -> str:
                self.waiting += 1
                if self.waiting == everyone:
                    arrived.set()
                return await super().call(name, make)

        monkeypatch.setattr(unready.retriever.index, "resolve", resolve)
        unready.app.state.probes = Counting()
        with ThreadPoolExecutor(everyone) as threads:
            probes = threads.map(
                lambda _: httpx2.get(f"{unready.url}/readyz?part=index", trust_env=False, timeout=20), range(everyone)
            )
            assert {each.status_code for each in probes} == {200}
        assert asked == ["documents"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/", "/v1/models"])
def test_head_is_answered_as_get_without_a_body(http: httpx2.Client, path: str) -> None:
    answer, whole = http.head(path), http.get(path)
    assert answer.status_code == whole.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-type"] == whole.headers["content-type"]


def test_head_of_what_has_no_get_is_405(http: httpx2.Client) -> None:
    assert http.head("/v1/search").status_code == 405
