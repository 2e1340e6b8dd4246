"""A chat model that is dead, dies, hangs or is slow, and other parts that fail or are slow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask
from tests.integration.api_stress.pressure import assert_at_rest, begin_stream, events, stopped


class TestTheModelFails:
    @pytest.mark.parametrize("streaming", [False, True])
    def test_dead_before_the_first_token_is_503_with_retry_after(
        self, api: ApiServer, model: FakeModel, http: Any, streaming: bool
    ) -> None:
        with stopped(model):
            answer = http.post(f"{api.v1}/chat/completions", json=ask(stream=streaming))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("server_error", "model_unavailable")
        assert error["request_id"] == answer.headers["x-request-id"]

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_model_that_died_after_good_answers_is_503_too(
        self, api: ApiServer, model: FakeModel, http: Any, streaming: bool
    ) -> None:
        assert http.post(f"{api.v1}/chat/completions", json=ask()).status_code == 200
        with stopped(model):
            answer = http.post(f"{api.v1}/chat/completions", json=ask(stream=streaming))
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "model_unavailable"

    def test_a_model_that_comes_back_is_used_again(self, api: ApiServer, model: FakeModel, http: Any) -> None:
        with stopped(model):
            assert http.post(f"{api.v1}/chat/completions", json=ask()).status_code == 503
        assert http.post(f"{api.v1}/chat/completions", json=ask()).status_code == 200

    @pytest.mark.parametrize("failure", [500, 503, 429, "drop", "garbage"])
    def test_whatever_it_answers_instead_is_503(
        self, api: ApiServer, model: FakeModel, http: Any, failure: Any
    ) -> None:
        model.fail = {"chat": failure}
        answer = http.post(f"{api.v1}/chat/completions", json=ask())
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "model_unavailable"
        assert_at_rest(api, model)

    @pytest.mark.parametrize(
        "how", [{"dies_after": 1}, {"garbage_after": 1}, {"finish_reason": None}, {"fail": {"chat": 500}}]
    )
    def test_dying_in_the_middle_is_an_event_and_an_end(
        self, api: ApiServer, model: FakeModel, http: Any, how: dict[str, Any]
    ) -> None:
        for name, value in how.items():
            setattr(model, name, value)
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)) as response:
            *_, error, done = events(response)  # a connection that broke off would raise here
            request_id = response.headers["x-request-id"]
        assert error["error"]["code"] == "model_unavailable"
        assert error["error"]["type"] == "server_error"
        assert error["error"]["request_id"] == request_id
        assert done == "[DONE]"
        model.dies_after = model.garbage_after = None
        model.finish_reason, model.fail = "stop", {}
        assert http.post(f"{api.v1}/chat/completions", json=ask()).status_code == 200
        assert_at_rest(api, model)

    def test_a_mistake_of_the_service_in_the_middle_is_an_event_and_an_end(
        self, api: ApiServer, http: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("a secret of the service")

        monkeypatch.setattr("rag.answering.CitationFilter.feed", broken)
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)) as response:
            *_, error, done = events(response)
        assert error["error"]["code"] == "internal_error"
        assert "secret" not in json.dumps(error)
        assert done == "[DONE]"
        assert [each["request_id"] for each in api.logs if "exc_info" in each] == [error["error"]["request_id"]]

    @pytest.mark.parametrize("where", ["models", "tokenize", "chat"])
    def test_a_model_that_hangs_is_504_in_time(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any, where: str
    ) -> None:
        api = serve(request_timeout=1)
        model.fail = {where: "hang"}
        began = time.monotonic()
        answer = http.post(f"{api.v1}/chat/completions", json=ask())
        assert time.monotonic() - began < 8  # a second, and what a busy machine needs
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "timeout"
        assert_at_rest(api, model)

    def test_a_model_that_hangs_in_the_middle_ends_the_stream_in_time(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        api = serve(request_timeout=1)
        model.hangs_after = 1
        began = time.monotonic()
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)) as response:
            *_, error, done = events(response)
        assert time.monotonic() - began < 8
        assert error["error"]["code"] == "timeout"
        assert done == "[DONE]"
        assert_at_rest(api, model)

    def test_a_model_slower_than_llm_timeout_is_503(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        api = serve(llm_timeout=0.5)
        model.fail = {"chat": "hang"}
        answer = http.post(f"{api.v1}/chat/completions", json=ask())
        assert answer.status_code == 503
        assert "LIBRARIAN_LLM_TIMEOUT" in answer.json()["error"]["message"]

    def test_a_reader_slower_than_request_timeout_loses_its_place(
        self, serve: Callable[..., ApiServer], model: FakeModel
    ) -> None:
        api = serve(request_timeout=1)
        model.pieces = ("x" * 50_000 + " ",) * 500
        connection = begin_stream(api)
        assert wait_until(lambda: api.active() == 1)
        assert wait_until(lambda: model.abandoned == 1, seconds=8)
        assert_at_rest(api, model)
        connection.close()

    def test_a_slow_index_is_504(self, serve: Callable[..., ApiServer], http: Any) -> None:
        api = serve(request_timeout=0.3)
        api.retriever.slow = 30
        tried = {"search": {"query": "x"}, "context": {"query": "x"}, "chat/completions": ask(stream=True)}
        for path, body in tried.items():
            answer = http.post(f"{api.v1}/{path}", json=body)
            assert answer.status_code == 504
            assert answer.json()["error"]["code"] == "timeout"
