"""The engine's process: ready, dying, hanging, stopped, orphaned."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serve.engine import Engine
from tests.integration.engine_process.stand_ins import STAND_IN


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stand_in(tmp_path: Path, port: int) -> Callable[..., list[str]]:
    """Builds the command of a stand-in engine with the given options."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return lambda *options: [sys.executable, "-S", str(script), "--port", str(port), *options]


@pytest.fixture
def make(tmp_path: Path, port: int, stand_in: Callable[..., list[str]]) -> Iterator[Callable[..., Engine]]:
    """Makes engines that are stopped at the end of the test, whatever happened."""
    made: list[Engine] = []

    def make(*options: str, start_timeout_s: float = 60) -> Engine:
        log = tmp_path / "logs" / "engine.log"
        command = stand_in(*options)
        made.append(Engine(command, port=port, log=log, env=dict(os.environ), start_timeout_s=start_timeout_s))
        return made[-1]

    yield make
    for engine in made:
        engine.stop(grace_s=0)
