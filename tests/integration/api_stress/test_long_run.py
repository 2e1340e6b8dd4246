"""The API after many requests, and at its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import PASSAGES, ApiServer, ask, read_all
from tests.integration.api_stress.pressure import accepts, assert_at_rest, begin_stream, open_files


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
        model.pieces, model.delay = ("word ",) * 20, 0.2
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
                    ready = f"http://127.0.0.1:{port}/readyz"
                    assert wait_until(lambda: httpx2.get(ready, trust_env=False, timeout=5).status_code == 503)
                    assert list(lines)[-2:] == ["data: [DONE]", ""]
                assert process.wait(20) == 0
            finally:
                process.kill()
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


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
    flags = ["--port", str(port), "--data-dir", str(data_dir), "--llm-url", llm_url, "--set", "min_relevance=0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIBRARIAN_")}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve().parents[3] / "librarian.py"), "serve", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data_dir,
        env={**environment, "HF_HUB_OFFLINE": "1"},
    )
