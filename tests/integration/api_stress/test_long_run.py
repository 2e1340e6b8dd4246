"""The API after many requests, and at its end."""

from __future__ import annotations

from typing import Any

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask, read_all
from tests.integration.api_stress.pressure import accepts, assert_at_rest, begin_stream, open_files


class TestTheLongRun:
    def test_no_small_write_waits_for_an_acknowledgement(self, api: ApiServer, http: Any) -> None:
        assert http.get(f"{api.url}/healthz").status_code == 200
        assert api.sends_at_once()  # else every answer on a kept connection takes 40 ms more

    def test_two_hundred_requests_leave_nothing_behind(self, api: ApiServer, model: FakeModel, http: Any) -> None:
        model.fail = {"tokenize": 404}  # tokens are counted here: fewer calls to the stand-in, a quicker test
        http.post(f"{api.v1}/chat/completions", json=ask())
        tasks, files = api.tasks(), open_files()
        for number in range(200):
            answer = http.post(f"{api.v1}/chat/completions", json=ask(stream=number % 2 == 0))
            assert answer.status_code == 200
        assert api.connections() == 1
        assert wait_until(lambda: api.tasks() <= tasks), f"{api.tasks()} tasks, {tasks} before"
        assert open_files() <= files + 2
        assert_at_rest(api, model)
        assert api.metric("librarian_http_requests_total", route="/v1/chat/completions", status="200") == 201


class TestStopping:
    def test_a_running_stream_may_finish_and_nobody_new_comes_in(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = ("word ",) * 10, 0.15
        connection = begin_stream(api)
        assert wait_until(lambda: model.sent >= 1)
        api.begin_stop()
        assert wait_until(lambda: not accepts(api.port))
        received = read_all(connection)
        connection.close()
        assert received.rstrip().endswith(b"0")  # the last chunk of the body: it ended, it did not break off
        assert received.count(b"word ") == 10
        assert b"data: [DONE]\n\n" in received
        assert wait_until(lambda: not api.is_running())
