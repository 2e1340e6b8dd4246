"""One real engine for all of these tests: vLLM on the CPU with the packaged model, as `librarian model` starts it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.settings import Settings, load
from serve.engine.process import Engine
from serve.engine.run import build_engine

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the engine, and starting one takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(400))


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def engine_settings(**changes: object) -> Settings:
    """Settings for a test's engine: the checkout's prepared model and engine environment, a free port."""
    flags = {
        "data_dir": ROOT / ".librarian",
        "engine_python": ROOT / ".venv-engine" / "bin" / "python",
        "engine_port": free_port(),
        "llm_timeout": 300,  # a busy processor reads a full window in a minute
        **changes,
    }
    return load(flags, folder=Path("/nonexistent")).settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The session engine's settings."""
    return engine_settings()


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[Engine]:
    """A running engine."""
    with build_engine(settings) as running:
        yield running
