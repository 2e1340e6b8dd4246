"""More requests than the API serves at a time."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask
from tests.integration.api_stress.pressure import LIMIT, assert_at_rest, begin_stream


class TestTooMany:
    def test_a_stream_holds_its_place_until_its_end(self, api: ApiServer, model: FakeModel, http: Any) -> None:
        model.pieces, model.hangs_after = ("word ",) * 3, 1
        streams = [begin_stream(api) for _ in range(LIMIT)]
        assert wait_until(lambda: model.sent == LIMIT)
        time.sleep(0.2)  # headers and first words have long been sent
        assert api.active() == LIMIT
        refused = http.post(f"{api.v1}/chat/completions", json=ask(stream=True))
        assert refused.status_code == 429
        streams.pop().close()
        assert wait_until(lambda: api.active() == LIMIT - 1)
        model.hangs_after = None
        assert http.post(f"{api.v1}/chat/completions", json=ask()).status_code == 200
        for each in streams:
            each.close()
        assert_at_rest(api, model)

    def test_a_stream_that_ends_well_gives_its_place_back(self, api: ApiServer, model: FakeModel, http: Any) -> None:
        for _ in range(LIMIT + 2):
            assert http.post(f"{api.v1}/chat/completions", json=ask(stream=True)).status_code == 200
        assert_at_rest(api, model)

    def test_the_next_is_told_when_to_come_back_while_health_answers(
        self, api: ApiServer, model: FakeModel, http: Any
    ) -> None:
        model.hangs_after = 0
        streams = [begin_stream(api) for _ in range(LIMIT)]
        for path, body in (("chat/completions", ask()), ("search", {"query": "x"})):
            refused = http.post(f"{api.v1}/{path}", json=body)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            error = refused.json()["error"]
            assert (error["type"], error["code"]) == ("rate_limit_error", "overloaded")
        began = time.monotonic()
        for path in ("healthz", "readyz", "metrics", "v1/models"):
            assert http.get(f"{api.url}/{path}").status_code == 200
        assert time.monotonic() - began < 3
        for each in streams:
            each.close()
        assert_at_rest(api, model)

    def test_of_many_at_once_exactly_the_limit_is_served(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = ("word ",) * 3, 0.5
        httpx2.post(f"{api.v1}/search", json={"query": "x"}, trust_env=False)  # imports and pools are warm
        statuses: list[int] = []

        def one() -> None:
            answer = httpx2.post(f"{api.v1}/chat/completions", json=ask(stream=True), trust_env=False, timeout=20)
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=one) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert sorted(statuses) == [200] * LIMIT + [429] * (12 - LIMIT)
        assert_at_rest(api, model)

    def test_a_refused_request_takes_no_place(self, api: ApiServer, http: Any, model: FakeModel) -> None:
        for _ in range(LIMIT + 2):
            assert http.post(f"{api.v1}/chat/completions", json={"messages": []}).status_code == 400
            assert http.post(f"{api.v1}/chat/completions", json=ask(model="gpt-4o")).status_code == 404
        assert_at_rest(api, model)
