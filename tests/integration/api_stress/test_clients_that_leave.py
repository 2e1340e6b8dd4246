"""Clients that leave before their answer is written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import openai

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask, connected
from tests.integration.api_stress.pressure import PREAMBLE, assert_at_rest, begin_stream, stands_still


class TestClientsThatLeave:
    def test_the_model_stops_and_the_place_is_free_soon(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = ("word ",) * 1000, 0.05
        connection = begin_stream(api)
        assert wait_until(lambda: model.sent >= 3)
        assert api.active() == 1
        connection.close()
        assert wait_until(lambda: model.abandoned == 1), "the model goes on writing for nobody"
        assert model.sent < 200
        assert_at_rest(api, model)

    def test_the_same_where_the_model_is_silent_just_then(self, api: ApiServer, model: FakeModel) -> None:
        model.hangs_after = 1
        connection = begin_stream(api)
        assert wait_until(lambda: model.sent >= 1)
        connection.close()
        assert wait_until(lambda: model.abandoned == 1)
        assert_at_rest(api, model)

    def test_the_same_where_the_client_had_stopped_reading(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces = ("x" * 50_000 + " ",) * 500  # more than every buffer on the way holds
        connection = begin_stream(api)
        assert wait_until(lambda: stands_still(lambda: model.sent), seconds=10)
        assert model.streaming == 1
        connection.close()
        assert wait_until(lambda: model.abandoned == 1)
        assert_at_rest(api, model)

    def test_openais_client_leaves_its_loop_early(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = ("word ",) * 1000, 0.05
        with openai.OpenAI(base_url=api.v1, api_key="any", max_retries=0) as client:
            with client.chat.completions.create(**ask(stream=True)) as stream:
                for chunk in stream:
                    if chunk.choices[0].delta.content:
                        break
            assert wait_until(lambda: model.abandoned == 1)
        assert_at_rest(api, model)

    def test_a_client_that_leaves_before_the_answer_keeps_no_place_for_ever(
        self, api: ApiServer, model: FakeModel
    ) -> None:
        model.pieces, model.delay = ("word ",) * 10, 0.05
        body = json.dumps(ask()).encode()
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert wait_until(lambda: model.streaming == 1)
        assert_at_rest(api, model)

    def test_without_a_stream_the_model_stops_too(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = ("word ",) * 1000, 0.05
        body = json.dumps(ask()).encode()
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert wait_until(lambda: model.sent >= 1)
        assert wait_until(lambda: model.abandoned == 1), "the model goes on writing for nobody"
        assert model.sent < 200
        assert_at_rest(api, model)

    def test_a_client_that_leaves_in_the_middle_of_its_body_takes_no_place(
        self, api: ApiServer, model: FakeModel
    ) -> None:
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b'Content-Length: 5000\r\n\r\n{"messages": [')
            time.sleep(0.1)
            assert api.active() == 0
        assert_at_rest(api, model)
        assert wait_until(lambda: api.connections() == 0)

    def test_thirty_who_leave_at_once_leave_nothing_behind(
        self, serve: Callable[..., ApiServer], model: FakeModel
    ) -> None:
        api = serve(max_concurrent_requests=64)
        model.pieces, model.delay = ("word ",) * 1000, 0.2
        before = api.tasks()
        connections = [begin_stream(api) for _ in range(30)]
        assert wait_until(lambda: model.streaming == 30, seconds=20)
        assert api.active() == 30
        for connection in connections:
            connection.close()
        assert wait_until(lambda: model.streaming == 0, seconds=10)
        assert_at_rest(api, model)
        assert wait_until(lambda: api.tasks() <= before)
