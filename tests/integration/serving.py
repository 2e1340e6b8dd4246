"""`librarian serve` as a process of its own, with the packaged encoder.

with Serving(data_dir, model_url) as server:
    server.http.get("/v1/documents")
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2

from rag.settings import PREFIX
from tests.fake_model import wait_until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "librarian"]


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """That of a command on this data folder, with no setting but these."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**kept, "PYTHONPATH": str(ROOT), "LIBRARIAN_DATA_DIR": str(data_dir), **variables}


class Serving:
    """The process, from when it serves until the end of the block."""

    def __init__(self, data_dir: Path, model_url: str, **variables: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        key = variables.get("LIBRARIAN_API_KEY")
        self.http = httpx2.Client(
            base_url=self.url,
            trust_env=False,
            timeout=60,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        self._log = data_dir / "serve.log"
        self._environment = environment(
            data_dir, LIBRARIAN_LLM_URL=model_url, LIBRARIAN_PORT=str(self.port), **variables
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Serving:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve"],
                cwd=self.data_dir,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert wait_until(self._serves, 100), self.log()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text(errors="replace")

    def _serves(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(self.log())
        return f"serving {self.url}" in self.log()
