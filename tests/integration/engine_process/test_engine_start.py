"""An engine that starts, dies, hangs, or finds its port taken."""

from __future__ import annotations

import http.server
import socket
import threading
import time

import httpx
import pytest

from rag.errors import EngineError
from serve.engine import Engine
from tests.integration.engine_process.stand_ins import is_running, pids_in, wait_for


def test_a_started_engine_answers_and_has_told_its_phases(make, port):
    seen: list[tuple[float, str]] = []
    engine = make()
    engine.start(lambda elapsed_s, phase: seen.append((elapsed_s, phase)))
    assert engine.url == f"http://127.0.0.1:{port}/v1"
    assert httpx.get(f"{engine.url}/models").json()["data"][0]["id"] == "stand-in"
    phases = list(dict.fromkeys(phase for _, phase in seen))
    assert phases[-1] == "loading weights"
    assert [elapsed_s for elapsed_s, _ in seen] == sorted(elapsed_s for elapsed_s, _ in seen)
    engine.check()


def test_an_engine_that_dies_at_the_start_is_quoted(make):
    engine = make("--dies")
    with pytest.raises(EngineError) as caught:
        engine.start()
    summary, *lines = str(caught.value).splitlines()
    assert "exit status 1" in summary
    assert "ValueError: too little memory" in summary
    assert str(engine.log) in summary
    assert lines[-1].strip() == "RuntimeError: Engine core initialization failed."


def test_an_engine_that_cannot_be_run_at_all_says_so(tmp_path, port):
    engine = Engine([str(tmp_path / "no-python")], port=port, log=tmp_path / "engine.log", env={}, start_timeout_s=10)
    with pytest.raises(EngineError, match=r"cannot run: .*No such file.*no-python"):
        engine.start()


def test_an_engine_that_is_not_ready_in_time_is_ended_and_quoted(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--hangs", "--pids", str(pids), start_timeout_s=2)
    with pytest.raises(EngineError, match="not ready after 2 s"):
        engine.start()
    assert not any(map(is_running, pids_in(pids)))


def test_an_engine_that_dies_later_is_quoted(make):
    engine = make("--dies-after", "0.5")
    engine.start()
    with pytest.raises(EngineError, match=r"exit status 3.*MemoryError: out of memory"):
        wait_for(lambda: engine.check())


def test_a_port_with_an_openai_compatible_server_is_said_to_have_one(make):
    make().start()
    with pytest.raises(EngineError) as caught:
        make().start()
    message = str(caught.value)
    assert "\n" not in message
    for part in ("OpenAI-compatible server (serving stand-in)", "LIBRARIAN_LLM_URL", "LIBRARIAN_ENGINE_PORT"):
        assert part in message


def test_a_port_with_another_web_server_is_only_said_to_be_taken(make, port):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(EngineError, match=f"port {port} .* is taken by another program.*LIBRARIAN_ENGINE_PORT"):
            make().start()
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_with_a_mute_socket_is_said_to_be_taken_within_seconds(make, port):
    with socket.create_server(("127.0.0.1", port)):
        began = time.monotonic()
        with pytest.raises(EngineError, match="is taken by another program"):
            make().start()
        assert time.monotonic() - began < 10


def test_a_taken_port_leaves_the_running_engines_log_alone(make):
    engine = make()
    engine.start()
    before = engine.log.read_bytes()
    with pytest.raises(EngineError):
        make().start()
    assert engine.log.read_bytes().startswith(before)  # the question about its models may have been logged since
    assert not engine.log.with_name("engine.log.1").exists()
