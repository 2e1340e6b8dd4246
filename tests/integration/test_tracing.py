"""Traces of the API's requests: off unless asked for, and sent to the collector that OTEL_* names."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from rag.errors import SettingsError
from rag.settings import Settings
from serve import tracing
from serve.spans import STAGES
from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, FixedRetriever, ask


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


@pytest.fixture
def traced(collector: list[tuple[str, bytes]]) -> Iterator[tuple[ApiServer, FakeModel]]:
    with FakeModel() as model, ApiServer(FixedRetriever(), llm_url=model.url, otel=True) as api:
        yield api, model


def spans(api: ApiServer, collector: list[tuple[str, bytes]], name: str) -> list[Any]:
    """What the collector was sent by now, which must hold a span of that name."""
    api.app.state.tracer_provider.force_flush()
    sent = [ExportTraceServiceRequest.FromString(body) for _, body in collector]
    found = [span for each in sent for kind in each.resource_spans for one in kind.scope_spans for span in one.spans]
    assert name in {each.name for each in found}
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value for each in span.attributes}


@pytest.mark.parametrize("streaming", [False, True])
def test_each_stage_of_an_answer_is_a_span_under_the_requests(
    traced: tuple[ApiServer, FakeModel], collector: list[tuple[str, bytes]], streaming: bool
) -> None:
    api, _ = traced
    body = ask("What runs containers in pods?", stream=streaming)
    assert httpx2.post(f"{api.v1}/chat/completions", json=body, trust_env=False, timeout=20).status_code == 200
    assert wait_until(lambda: api.active() == 0)
    found = spans(api, collector, "generate")
    request = next(each for each in found if each.name == "POST /v1/chat/completions")
    stages = [each for each in found if each.name in STAGES]
    assert [each.name for each in stages] == list(STAGES)
    assert {each.parent_span_id for each in stages} == {request.span_id}
    assert all(one.end_time_unix_nano <= two.start_time_unix_nano for one, two in pairwise(stages))
    said = attributes(stages[3])
    assert said["gen_ai.operation.name"].string_value == "chat"
    assert said["gen_ai.request.model"].string_value == "fake"
    assert said["gen_ai.usage.input_tokens"].int_value == 12
    assert said["gen_ai.usage.output_tokens"].int_value == 5
    assert attributes(stages[1])["gen_ai.data_source.id"].string_value == "documents"
    assert not any(b"containers" in payload for _, payload in collector)


def test_an_answer_that_breaks_off_has_the_span_of_the_stage_that_failed(
    traced: tuple[ApiServer, FakeModel], collector: list[tuple[str, bytes]]
) -> None:
    api, model = traced
    model.dies_after = 1
    httpx2.post(f"{api.v1}/chat/completions", json=ask(), trust_env=False, timeout=20)
    generate = next(each for each in spans(api, collector, "generate") if each.name == "generate")
    assert attributes(generate)["error.type"].string_value == "model_unavailable"
    assert generate.status.code == 2  # ERROR


def test_without_traces_nothing_of_the_sdk_is_loaded() -> None:
    script = (
        "import sys, serve.app; from rag.settings import Settings; from rag.answering import Librarian; "
        "serve.app.create_app(Settings(), Librarian(None, None, Settings())); "
        "print([each for each in sys.modules if each.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
