"""The API when things go wrong: clients leave, too many come, the model dies or hangs, bodies are hostile.

Every wait is bounded; what must not happen is looked for in the service's own counts (/metrics), in the model's (how
many streams it still writes) and in the event loop's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import PASSAGES, ApiServer, FixedRetriever, ask, connected, read_all

LIMIT = 3
MAX_BODY = 20_000
PREAMBLE = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def started_model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture
def model(started_model: FakeModel) -> FakeModel:
    """The chat model as at its start: well-behaved, nothing counted."""
    assert wait_until(lambda: started_model.streaming == 0)
    fresh = FakeModel()
    for each in dataclasses.fields(fresh):
        setattr(started_model, each.name, getattr(fresh, each.name))
    started_model.requests, started_model.abandoned, started_model.sent = [], 0, 0
    return started_model


@pytest.fixture
def serve(model: FakeModel) -> Iterator[Callable[..., ApiServer]]:
    """A factory of running servers with small limits."""
    running: list[ApiServer] = []

    def start(**values: Any) -> ApiServer:
        settings = {"llm_url": model.url, "max_concurrent_requests": LIMIT, "max_request_bytes": MAX_BODY, **values}
        server = ApiServer(FixedRetriever(), **settings).__enter__()
        running.append(server)
        return server

    yield start
    for server in reversed(running):
        server.__exit__()


@pytest.fixture
def api(serve: Callable[..., ApiServer]) -> ApiServer:
    return serve()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as client:
        yield client


def begin_stream(api: ApiServer) -> socket.socket:
    """A streamed answer of which the headers have come and nothing more is read."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=10)
    body = json.dumps(ask(stream=True)).encode()
    connection.sendall(PREAMBLE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


def events(response: httpx2.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def assert_at_rest(api: ApiServer, model: FakeModel) -> None:
    """Every place is given back, the model writes for nobody, and the API still answers."""
    assert wait_until(lambda: api.active() == 0), f"{api.active()} places are still taken"
    assert wait_until(lambda: model.streaming == 0), f"the model still writes {model.streaming} streams"
    assert httpx2.get(f"{api.url}/healthz", trust_env=False, timeout=5).status_code == 200


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
        for path, body in (("search", {"query": "x"}), ("chat/completions", ask(stream=True))):
            answer = http.post(f"{api.v1}/{path}", json=body)
            assert answer.status_code == 504
            assert answer.json()["error"]["code"] == "timeout"


class TestHostileRequests:
    def test_a_declared_body_beyond_the_limit_is_refused_unread(self, api: ApiServer) -> None:
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b"Content-Length: 100000000\r\n\r\n")
            received = read_all(connection)  # the server answers and closes without any of the body
        assert received.startswith(b"HTTP/1.1 413")
        assert b'"code": "request_too_large"' in received or b'"code":"request_too_large"' in received

    def test_a_chunked_body_without_end_is_refused_and_cut_off(self, api: ApiServer) -> None:
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE + b"Transfer-Encoding: chunked\r\n\r\n")
            with pytest.raises(ConnectionError):
                send_on_and_on(connection, b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert wait_until(lambda: api.connections() == 0)

    def test_a_chunked_body_just_beyond_the_limit_gets_its_413(self, api: ApiServer, http: Any) -> None:
        answer = http.post(
            f"{api.v1}/chat/completions",
            content=iter([b"x" * (MAX_BODY // 2)] * 2 + [b"x"]),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]

    def test_a_body_of_exactly_the_limit_is_read(self, api: ApiServer, http: Any) -> None:
        body = json.dumps(ask()).encode()
        body += b" " * (MAX_BODY - len(body))
        json_type = {"content-type": "application/json"}
        assert http.post(f"{api.v1}/chat/completions", content=body, headers=json_type).status_code == 200
        assert http.post(f"{api.v1}/chat/completions", content=body + b" ", headers=json_type).status_code == 413

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'"text"',
            b"\xff\xfe\x00",
            b'{"messages": [{"role": "user", "content": "\xff"}]}',
            b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
            b"[" * 10_000,
            b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
            b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": ' + b"9" * 5_000 + b"}",
            b'{"messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
            b'{"messages": [{"role": "user", "content": "a"}], "temperature": Infinity}',
        ],
        ids=lambda body: repr(body[:20]),
    )
    def test_a_body_that_is_no_request_is_400(self, api: ApiServer, http: Any, body: bytes) -> None:
        for path in ("chat/completions", "search"):
            answer = http.post(f"{api.v1}/{path}", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "invalid_request"

    def test_json_under_another_content_type_is_told_which_one_is_wanted(self, api: ApiServer, http: Any) -> None:
        form = {"content-type": "application/x-www-form-urlencoded"}  # what `curl -d` sends
        answer = http.post(f"{api.v1}/chat/completions", content=json.dumps(ask()), headers=form)
        assert answer.status_code == 400
        assert "Content-Type: application/json" in answer.json()["error"]["message"]

    def test_what_is_not_json_is_told_where_it_breaks(self, api: ApiServer, http: Any) -> None:
        answer = http.post(f"{api.v1}/search", content=b'{"query": }', headers={"content-type": "application/json"})
        assert "not JSON" in answer.json()["error"]["message"]
        assert "character 10" in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] is None

    def test_huge_headers_are_refused(self, api: ApiServer, http: Any) -> None:
        with connected(api.port) as connection:
            connection.sendall(PREAMBLE)
            with pytest.raises(ConnectionError):
                send_on_and_on(connection, b"X-Filler: " + b"a" * 10_000 + b"\r\n")
        assert http.get(f"{api.url}/healthz").status_code == 200

    def test_what_is_not_http_is_refused(self, api: ApiServer) -> None:
        with connected(api.port) as connection:
            connection.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 400")


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

    def test_sigterm_lets_a_stream_of_librarian_serve_finish(self, model: FakeModel, tmp_path: Path) -> None:
        model.pieces, model.delay = ("word ",) * 10, 0.2
        prepare_index(tmp_path)
        port = free_port()
        with start_serve(tmp_path, port, model.url) as process:
            try:
                assert wait_until(lambda: accepts(port), seconds=60), "`librarian serve` did not listen"
                url = f"http://127.0.0.1:{port}/v1/chat/completions"
                with httpx2.stream("POST", url, json=ask(stream=True), trust_env=False, timeout=60) as response:
                    lines = response.iter_lines()
                    while "word" not in next(lines):
                        pass
                    process.send_signal(signal.SIGTERM)
                    assert list(lines)[-2:] == ["data: [DONE]", ""]
                assert process.wait(20) == 0
            finally:
                process.kill()
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


@contextmanager
def stopped(model: FakeModel) -> Iterator[None]:
    """Inside, nobody listens at the model's URL."""
    model.stop()
    try:
        yield
    finally:
        model.start()


def stands_still(count: Callable[[], int]) -> bool:
    """Whether a count is above zero and no longer grows."""
    before = count()
    time.sleep(0.3)
    return 0 < before == count()


def send_on_and_on(connection: socket.socket, piece: bytes) -> None:
    """Send up to 40 MB; raises ConnectionError where the other side does not want it."""
    for _ in range(40_000_000 // len(piece)):
        connection.sendall(piece)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare_index(data_dir: Path) -> None:
    """A collection of one chunk as `librarian ingest` makes it, but with a made-up vector: no model is loaded here."""
    from rag.collections import fingerprint, make
    from rag.encoders import dense_encoder, sparse_encoder
    from rag.index import Record, open_index
    from rag.payload import to_payload
    from rag.schema import Chunk, Document, Scope
    from rag.settings import Settings

    settings = Settings(data_dir=data_dir)
    sparse = sparse_encoder(settings)
    text = PASSAGES[0].text
    document = Document("file:///docs/1.md", "docs/1.md", "Document 1", text, "hash")
    payload = to_payload(document, Chunk(0, text, 0, len(text)), 1)
    record = Record(PASSAGES[0].id, [1.0] * 384, sparse.encode_document(text), payload)
    index = open_index(settings)
    try:
        name = make(index, settings.collection, fingerprint(dense_encoder(settings), sparse), 384)
        index.upsert(name, [record], Scope())
    finally:
        index.close()


def start_serve(data_dir: Path, port: int, llm_url: str) -> subprocess.Popen[str]:
    """The real command as a process."""
    flags = ["--port", str(port), "--data-dir", str(data_dir), "--llm-url", llm_url, "--set", "min_relevance=-1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIBRARIAN_")}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve().parents[2] / "librarian.py"), "serve", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data_dir,
        env={**environment, "HF_HUB_OFFLINE": "1"},
    )
