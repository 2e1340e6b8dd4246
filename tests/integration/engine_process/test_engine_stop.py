"""An engine that is stopped, and `librarian model`, which starts one and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rag.errors import EngineError
from rag.settings import Settings
from serve.engine import Engine, run_engine
from tests.integration.engine_process.stand_ins import is_running, pids_in


def test_stop_ends_the_whole_group_and_nothing_else(make, tmp_path):
    bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        pids = tmp_path / "pids"
        engine = make("--pids", str(pids))
        engine.start()
        family = pids_in(pids)
        assert {os.getpgid(pid) for pid in family} == {engine.group}
        assert engine.group != os.getpgid(0)
        engine.stop()
        assert not any(map(is_running, family))
        assert bystander.poll() is None
        engine.stop()  # a second time: nothing left to do
    finally:
        bystander.kill()
        bystander.wait()


def test_stop_kills_what_does_not_hear_sigterm(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--deaf", "--pids", str(pids))
    engine.start()
    began = time.monotonic()
    engine.stop(grace_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5  # 5.5 would be the watchdog's own end
    assert not any(map(is_running, pids_in(pids)))


def test_a_stopped_engine_can_be_started_again_and_keeps_one_earlier_log(make):
    engine = make()
    for _ in range(2):
        engine.start()
        engine.stop()
    assert engine.log.with_name("engine.log.1").exists()
    with pytest.raises(EngineError, match="not running"):
        engine.check()


def test_an_exception_while_waiting_leaves_nothing_behind(make, tmp_path):
    pids = tmp_path / "pids"

    def interrupted(_elapsed_s: float, _phase: str) -> None:
        if pids.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("--hangs", "--pids", str(pids)).start(interrupted)
    assert not any(map(is_running, pids_in(pids)))


def test_run_says_what_it_does_and_ends_with_0_on_sigterm(make):
    lines: list[str] = []

    def echo(line: str) -> None:
        lines.append(line)
        if line.startswith("ready"):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    before = signal.getsignal(signal.SIGTERM)
    assert run_engine(Settings(), echo, lambda _settings, _echo: make()) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    text = "\n".join(lines)
    assert "loading weights" in text
    assert "/v1" in text
    assert lines[-1] == "stopping the engine"


def test_run_raises_when_the_engine_dies(make):
    with pytest.raises(EngineError, match="exit status 3"):
        run_engine(Settings(), lambda _line: None, lambda _settings, _echo: make("--dies-after", "0.5"))


def test_run_starts_nothing_where_a_server_is_named():
    lines: list[str] = []

    def must_not_build(_settings: Settings, _echo: object) -> Engine:
        raise AssertionError("built an engine though a server is named")

    assert run_engine(Settings(llm_url="http://models:8000/v1"), lines.append, must_not_build) == 0
    assert "http://models:8000/v1" in lines[0]
