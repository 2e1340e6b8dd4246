"""How the server drivers speak of a Qdrant server that fails, is absent or is something else.

`FakeServer` stands for whatever answers at LIBRARIAN_QDRANT_URL: it is a plain HTTP server that gives one scripted
answer to every request and keeps what it was asked. It knows nothing of Qdrant beyond the bodies written here, which
are those that Qdrant's HTTP API documents.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from rag.errors import BadInput, CollectionExists, CollectionNotFound, IndexUnavailable, SettingsError
from rag.index import CollectionSpec, DenseLeg, Record, open_async_index, open_index, translate
from rag.index.async_server import AsyncServerIndex
from rag.index.server import ServerIndex
from rag.index.spread import Spread
from rag.schema import Scope, SparseVector
from rag.settings import Settings

Answer = Callable[[str], tuple[int, bytes]]
SCOPE = Scope("acme")


def qdrant_error(status: int, words: str) -> Answer:
    """Qdrant's error body."""
    return lambda path: (status, json.dumps({"time": 0.0, "status": {"error": words}, "result": None}).encode())


class FakeServer:
    """Answers every request with `answer(path)`, after `delay` seconds; over TLS where it is given a context."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = lambda path: (200, b"{}")
        self.delay = 0.0
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.requests.append((self.command, self.path, dict(self.headers), body))
                time.sleep(fake.delay)
                status, content = fake.answer(self.path)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except BrokenPipeError:
                    self.close_connection = True  # the client gave up waiting, as the test wants

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()


def calls(settings: Settings) -> Iterator[Callable[[], Any]]:
    """One call through each driver that needs an answer."""
    yield lambda: open_index(settings).count("docs", SCOPE)

    async def count() -> int:
        index = open_async_index(settings)
        try:
            return await index.count("docs", SCOPE)
        finally:
            await index.close()

    yield lambda: asyncio.run(count())


def refused(settings: Settings, error: type[Exception], *facts: str) -> None:
    """Each driver raises this error in one line that holds the facts."""
    for call in calls(settings):
        with pytest.raises(error) as raised:
            call()
        assert type(raised.value) is error
        assert "\n" not in str(raised.value)
        for fact in facts:
            assert fact in str(raised.value), raised.value


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_listening_names_the_url_and_what_to_check() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    refused(Settings(qdrant_url=url), IndexUnavailable, url, "cannot be reached", "LIBRARIAN_QDRANT_URL")


def test_nobody_listening_over_grpc_names_the_port_setting() -> None:
    port = closed_port()
    settings = Settings(qdrant_url="http://127.0.0.1:1", qdrant_grpc=True, qdrant_grpc_port=port, qdrant_timeout=2)
    refused(settings, IndexUnavailable, "gRPC", "LIBRARIAN_QDRANT_GRPC_PORT")


def test_a_host_that_has_no_address_is_unreachable() -> None:
    refused(Settings(qdrant_url="http://nowhere.invalid:6333"), IndexUnavailable, "http://nowhere.invalid:6333")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_setting(fake: FakeServer, status: int) -> None:
    fake.answer = lambda path: (status, b"Must provide an API key or an Authorization bearer token")
    refused(Settings(qdrant_url=fake.url), IndexUnavailable, fake.url, str(status), "LIBRARIAN_QDRANT_API_KEY")


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (qdrant_error(500, "Service internal error: disk is full"), "disk is full"),
        (lambda path: (502, b"<html>Bad gateway</html>"), "HTTP 502"),
        (lambda path: (503, b""), "HTTP 503"),
        (qdrant_error(429, "Rate limiting exceeded"), "429"),
    ],
)
def test_a_failing_server_is_unavailable(fake: FakeServer, answer: Answer, fact: str) -> None:
    fake.answer = answer
    refused(Settings(qdrant_url=fake.url), IndexUnavailable, fake.url, fact)


@pytest.mark.parametrize(
    "answer",
    [
        lambda path: (200, b"<html>Welcome to nginx</html>"),
        lambda path: (200, b'{"hello": "world"}'),
        lambda path: (200, b""),
        lambda path: (200, b'{"result": {"count": "many"}}'),
        lambda path: (404, b"<html>Not found</html>"),
        lambda path: (404, b'{"detail": "Not Found"}'),
        lambda path: (301, b""),
    ],
)
def test_something_that_is_not_qdrant_is_called_so(fake: FakeServer, answer: Answer) -> None:
    fake.answer = answer
    refused(Settings(qdrant_url=fake.url), IndexUnavailable, fake.url)


def test_a_server_that_hangs_is_given_up_after_the_timeout(fake: FakeServer) -> None:
    fake.delay = 4
    started = time.monotonic()
    settings = Settings(qdrant_url=fake.url, qdrant_timeout=1)
    refused(settings, IndexUnavailable, fake.url, "in time", "LIBRARIAN_QDRANT_TIMEOUT")
    assert time.monotonic() - started < 4


def test_a_missing_collection_is_named_with_those_that_exist(fake: FakeServer) -> None:
    listed = {"collections": [{"name": f"c{number:02}"} for number in range(10)]}

    def answer(path: str) -> tuple[int, bytes]:
        if path == "/collections":
            return 200, json.dumps({"result": listed, "status": "ok", "time": 0.0}).encode()
        return qdrant_error(404, "Not found: Collection `docs` doesn't exist!")(path)

    fake.answer = answer
    refused(Settings(qdrant_url=fake.url), CollectionNotFound, "'docs'", fake.url, "c00, c01", "and 2 more")


def test_a_missing_collection_is_named_even_where_others_may_not_be_listed(fake: FakeServer) -> None:
    fake.answer = qdrant_error(404, "Not found: Collection `docs` doesn't exist!")
    refused(Settings(qdrant_url=fake.url), CollectionNotFound, "'docs'")


def test_a_refused_request_is_bad_input(fake: FakeServer) -> None:
    fake.answer = qdrant_error(400, "Wrong input: Vector dimension error: expected dim: 384, got 3")
    refused(Settings(qdrant_url=fake.url), BadInput, "expected dim: 384, got 3")


@pytest.mark.parametrize("status", [400, 409])
def test_a_name_that_another_client_took_meanwhile_is_taken(fake: FakeServer, status: int) -> None:
    def answer(path: str) -> tuple[int, bytes]:
        if path in ("/aliases", "/collections"):
            return 200, json.dumps({"result": {"aliases": [], "collections": []}, "status": "ok", "time": 0}).encode()
        return qdrant_error(status, "Wrong input: Collection `docs` already exists!")(path)

    fake.answer = answer
    with pytest.raises(CollectionExists, match="'docs'"):
        open_index(Settings(qdrant_url=fake.url)).create("docs", CollectionSpec(3))


def test_connecting_sends_nothing_warns_of_nothing_and_shows_no_credentials(fake: FakeServer) -> None:
    with_secrets = fake.url.replace("http://", "http://user:secret@") + "/?token=secret"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index = ServerIndex.connect(Settings(qdrant_url=with_secrets))
    time.sleep(0.1)
    assert fake.requests == []
    assert index.location == fake.url
    assert "secret" not in index.location
    index.close()
    with pytest.raises(IndexUnavailable, match="closed"):
        index.count("docs", SCOPE)


def test_the_key_goes_along_and_into_no_message(fake: FakeServer) -> None:
    fake.answer = lambda path: (403, b"forbidden")
    with pytest.warns(UserWarning, match="insecure"):
        index = ServerIndex.connect(Settings(qdrant_url=fake.url, qdrant_api_key="s3cr3t"))
    with pytest.raises(IndexUnavailable) as raised:
        index.count("docs", SCOPE)
    assert "s3cr3t" not in str(raised.value)
    assert fake.requests[0][2]["api-key"] == "s3cr3t"


def test_a_query_of_several_legs_is_one_request_without_payloads(fake: FakeServer) -> None:
    empty = {"result": [{"points": []}, {"points": []}], "status": "ok", "time": 0.0}
    fake.answer = lambda path: (200, json.dumps(empty).encode())
    found = open_index(Settings(qdrant_url=fake.url)).query("docs", [DenseLeg((1.0,), 3), DenseLeg((2.0,), 4)], SCOPE)
    assert found == [[], []]
    ((_, path, _, body),) = fake.requests
    assert path.startswith("/collections/docs/points/query/batch")
    for asked in json.loads(body)["searches"]:
        assert asked["with_payload"] is False
        assert {"key": "tenant", "match": {"value": "acme"}} in asked["filter"]["must"]


def test_writes_wait_until_they_are_durable_and_stay_within_their_size(fake: FakeServer) -> None:
    done = {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.0}
    fake.answer = lambda path: (200, json.dumps(done).encode())
    big = [
        Record(f"00000000-0000-0000-0000-{n:012}", (1.0,), SparseVector((), ()), {"text": "x" * 3_000_000})
        for n in range(5)
    ]
    open_index(Settings(qdrant_url=fake.url)).upsert("docs", big, SCOPE)
    assert [len(json.loads(body)["points"]) for *_, body in fake.requests] == [2, 2, 1]
    assert all("wait=true" in path for _, path, _, _ in fake.requests)


def test_a_ca_file_that_cannot_be_read_is_a_setting_error(tmp_path: Path) -> None:
    settings = Settings(qdrant_url="https://127.0.0.1", qdrant_ca_file=tmp_path / "missing.pem")
    for connect in (ServerIndex.connect, AsyncServerIndex.connect):
        with pytest.raises(SettingsError, match=r"missing\.pem"):
            connect(settings)


def test_a_collection_whose_maker_was_killed_before_its_indexes_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The in-memory mode has no payload indexes: what is asked of it is what is looked at."""
    client = QdrantClient(":memory:")
    index = ServerIndex(client, "http://memory:6333")
    spec = CollectionSpec(3, {"format": 2})
    client.create_collection("docs", **translate.collection_options(spec, Spread()))
    asked: list[str] = []
    monkeypatch.setattr(client, "create_payload_index", lambda name, field, schema, wait: asked.append(field))
    with pytest.raises(CollectionExists):
        index.create("docs", CollectionSpec(3, {"format": 1}))
    assert asked == []
    with pytest.raises(CollectionExists):
        index.create("docs", spec)
    assert asked == ["tenant", "groups", "doc", "part"]
