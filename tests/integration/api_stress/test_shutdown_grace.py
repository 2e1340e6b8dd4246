"""SIGTERM: what is at work may finish within the grace; what does not is told so, and the process ends all the same."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask, connected, read_all
from tests.integration.api_stress.pressure import PREAMBLE, accepts, begin_stream, events
from tests.integration.api_stress.serve_process import prepare_index, start_serve
from tests.integration.serving import free_port

GRACE = 0.3
SHORT, LONG = ("word ",) * 5, ("word ",) * 50
HANGS_AFTER = 7  # pieces: a short answer is whole before it, a long one is not


@pytest.fixture
def api(serve: Callable[..., ApiServer], model: FakeModel) -> ApiServer:
    model.pieces, model.hangs_after = LONG, HANGS_AFTER
    return serve(shutdown_grace=GRACE)


def is_told(error: dict[str, Any]) -> bool:
    return (error["type"], error["code"]) == ("server_error", "shutting_down") and "GRACE" in error["message"]


class TestAtTheEndOfTheGrace:
    def test_a_stream_ends_with_an_error_event(self, api: ApiServer, model: FakeModel, http: httpx2.Client) -> None:
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)) as response:
            assert wait_until(lambda: model.sent == HANGS_AFTER)
            api.terminate()
            *words, error, done = events(response)  # a connection that broke off would raise here
        assert sum(json.dumps(each).count("word") for each in words) == HANGS_AFTER
        assert is_told(error["error"])
        assert error["error"]["request_id"] == response.headers["x-request-id"]
        assert done == "[DONE]"
        assert wait_until(lambda: not api.is_running())
        assert wait_until(lambda: model.abandoned == 1), "the model goes on writing for nobody"

    def test_a_request_that_was_not_answered_yet_is_503(
        self, api: ApiServer, model: FakeModel, http: httpx2.Client
    ) -> None:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(http.post, f"{api.v1}/chat/completions", json=ask())
            assert wait_until(lambda: model.sent == HANGS_AFTER)
            api.terminate()
            answer = asked.result(20)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert is_told(answer.json()["error"])
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
        assert wait_until(lambda: not api.is_running())

    def test_a_body_that_never_ends_holds_nothing_up(self, api: ApiServer) -> None:
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b'Content-Length: 5000\r\n\r\n{"messages": [')
            assert wait_until(lambda: api.connections() == 1)
            api.terminate()
            assert read_all(connection).startswith(b"HTTP/1.1 503")
        assert wait_until(lambda: not api.is_running())

    def test_a_reader_that_does_not_read_holds_nothing_up(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.hangs_after = ("x" * 50_000 + " ",) * 500, None
        connection = begin_stream(api)
        assert wait_until(lambda: model.sent > 0)
        api.terminate()
        assert wait_until(lambda: not api.is_running())
        connection.close()


class TestWithinTheGrace:
    def test_a_stream_finishes_whole_and_the_process_does_not_wait_for_the_rest_of_it(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: httpx2.Client
    ) -> None:
        model.pieces, model.delay = SHORT, 0.1
        api = serve(shutdown_grace=3600)
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)) as response:
            assert wait_until(lambda: model.sent >= 1)
            api.terminate()
            *_, last, done = events(response)
        assert last["choices"][0]["finish_reason"] == "stop"
        assert done == "[DONE]"
        assert wait_until(lambda: not api.is_running())

    def test_who_comes_meanwhile_is_answered_though_it_is_not_ready(
        self, serve: Callable[..., ApiServer], model: FakeModel, http: httpx2.Client
    ) -> None:
        model.hangs_after = 1
        api = serve(shutdown_grace=3600)
        with http.stream("POST", f"{api.v1}/chat/completions", json=ask(stream=True)):
            assert wait_until(lambda: model.sent == 1)
            api.terminate()
            assert httpx2.get(f"{api.url}/readyz", trust_env=False).status_code == 503
            assert httpx2.post(f"{api.v1}/search", json={"query": "x"}, trust_env=False).status_code == 200
            assert api.is_running()
        assert wait_until(lambda: not api.is_running())  # nobody is left to wait for


def test_sigterm_ends_librarian_serve_with_one_answer_whole_and_one_cut_off(model: FakeModel, tmp_path: Path) -> None:
    model.fail = {"tokenize": 404}
    prepare_index(tmp_path)
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    with (
        start_serve(tmp_path, port, model.url, "shutdown_grace=4") as process,
        httpx2.Client(trust_env=False, timeout=60) as http,
    ):
        try:
            assert wait_until(lambda: accepts(port), seconds=60), "`librarian serve` did not listen"
            model.pieces, model.hangs_after = LONG, HANGS_AFTER
            with http.stream("POST", url, json=ask(stream=True)) as endless:
                assert wait_until(lambda: model.sent == HANGS_AFTER)
                model.pieces, model.delay = SHORT, 0.05
                with http.stream("POST", url, json=ask(stream=True)) as short:
                    assert wait_until(lambda: model.sent > HANGS_AFTER)
                    process.send_signal(signal.SIGTERM)
                    ready = f"http://127.0.0.1:{port}/readyz"
                    assert wait_until(lambda: httpx2.get(ready, trust_env=False).status_code == 503)
                    *_, last, done = events(short)
                assert (last["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")
                *_, error, done = events(endless)
            assert is_told(error["error"])
            assert done == "[DONE]"
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
