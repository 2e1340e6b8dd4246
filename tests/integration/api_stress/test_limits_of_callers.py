"""Limits of one caller: each is reached, said, and given back, while others go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from rag.caller_limits import CallerLimits
from rag.schema import Scope
from tests.fake_model import FakeModel, wait_until
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_server import ApiServer, ask, connected
from tests.integration.api_stress.pressure import PREAMBLE, assert_at_rest, begin_stream

SEARCH = {"query": "pods"}


def search(http: Any, api: ApiServer, token: str = "") -> Any:
    return http.post(f"{api.v1}/search", json=SEARCH, headers={"Authorization": f"Bearer {token}"} if token else {})


def assert_limited(response: Any, kind: str, api: ApiServer) -> None:
    assert response.status_code == 429, response.text
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert int(response.headers["retry-after"]) >= 1
    assert api.metric("librarian_limited_total", limit=kind) >= 1


def stand_still(api: ApiServer) -> None:
    """No limit fills up again while a test runs, however slow the machine is."""
    api.app.state.allowances._clock = lambda: 1000.0


@pytest.fixture
def serve(serve: Callable[..., ApiServer]) -> Callable[..., ApiServer]:
    """As of all tests under pressure, in a time that stands still."""

    def start(**values: Any) -> ApiServer:
        server = serve(**values)
        stand_still(server)
        return server

    return start


class TestRequests:
    def test_each_says_what_is_left_and_the_next_is_refused(self, serve: Callable[..., ApiServer], http: Any) -> None:
        api = serve(caller_requests_per_minute=3)
        answers = [search(http, api) for _ in range(3)]
        assert [each.status_code for each in answers] == [200] * 3
        assert [each.headers["x-ratelimit-remaining-requests"] for each in answers] == ["2", "1", "0"]
        refused = search(http, api)
        assert_limited(refused, "requests", api)
        assert (refused.headers["x-ratelimit-limit-requests"], refused.headers["x-ratelimit-remaining-requests"]) == (
            "3",
            "0",
        )
        assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
        assert "x-ratelimit-limit-tokens" not in refused.headers
        assert http.get(f"{api.v1}/models").status_code == 200

    def test_without_limits_nothing_is_said_of_them(self, api: ApiServer, http: Any) -> None:
        assert not [name for name in search(http, api).headers if "ratelimit" in name]

    def test_openais_client_takes_it_for_a_rate_limit(self, serve: Callable[..., ApiServer]) -> None:
        api = serve(caller_requests_per_minute=1)
        with openai.OpenAI(base_url=api.v1, api_key="any", max_retries=0) as client:
            client.chat.completions.create(**ask())
            with pytest.raises(openai.RateLimitError) as refused:
                client.chat.completions.create(**ask())
        assert refused.value.code == "rate_limit_exceeded"

    def test_a_stranger_uses_up_nobodys(self, serve: Callable[..., ApiServer], http: Any) -> None:
        api = serve(caller_requests_per_minute=2, api_key="good")
        assert [search(http, api, "wrong").status_code for _ in range(5)] == [401] * 5
        assert [search(http, api, "good").status_code for _ in range(3)] == [200, 200, 429]


class TestTokens:
    def test_an_answer_is_charged_and_the_next_waits(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        model.usage = (50, 60)
        api = serve(caller_tokens_per_minute=100)
        for stream in (False, True):
            sent = http.post(f"{api.v1}/chat/completions", json=ask(stream=stream))
            if not stream:
                assert sent.status_code == 200
                assert sent.headers["x-ratelimit-limit-tokens"] == "100"
            else:
                assert_limited(sent, "tokens", api)
        assert search(http, api).status_code == 200  # costs no tokens
        assert len(model.chats) == 1

    def test_a_stream_is_charged_too(self, serve: Callable[..., ApiServer], model: FakeModel, http: Any) -> None:
        model.usage = (50, 60)
        api = serve(caller_tokens_per_minute=100)
        assert http.post(f"{api.v1}/chat/completions", json=ask(stream=True)).status_code == 200
        assert_limited(http.post(f"{api.v1}/chat/completions", json=ask()), "tokens", api)

    def test_what_an_interface_asks_for_itself_is_charged_too(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        model.usage = (50, 60)
        api = serve(caller_tokens_per_minute=100)
        errand = ask("### Task:\nGenerate a concise title.\n<chat_history>\nUSER: hello\n</chat_history>")
        assert http.post(f"{api.v1}/chat/completions", json=errand).status_code == 200
        assert_limited(http.post(f"{api.v1}/chat/completions", json=ask()), "tokens", api)

    def test_leaving_early_is_not_free(self, serve: Callable[..., ApiServer], model: FakeModel, http: Any) -> None:
        api = serve(caller_tokens_per_minute=10)  # the prompt alone has more
        model.pieces, model.delay = ("word ",) * 1000, 0.05
        connection = begin_stream(api)
        assert wait_until(lambda: model.sent >= 3)
        connection.close()
        assert_at_rest(api, model)
        assert_limited(http.post(f"{api.v1}/chat/completions", json=ask()), "tokens", api)

    def test_the_answer_tool_is_charged_and_refused_too(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        model.usage = (50, 60)
        api = serve(caller_tokens_per_minute=100)
        called = [_tool(http, api, "answer", question="What runs containers?") for _ in range(2)]
        assert [each["isError"] for each in called] == [False, True]
        assert "100 tokens a minute" in str(called[1]["content"])
        assert not _tool(http, api, "search", query="pods")["isError"]


class TestPlaces:
    def test_a_stream_holds_its_place_and_gives_it_back(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        api = serve(caller_concurrent_requests=1)
        model.pieces, model.hangs_after = ("word ",) * 3, 1
        with begin_stream(api):
            assert wait_until(lambda: model.sent >= 1)
            assert_limited(search(http, api), "concurrent", api)
        assert_at_rest(api, model)
        assert search(http, api).status_code == 200

    @pytest.mark.parametrize("stream", [True, False])
    def test_clients_that_vanish_keep_none(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any, stream: bool
    ) -> None:
        api = serve(caller_concurrent_requests=2)
        model.pieces, model.delay = ("word ",) * 1000, 0.05
        body = json.dumps(ask(stream=stream)).encode()
        for _ in range(5):
            with connected(api.port) as one, connected(api.port) as two:
                for each in (one, two):
                    each.sendall(PREAMBLE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                assert wait_until(lambda: model.streaming == 2)
            assert_at_rest(api, model)
        assert search(http, api).status_code == 200
        [account] = api.app.state.allowances._accounts.values()
        assert wait_until(lambda: account.inside == 0)

    @pytest.mark.parametrize("failure", [500, "drop", "garbage"])
    def test_answers_that_fail_keep_none(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any, failure: Any
    ) -> None:
        api = serve(caller_concurrent_requests=1, llm_retries=0, llm_breaker_failures=100)
        model.fail = {"chat": failure}
        for stream in (False, True, False):
            sent = http.post(f"{api.v1}/chat/completions", json=ask(stream=stream))
            assert "model_unavailable" in sent.text
        model.fail, model.dies_after = {}, 1
        assert http.post(f"{api.v1}/chat/completions", json=ask(stream=True)).status_code == 200
        for path, wrong in (("search", {}), ("chat/completions", ask(model="gpt-4o"))):
            assert http.post(f"{api.v1}/{path}", json=wrong).status_code in {400, 404}
        assert search(http, api).status_code == 200
        assert_at_rest(api, model)

    def test_one_caller_does_not_take_anothers(
        self, serve: Callable[..., ApiServer], model: FakeModel, keyed: Feeding, http: Any
    ) -> None:
        create = keyed.server.app.state.keys.store.create
        (_, few), (_, free) = (
            create("few", Scope(), limits=CallerLimits(requests_per_minute=2)),
            create("free", Scope(), limits=CallerLimits(requests_per_minute=0)),
        )
        _, plain = create("plain", Scope())
        statuses = {
            name: [search(http, keyed.server, token).status_code for _ in range(5)]
            for name, token in (("few", few), ("plain", plain), ("free", free))
        }
        assert statuses == {"few": [200] * 2 + [429] * 3, "plain": [200] * 3 + [429] * 2, "free": [200] * 5}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    """A service that makes keys; its settings allow three requests a minute."""
    with feeding(tmp_path_factory.mktemp("keyed"), known_callers_only=True, caller_requests_per_minute=3) as running:
        stand_still(running.server)
        admin = running.server.app.state.keys.store.create(
            "admin", Scope(), ["admin"], limits=CallerLimits(requests_per_minute=0)
        )
        running.http.headers["Authorization"] = f"Bearer {admin[1]}"
        running.done(running.send_text({"id": "a", "text": "The pods of the runbook."}))
        yield running


def test_a_keys_limits_are_set_with_it_and_shown(keyed: Feeding) -> None:
    made = keyed.http.post("/v1/keys", json={"name": "x", "limits": {"tokens_per_minute": 7}}).json()
    limits = {"requests_per_minute": None, "tokens_per_minute": 7, "concurrent_requests": None}
    assert made["limits"] == limits
    assert limits in [each["limits"] for each in keyed.http.get("/v1/keys").json()["data"]]
    refused = keyed.http.post("/v1/keys", json={"name": "x", "limits": {"tokens_per_minute": -1}})
    assert refused.status_code == 400


def _tool(http: Any, api: ApiServer, name: str, **arguments: Any) -> dict[str, Any]:
    """What a tool of POST /mcp answers."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    response = http.post(f"{api.url}/mcp", json=body, headers=headers)
    found: dict[str, Any] = response.json()["result"]
    return found
