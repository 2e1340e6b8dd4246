"""Traces of the API's requests: off unless asked for, and sent to the collector that OTEL_* names."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from rag.errors import SettingsError
from rag.settings import Settings
from serve import tracing


class Collector(BaseHTTPRequestHandler):
    """Stands for an OTLP collector: notes what is posted to it."""

    posted: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    posted: list[tuple[str, bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Noting", (Collector,), {"posted": posted}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield posted
    server.shutdown()
    server.server_close()


def application(settings: Settings) -> FastAPI:
    app = FastAPI()
    tracing.install(app, settings)

    @app.get("/v1/models")
    def models() -> dict[str, str]:
        return {}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {}

    return app


def test_requests_are_traced_but_probes_are_not(
    settings: Callable[..., Settings], collector: list[tuple[str, bytes]]
) -> None:
    app = application(settings(otel=True))
    with TestClient(app) as client:
        client.get("/v1/models")
        client.get("/healthz")
    app.state.tracer_provider.shutdown()  # sends what is waiting, as the end of the process does
    sent = b"".join(body for path, body in collector if path == "/v1/traces")
    assert b"/v1/models" in sent
    assert b"librarian" in sent
    assert b"/healthz" not in sent


def test_nothing_is_traced_unless_asked_for(
    settings: Callable[..., Settings], collector: list[tuple[str, bytes]]
) -> None:
    app = application(settings())
    with TestClient(app) as client:
        client.get("/v1/models")
    assert not hasattr(app.state, "tracer_provider")
    assert collector == []


def test_a_missing_extra_is_said_with_its_remedy(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.fastapi", None)
    with pytest.raises(SettingsError, match=r"librarian-rag\[otel\]"):
        application(settings(otel=True))
