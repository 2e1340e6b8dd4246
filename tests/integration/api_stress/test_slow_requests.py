"""Clients that open a connection and then take their time: none holds it for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serve.idle import Idle
from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, connected, read_all
from tests.integration.api_stress.pressure import PREAMBLE, assert_at_rest, begin_stream

HALF_A_BODY = PREAMBLE + b'Content-Length: 5000\r\n\r\n{"messages": ['


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/search", b"/v1/context", b"/mcp"])
def test_a_body_that_does_not_come_in_time_is_408(
    serve: Callable[..., ApiServer], model: FakeModel, path: bytes
) -> None:
    api = serve(request_timeout=0.3)
    with connected(api.port) as connection:
        connection.sendall(HALF_A_BODY.replace(b"/v1/chat/completions", path))
        assert api.active() == 0
        received = read_all(connection)  # the connection is closed too
    assert received.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in received
    assert b"LIBRARIAN_REQUEST_TIMEOUT" in received
    assert_at_rest(api, model)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal",
    ],
)
def test_a_request_that_does_not_come_is_not_waited_for(api: ApiServer, begun: bytes) -> None:
    wait_for_no_request(api)
    with connected(api.port) as connection:
        connection.sendall(begun)
        read_all(connection)  # it is closed, or this raises


def test_who_waits_for_an_answer_is_not_idle(api: ApiServer, model: FakeModel) -> None:
    model.hangs_after = 1
    stream = begin_stream(api)
    assert wait_until(lambda: model.sent == 1)
    wait_for_no_request(api)
    with connected(api.port) as idle:
        read_all(idle)  # others have been closed since
    assert model.streaming == 1
    stream.close()
    assert wait_until(lambda: model.abandoned == 1)


def wait_for_no_request(api: ApiServer) -> None:
    """From now on a connection without a request is closed at the second look, a second later."""
    assert api.server is not None
    api.server.idle = Idle(0)
