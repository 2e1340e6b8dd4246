"""A web server on this machine, a name server that says what a test wants, and short words for reading a source."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ingest.sources import Item, Source, open_source
from rag.settings import Settings

LIMIT = 1_000_000


Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server on this machine. `pages` says by path (with query) how each request is answered."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, Host header
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.command, self.path, self.headers["Host"]))
                site.pages.get(self.path, page(status=404))(self)

            do_HEAD = do_GET  # noqa: N815
            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def page(data: bytes = b"Words.", kind: str = "text/html", status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    return answer


def moved(location: str, status: int = 302) -> Answer:
    return page(b"", status=status, Location=location)


def opened(url: str, **values: Any) -> Source:
    options = {key: values.pop(key) for key in ("include", "exclude") if key in values}
    given = {"allow_urls": ("127.0.0.1:*", "*.example:*"), "allow_private_urls": True, "url_timeout": 5, **values}
    return open_source(url, Settings(**given), **options)


def items(source: Source) -> list[Item]:
    return [each for each in source.items() if isinstance(each, Item)]


def fetched(url: str, limit: int = LIMIT, **values: Any) -> bytes:
    with closing(opened(url, **values)) as source:
        return source.read(items(source)[0], limit)


def resolve(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """Stands for a name server; each answer is given once, the last for ever. Returns what it is asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        given = answers.get(host, [host])
        address = given.pop(0) if len(given) > 1 else given[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
