"""A request that would rather have the sources alone than an error, and what an error says of when to come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rag.prompt import MODEL_AWAY
from tests.fake_model import FakeModel
from tests.integration.api_server import ApiServer, ask
from tests.integration.api_stress.pressure import assert_at_rest, events, stopped

HOW = {"on_model_failure": "sources"}


def plain(http: Any, api: ApiServer) -> dict[str, Any]:
    answer = http.post(f"{api.v1}/chat/completions", json=ask(**HOW))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestSourcesWithoutModel:
    def test_a_dead_model_leaves_the_sources(self, api: ApiServer, model: FakeModel, http: Any) -> None:
        with stopped(model):
            body = plain(http, api)
        assert body["model_unavailable"] is True
        assert body["abstained"] is False
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["choices"][0]["message"]["content"] == MODEL_AWAY
        assert [each["number"] for each in body["context"]] == [1, 2, 3]
        assert api.metric("librarian_answers_total", outcome="unavailable") == 1

    @pytest.mark.parametrize("how", [{"fail": {"chat": 500}}, {"dies_after": 0}, {"dies_after": 1}])
    def test_so_does_one_that_dies_at_its_work(
        self, api: ApiServer, model: FakeModel, http: Any, how: dict[str, Any]
    ) -> None:
        for name, value in how.items():
            setattr(model, name, value)
        body = plain(http, api)
        assert body["model_unavailable"] is True
        assert body["choices"][0]["message"]["content"] == MODEL_AWAY
        assert_at_rest(api, model)

    @pytest.mark.parametrize("where", ["models", "chat"])
    def test_in_a_stream_the_sources_come_first_and_the_last_chunk_says_so(
        self, api: ApiServer, model: FakeModel, http: Any, where: str
    ) -> None:
        model.fail = {where: 500}
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True, **HOW)) as response:
            first, text, last, done = events(response)
        assert len(first["context"]) == 3
        assert text["choices"][0]["delta"]["content"] == MODEL_AWAY
        assert last["model_unavailable"] is True
        assert last["choices"][0]["finish_reason"] == "stop"
        assert done == "[DONE]"

    def test_a_stream_that_has_begun_to_speak_still_ends_with_an_error(
        self, api: ApiServer, model: FakeModel, http: Any
    ) -> None:
        model.dies_after = 1
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True, **HOW)) as response:
            *_, error, done = events(response)
        assert error["error"]["code"] == "model_unavailable"
        assert done == "[DONE]"

    def test_a_good_answer_is_no_such_answer(self, api: ApiServer, http: Any) -> None:
        assert plain(http, api)["model_unavailable"] is False

    def test_an_open_breaker_says_when_to_come_back(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: Any
    ) -> None:
        api = serve(llm_breaker_failures=1, llm_breaker_seconds=40)
        model.fail = {"chat": 503}
        for _ in range(2):
            answer = http.post(f"{api.v1}/chat/completions", json=ask())
            assert answer.status_code == 503
            assert 30 <= int(answer.headers["retry-after"]) <= 40
        assert len(model.chats) == 1
