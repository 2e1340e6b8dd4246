"""Requests that are too large, broken or no requests at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fake_model import wait_until
from tests.integration.api_server import ApiServer, ask, connected, read_all
from tests.integration.api_stress.pressure import MAX_BODY, PREAMBLE, send_on_and_on


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

    @pytest.mark.parametrize("path", ["v1/chat/completions", "mcp"])
    def test_a_chunked_body_just_beyond_the_limit_gets_its_413(self, api: ApiServer, http: Any, path: str) -> None:
        answer = http.post(
            f"{api.url}/{path}",
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
