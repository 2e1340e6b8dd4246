"""Limits, raw requests and what to look at when an API is under pressure."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, ask

LIMIT = 3
MAX_BODY = 20_000
PREAMBLE = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


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
