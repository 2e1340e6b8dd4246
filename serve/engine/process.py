"""vLLM (or any program with /health) as a child process: start, wait until it is ready, watch, stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx2

from rag.errors import EngineError
from serve.engine.child import Child
from serve.engine.log import PhaseReader, last_lines, root_cause, rotate
from serve.engine.port import LOOPBACK, require_free_port

POLL_S = 0.2

Progress = Callable[[float, str], None]


class Engine:
    """One engine on 127.0.0.1. Not for several threads. As a context manager it stops itself at the end.

    It runs no longer than this object lives: whoever starts one keeps it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        env: Mapping[str, str],
        start_timeout_s: float,
        orphan_grace_s: float = 10,
    ) -> None:
        """`command` must listen on 127.0.0.1:`port` and answer /health with 200 once it can work.

        `env` is its whole environment; its output goes to `log`, the log before it is kept as `.1`. Should this process
        die, the engine gets SIGTERM at once and SIGKILL after `orphan_grace_s` seconds.
        """
        self._command = list(command)
        self._port = port
        self._log = log.absolute()
        self._env = dict(env)
        self._start_timeout_s = start_timeout_s
        self._orphan_grace_s = orphan_grace_s
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Base URL of its OpenAI-compatible API."""
        return f"http://{LOOPBACK}:{self._port}/v1"

    @property
    def log(self) -> Path:
        """File with its output."""
        return self._log

    @property
    def group(self) -> int | None:
        """Process group of the engine; None before the start and after the stop."""
        return self._child.group if self._child else None

    def start(self, progress: Progress | None = None) -> None:
        """Start and wait until ready. `progress(elapsed_s, phase)` is called about five times a second meanwhile.

        Raises EngineError when the port is taken, the engine dies (with its last lines) or is not ready in time. The
        engine is gone after any exception, one out of `progress` and KeyboardInterrupt included.
        """
        if self._child is not None:
            raise EngineError(f"this engine was started before, on port {self._port}; stop it first")
        require_free_port(self._port)
        rotate(self._log)
        self._child = Child(self._command, self._log, self._env, self._orphan_grace_s)
        try:
            self._wait_until_ready(self._child, progress or (lambda _elapsed_s, _phase: None))
        except BaseException:
            self.stop(grace_s=2)
            raise

    def check(self) -> None:
        """Return while the engine runs; EngineError, with its last lines, when it has died or was not started."""
        if self._child is None:
            raise EngineError("the engine is not running; start it first")
        ended = self._child.status()
        if ended is not None:
            raise self._failure(f"the engine ended with {ended}")

    def stop(self, grace_s: float = 10) -> None:
        """SIGTERM to the engine's process group, `grace_s` seconds to end, then SIGKILL to the group. Repeatable."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop(grace_s)

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, child: Child, progress: Progress) -> None:
        began = time.monotonic()
        phases = PhaseReader(self._log)
        with httpx2.Client(timeout=2, trust_env=False) as http:
            while True:
                ended, healthy = child.status(), self._is_healthy(http)
                # Read after asking, so that the phases that led to readiness are all told.
                elapsed_s, phase = time.monotonic() - began, phases.phase()
                if ended is not None:
                    raise self._failure(f"the engine ended with {ended} after {elapsed_s:.0f} s, while {phase}")
                progress(elapsed_s, phase)
                if healthy:
                    return
                if elapsed_s > self._start_timeout_s:
                    raise self._failure(
                        f"the engine was not ready after {self._start_timeout_s:g} s (LIBRARIAN_ENGINE_START_TIMEOUT), "
                        f"while {phase}"
                    )
                time.sleep(POLL_S)

    def _is_healthy(self, http: httpx2.Client) -> bool:
        try:
            return http.get(f"http://{LOOPBACK}:{self._port}/health").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def _failure(self, what: str) -> EngineError:
        cause = root_cause(self._log)
        because = f": {cause}" if cause else ""
        said = last_lines(self._log) or ["(nothing)"]
        return EngineError("\n  ".join([f"{what}{because}; the last lines of {self._log}:", *said]))
