"""An engine whose parent or watchdog is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag.errors import EngineError
from serve.engine import Engine
from tests.integration.engine_process.stand_ins import ROOT, is_running, pids_in, wait_for

# Stands for the service: starts an engine and waits, until it is killed.
PARENT = """
import os, sys, time
from pathlib import Path
from serve.engine import Engine
command, log, port = sys.argv[3:], Path(sys.argv[1]), int(sys.argv[2])
engine = Engine(command, port=port, log=log, env=dict(os.environ), start_timeout_s=60, orphan_grace_s=0.5)
engine.start()
twin = os.fork() if os.environ.get("FORKS") else None
if twin != 0:
    print("ready", twin or "", flush=True)
time.sleep(60)
"""


def start_parent(
    tmp_path: Path, port: int, command: list[str], forks: bool = False
) -> tuple[subprocess.Popen[str], int]:
    """The parent once its engine is ready, and the pid of its fork (0: none)."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "engine.log"), str(port), *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | ({"FORKS": "1"} if forks else {}),
    )
    assert parent.stdout is not None
    ready, _, twin = parent.stdout.readline().strip().partition(" ")
    assert ready == "ready"
    return parent, int(twin or 0)


def end(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.wait()
    if parent.stdout is not None:
        parent.stdout.close()


@pytest.mark.parametrize("options", [(), ("--deaf",)], ids=["hears SIGTERM", "deaf"])
def test_an_engine_does_not_outlive_a_parent_that_was_killed(tmp_path, port, stand_in, options):
    pids = tmp_path / "pids"
    parent, _ = start_parent(tmp_path, port, stand_in("--pids", str(pids), *options))
    family = pids_in(pids)
    assert all(map(is_running, family))
    end(parent)
    wait_for(lambda: not any(map(is_running, family)))


def test_a_fork_of_the_parent_does_not_keep_the_engine_alive(tmp_path, port, stand_in):
    """A fork holds the watchdog's pipe open, so its end alone would not tell that the parent is dead."""
    pids = tmp_path / "pids"
    parent, twin = start_parent(tmp_path, port, stand_in("--pids", str(pids)), forks=True)
    try:
        end(parent)
        wait_for(lambda: not any(map(is_running, pids_in(pids))))
        assert is_running(twin)
    finally:
        os.kill(twin, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_engine_that_nobody_holds_any_more_ends(tmp_path, port, stand_in):
    pids = tmp_path / "pids"
    command = stand_in("--pids", str(pids))
    engine = Engine(command, port=port, log=tmp_path / "engine.log", env=dict(os.environ), start_timeout_s=10)
    engine.start()
    family = pids_in(pids)
    del engine
    wait_for(lambda: not any(map(is_running, family)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_an_engine_does_not_outlive_its_watchdog(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--pids", str(pids))
    engine.start()
    server = pids_in(pids)[0]
    os.kill(engine.group, signal.SIGKILL)
    wait_for(lambda: not is_running(server))
    with pytest.raises(EngineError, match="watchdog"):
        engine.check()
    for pid in pids_in(pids)[1:]:  # the stand-in, unlike vLLM on SIGTERM, does not end its child
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
