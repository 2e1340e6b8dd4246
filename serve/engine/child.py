"""A child process that never outlives this one, however this one ends: see `watchdog.py`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from rag.errors import EngineError

WATCHDOG = Path(__file__).with_name("watchdog.py")
KILL_MARGIN_S = 5.0


class Child:
    """A command in its own session, its output in a file. For one thread; ends by itself when collected."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str], orphan_grace_s: float = 10) -> None:
        """Start `command`. When this process dies, its group gets SIGTERM and, `orphan_grace_s` later, SIGKILL.

        Raises EngineError when `log` cannot be written.
        """
        guard = [sys.executable, "-I", "-S", str(WATCHDOG), str(os.getpid()), str(orphan_grace_s), *command]
        try:
            with log.open("ab") as output:
                # Its own session: Ctrl-C in the terminal is for us, and reaches the command once, through `stop`.
                self._watchdog = subprocess.Popen(  # noqa: S603 - our own script, no shell
                    guard,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    env=dict(env),
                    start_new_session=True,
                )
        except OSError as error:
            raise EngineError(f"cannot start {command[0]} with its output in {log}: {error}; check both") from None
        self._status: str | None = None
        # Popen keeps itself, and so the pipe, alive until its process ends: dropping this object would end nothing.
        if self._watchdog.stdin is not None:
            weakref.finalize(self, self._watchdog.stdin.close)

    @property
    def group(self) -> int:
        """Number of the process group in which the command and all that it starts run."""
        return self._watchdog.pid

    def status(self) -> str | None:
        """None while it runs, else how it ended: 'exit status 1', 'signal 9 (SIGKILL)', 'cannot run: ...'."""
        if self._status is None and self._watchdog.poll() is not None:
            self._close_input()
            said = ""
            if self._watchdog.stdout is not None:
                with self._watchdog.stdout as stdout:
                    said = stdout.read().decode(errors="replace").strip()
            self._status = _describe(said)
        return self._status

    def succeeded(self) -> bool:
        """Whether it ended by itself with exit status 0."""
        return self.status() == "exit status 0"

    def stop(self, grace_s: float) -> None:
        """SIGTERM to the group, `grace_s` seconds, SIGKILL to the group. Does nothing when it has ended."""
        if self.status() is not None:
            return
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # ending just now
                self._watchdog.stdin.write(f"{grace_s}\n".encode())
        self._close_input()
        try:
            self._watchdog.wait(grace_s + KILL_MARGIN_S)
        except subprocess.TimeoutExpired:
            # The watchdog is stuck (stopped by SIGSTOP, say). It is not reaped yet, so its number is still its own.
            os.killpg(self._watchdog.pid, signal.SIGKILL)
            self._watchdog.wait()
        self.status()

    def _close_input(self) -> None:
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.close()


def _describe(said: str) -> str:
    try:
        code = int(said)
    except ValueError:
        return said or "its watchdog killed"
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
