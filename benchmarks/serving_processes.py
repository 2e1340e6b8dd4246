"""The processes of serving.py: each on cores of its own, watched by what the kernel counts for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from rag.settings import PREFIX

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
START_S = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A server on `port` of loopback, that runs on `cores` only; what it prints is in `log`."""

    def __init__(self, name: str, command: Sequence[str], port: int, cores: frozenset[int], log: Path) -> None:
        self.name = name
        self.port = port
        self.cores = cores
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                command,
                cwd=log.parent,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),  # before any thread of it starts
            )

    def wait(self, path: str) -> None:
        """Return once GET `path` is answered with 200. Raises RuntimeError where it never is."""
        deadline = time.monotonic() + START_S
        with httpx2.Client(trust_env=False, timeout=5) as http:
            while self._child.poll() is None and time.monotonic() < deadline:
                try:
                    if http.get(f"http://127.0.0.1:{self.port}{path}").status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                time.sleep(0.2)
        raise RuntimeError(f"{self.name} did not come up: {self.log.read_text(errors='replace')[-2000:]}")

    def cpu_s(self) -> float:
        """Seconds of processor time that it has taken."""
        # the name in brackets may hold spaces; after it, the 12th and 13th fields are user and system time
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss(self) -> int:
        """Bytes of memory that it holds now (VmRSS)."""
        for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def sockets(self) -> int:
        """How many sockets it has open, the one it listens on included."""
        found = 0
        for each in Path(f"/proc/{self._child.pid}/fd").iterdir():
            try:
                found += str(each.readlink()).startswith("socket:")
            except OSError:  # closed since it was listed
                continue
        return found

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after 20 seconds."""
        self._child.terminate()
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def _environment() -> dict[str, str]:
    """The caller's, without settings of Librarian and without proxies between processes of one machine."""
    ours = {"PYTHONPATH": f"{ROOT}:{HERE}", "HF_HUB_OFFLINE": "1", "NO_PROXY": "*"}
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**kept, **ours}


@contextmanager
def model(rate: float, tokens: int, cores: frozenset[int]) -> Iterator[Process]:
    """The stand-in for a model's server."""
    port = free_port()
    command = [sys.executable, str(HERE / "serving_model.py"), f"--port={port}", f"--rate={rate}", f"--tokens={tokens}"]
    with _running(Process("the stand-in", command, port, cores, _log("model")), "/v1/models") as process:
        yield process


@contextmanager
def proxy(model_port: int, cores: frozenset[int]) -> Iterator[Process]:
    """The plain LangChain proxy in front of a model."""
    port = free_port()
    url = f"http://127.0.0.1:{model_port}/v1"
    command = [sys.executable, str(HERE / "serving_proxy.py"), f"--port={port}", f"--model-url={url}"]
    with _running(Process("LangChain", command, port, cores, _log("proxy")), "/docs") as process:
        yield process


@contextmanager
def librarian(data_dir: Path, model_url: str, cores: frozenset[int], **settings: object) -> Iterator[Process]:
    """`librarian serve` over the index in `data_dir`, in front of a model, with room for any number of streams."""
    port = free_port()
    given = {
        "data_dir": data_dir,
        "llm_url": model_url,
        "port": port,
        "max_concurrent_requests": 100_000,
        "log_level": "warning",
        **settings,
    }
    flags = [f"--set={name}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "librarian", "serve", *flags]
    with _running(Process("Librarian", command, port, cores, _log("librarian")), "/readyz") as process:
        yield process


@contextmanager
def _running(process: Process, path: str) -> Iterator[Process]:
    try:
        process.wait(path)
        yield process
    finally:
        process.stop()


def _log(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix="librarian-serving-")) / f"{name}.log"
