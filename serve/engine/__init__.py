"""The local engine: vLLM as a child process on loopback, for those who have no model server."""

from __future__ import annotations

from serve.engine.locate import find_engine_python
from serve.engine.model import prepare_model
from serve.engine.process import Engine
from serve.engine.run import run_engine

__all__ = ["Engine", "find_engine_python", "prepare_model", "run_engine"]
