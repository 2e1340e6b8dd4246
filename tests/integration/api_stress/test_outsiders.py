"""What an outsider may try with bare bytes: each gets one answer, no server error, and nothing of the inside in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_server import ask, connected, read_all

JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=b"
SEARCH = '{"query": "probe"}'
MCP = "Accept: application/json, text/event-stream"
DEEP = 3_000
HARMLESS = re.compile(rb"x-request-id: [A-Za-z0-9._-]{1,64}\r\n")
INSIDE = (b"Traceback", b'File "', b"site-packages", str(Path(__file__).parents[3]).encode())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    with feeding(tmp_path_factory.mktemp("data"), min_relevance=0) as running:
        running.done(running.send({"a/b.md": b"# Probes\n\nA readiness probe keeps traffic away."}))
        yield running


def get(path: str, *headers: str, method: str = "GET", host: str = "localhost") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, body: str | bytes, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else body.encode()
    return get(path, *(headers or (JSON,)), f"Content-Length: {len(content)}", method="POST") + content


def chat(**fields: object) -> bytes:
    return post("/v1/chat/completions", json.dumps(ask(**fields)))


def search(**fields: object) -> bytes:
    return post("/v1/search", json.dumps({"query": "probe", **fields}))


def document(**fields: object) -> bytes:
    return post("/v1/documents", json.dumps({"documents": [{"id": "n", "text": "x", **fields}]}))


def form(part: bytes) -> bytes:
    return post("/v1/documents", b"--b\r\n" + part + b"\r\n\r\nx\r\n--b--\r\n", FORM)


def tool(name: str, arguments: str) -> bytes:
    params = f'{{"name": "{name}", "arguments": {arguments}}}'
    return post("/mcp", f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}', JSON, MCP)


REFUSED = {
    "two lengths": post("/v1/search", SEARCH, JSON, "Content-Length: 5"),
    "a length and a coding": get("/v1/search", JSON, "Content-Length: 5", "Transfer-Encoding: chunked", method="POST")
    + b"12\r\n"
    + SEARCH.encode()
    + b"\r\n0\r\n\r\n"
    + get("/metrics"),
    "a length below zero": get("/v1/search", JSON, "Content-Length: -5", method="POST"),
    "a length that is no number": get("/v1/search", JSON, "Content-Length: +18", method="POST"),
    "an unknown coding": get("/v1/search", JSON, "Transfer-Encoding: xchunked", method="POST"),
    "two hosts": get("/healthz", "Host: evil.example"),
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a null byte in the path": get("/v1/models\0"),
    "a path that is no ASCII": get("/v1/mod\xff\xfe"),
    "a line break in a header": get("/healthz", "X-Request-Id: a\rSet-Cookie: b"),
    "an empty body": post("/v1/search", ""),
    "half a surrogate pair": post("/v1/search", '{"query": "\\ud800"}'),
    "a body that is no UTF-8": post("/v1/search", b'{"query": "\xff\xfe"}'),
    "not a number": post("/v1/search", '{"query": "x", "top_k": NaN}'),
    "more than infinite": post("/v1/search", '{"query": "x", "top_k": 1e400}'),
    "a number without end": post("/v1/search", '{"query": "x", "top_k": ' + "9" * 100_000 + "}"),
    "arrays without end": post("/v1/search", "[" * 50_000 + "]" * 50_000),
    "a deep filter": post("/v1/search", '{"query": "x", "filter": ' + '{"not":' * DEEP + "{}" + "}" * DEEP + "}"),
    "twenty thousand fields": post("/v1/search", json.dumps({f"k{each}": 1 for each in range(20_000)})),
    "a prototype": post("/v1/search", '{"query": "x", "__proto__": {"a": 1}}'),
    "only spaces": search(query="   "),
    "a collection that climbs": search(collection="../../etc"),
    "a collection with a line break": search(collection="documents\n"),
    "JSON that is called a form": post("/v1/search", SEARCH, "Content-Type: multipart/form-data"),
    "JSON that is called nothing": post("/v1/search", SEARCH, "X-None: 1"),
    "a role that there is not": post("/v1/chat/completions", '{"messages": [{"role": "tool", "content": "x"}]}'),
    "an address to fetch": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]}]
    ),
    "a document that climbs": document(id="../../etc/x.md"),
    "a document that climbs backwards": document(id="..\\..\\x"),
    "a null byte in a name": document(id="a\0b"),
    "a line break in a name": document(id="a\nb"),
    "a file that climbs": form(b'Content-Disposition: form-data; name="files"; filename="../../x.md"'),
    "a null byte in a file's name": form(b'Content-Disposition: form-data; name="files"; filename="a\0b"'),
    "a thousand part headers": form(b"X-A: b\r\n" * 1_000),
    "a form without a boundary": post("/v1/documents", "x", "Content-Type: multipart/form-data"),
    "a cursor of another's": get("/v1/documents?cursor=%00%00"),
    "a limit that is no number": get("/v1/documents?limit=NaN"),
    "a place beyond every text": get("/v1/documents/text?uri=upload:a/b.md&start=99999999999999999999"),
    "no JSON-RPC": post("/mcp", "{}", JSON, MCP),
    "JSON-RPC without end": tool("search", '{"a":' * DEEP + "1" + "}" * DEEP),
}
MISSING = {
    "a model that climbs": chat(model="librarian/../../x"),
    "a path that climbs": get("/../../etc/passwd"),
    "a path that climbs in code": get("/%2e%2e/%2e%2e/etc/passwd"),
    "a null byte in code": get("/v1/models%00"),
    "a page that climbs": get("/page/..%2f..%2frag%2fsettings.py"),
    "a collection that climbs in the path": get("/v1/collections/..%2f..%2fetc"),
    "a job that climbs": get("/v1/jobs/%2e%2e"),
    "a file of the server": get("/v1/documents/text?uri=file:///etc/passwd"),
    "an upload that climbs": get("/v1/documents/text?uri=upload:..%2f..%2fetc%2fpasswd"),
    "a URI of no characters": get("/v1/documents/text?uri=%ff%fe"),
    "a slash too many": get("/v1//models"),
    "a slash at the end": get("/v1/models/"),
    "a secret of the folder": get("/.env"),
    "seventy thousand letters": get("/" + "a" * 60_000),
    "a tunnel": get("evil.example:443", method="CONNECT"),
}
NOT_ALLOWED = {
    "an echo": get("/healthz", method="TRACE"),
    "a made-up method": get("/healthz", method="BREW"),
    "a web socket": get("/v1/search", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "a put": get("/v1/search", method="PUT"),
    "a preflight of a stranger": get(
        "/v1/search", "Origin: https://evil.example", "Access-Control-Request-Method: POST", method="OPTIONS"
    ),
}
FORBIDDEN = {
    "a strange host": get("/v1/models", host="evil.example"),
    "half an address as host": get("/v1/models", host="[::1"),
    "a page that deletes": get("/v1/documents?uri=upload:a/b.md", "Origin: null", method="DELETE"),
    "a scope of one's own": post("/v1/search", SEARCH, JSON, 'X-Librarian-Scope: {"tenant": "x"}'),
    "a guessed token": get("/v1/keys", "X-Librarian-Holder: guessed"),
}
UNKNOWN = {
    "an odd key": get("/v1/models", "Authorization: Bearer lib_../../x_y"),
    "a long key": get("/v1/models", "Authorization: Bearer lib_" + "a" * 9_000),
}
SERVED = {
    "a byte-order mark": post("/v1/search", b"\xef\xbb\xbf" + SEARCH.encode()),
    "a key twice": post("/v1/search", '{"query": "x", "query": "probe"}'),
    "a null byte in the words": search(query="a\0b"),
    "marks without end": search(query="a\u0301" * 3_000),
    "letters that nobody sees": search(query="\u202e\u200b\ufeff"),
    "an escape sequence": search(query="\x1b[31m"),
    "a wish for a picture": post("/v1/search", SEARCH, JSON, "Accept: image/png"),
    "a code that was not used": post("/v1/search", SEARCH, JSON, "Content-Encoding: gzip"),
    "a request id with tags": get("/healthz", "X-Request-Id: <script>"),
    "a request id with line breaks in code": get("/healthz", "X-Request-Id: a%0d%0aSet-Cookie: b"),
    "a request id of a thousand letters": get("/healthz", "X-Request-Id: " + "x" * 1_000),
    "control tokens": chat(text="<|im_start|>system"),
    "a null byte in a question": chat(text="a\0b"),
    "metadata without end": post(
        "/v1/chat/completions", json.dumps(ask())[:-1] + ', "metadata": ' + '{"a":' * 100 + "1" + "}" * 101
    ),
    "a prefix of no characters": get("/v1/documents?prefix=%ED%A0%80"),
    "a tool that there is not": tool("evil", "{}"),
    "a null byte for a tool": tool("search", '{"query": "\\u0000"}'),
}
ACCEPTED = {
    "a document named like a file of the server": document(id="/etc/passwd"),
    "a name that climbs in code": document(id="%2e%2e/%2e%2e/x"),
    "a null byte in a text": document(text="a\0b"),
    "metadata that names a tenant": document(metadata={"tenant": "rival"}),
}
TRIED = {
    400: REFUSED, 404: MISSING, 405: NOT_ALLOWED, 403: FORBIDDEN, 401: UNKNOWN, 200: SERVED, 202: ACCEPTED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "sent"),
    [pytest.param(status, sent, id=name) for status, each in TRIED.items() for name, sent in each.items()],
)
def test_it_is_answered_once_and_tells_nothing(api: Feeding, status: int, sent: bytes) -> None:
    with connected(api.server.port) as connection:
        connection.sendall(sent)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 %d " % status), received[:500]
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"set-cookie" not in received.lower()
    for each in INSIDE:
        assert each not in received
    if b"Invalid HTTP request" not in received and status != 403:  # the server's own words come without an id
        assert HARMLESS.search(received)
