"""`librarian ingest` with an encoder behind a URL that dies in the middle of the job."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag.encoders.fingerprints import PROBES
from rag.encoders.folder import find_folder
from tests.integration.serving import COMMAND, environment


@pytest.fixture
def dying() -> Iterator[tuple[str, threading.Event]]:
    """Stands for an embeddings server that answers the probes and is never heard of again; the event says when."""
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            known = texts == list(PROBES)
            rows = [{"index": at, "embedding": [float(at + 1), 1.0]} for at in range(len(texts))]
            data = json.dumps({"data": rows} if known else {}).encode()
            self.send_response(200 if known else 503)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            if not known:
                asked.set()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


def test_ctrl_c_ends_it_long_before_the_servers_patience_does(
    tmp_path: Path, dying: tuple[str, threading.Event]
) -> None:
    url, asked = dying
    for number in range(20):
        (tmp_path / f"{number}.md").write_text(f"# Document {number}\n\n" + "Pods run containers. " * 100)
    variables = {
        "LIBRARIAN_ENCODER_URL": url,
        "LIBRARIAN_ENCODER_MODEL": "m",
        "LIBRARIAN_ENCODER_TOKENIZER": str(find_folder("minilm")),
    }
    running = subprocess.Popen(
        [*COMMAND, "ingest", "."],
        cwd=tmp_path,
        env=environment(tmp_path / "data", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert asked.wait(60)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)  # the server is waited for 300 s
    finally:
        running.kill()
    assert running.returncode == 130
