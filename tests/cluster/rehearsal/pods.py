"""Pods as processes: a container's own command, arguments, variables and probes, as its manifest says them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.kit import ROOT, Manifest, Workload


class Failed(Exception):
    """The rehearsal does not go as the manifests promise."""


class Pod:
    """One container of a workload, running. `places` are the texts of the cluster and what stands for them here."""

    def __init__(
        self,
        workload: Workload,
        manifests: tuple[Manifest, ...],
        places: Mapping[str, str],
        secrets: Mapping[str, str],
        log: Path,
        extra: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        (self.container,) = workload.containers
        self.spec = workload.pod
        self.name, self.port, self.log = workload.name, port, log
        self.ready = self.deleted = False
        variables = _variables(self.container, manifests, secrets) | dict(extra or {})
        variables = {name: _replaced(value, places) for name, value in variables.items()}
        words = [*self.container.get("command", ["librarian"]), *self.container.get("args", [])]
        words = [_replaced(_expanded(word, variables), places) for word in words]
        if words[0] == "librarian":
            words[:1] = [sys.executable, "-m", "librarian"]
        self.command = words
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self._output = log.open("ab")
        self._output.write(f"\n$ {shlex.join(words)}\n".encode())
        self._output.flush()
        self.process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**inherited, "PYTHONPATH": str(ROOT), **variables},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if "readinessProbe" in self.container:
            threading.Thread(target=self._probe, daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether its process is over."""
        return self.process.poll() is not None

    def wait_ready(self, seconds: float) -> None:
        """Until the probes say so. Raises Failed when it ends before, or is not ready in time."""
        end = time.monotonic() + seconds
        while not self.ready:
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{self.name} is not ready (exit status {self.process.poll()}): {self.tail()}")
            time.sleep(0.1)

    def wait(self, seconds: float) -> int:
        """Exit status of a pod that ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end in {seconds:g} s: {self.tail()}") from None

    def delete(self) -> int:
        """As the kubelet does: out of the endpoints, preStop, SIGTERM, the grace period, SIGKILL. The exit status."""
        self.deleted, self.ready = True, False
        hook = self.container.get("lifecycle", {}).get("preStop", {})
        pause = float(hook.get("sleep", {}).get("seconds", 0))
        time.sleep(pause)
        self._signal(signal.SIGTERM)
        try:
            return self.process.wait(self.spec.get("terminationGracePeriodSeconds", 30) - pause)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self.process.wait()

    def kill(self) -> None:
        """As a lost node does."""
        self.deleted, self.ready = True, False
        self._signal(signal.SIGKILL)
        self.process.wait()

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _probe(self) -> None:
        started, failures, began = False, 0, time.monotonic()
        while not self.deleted and self.process.poll() is None:
            probe = self.container["readinessProbe" if started else "startupProbe"]
            well = self._asked(probe)
            failures = 0 if well else failures + 1
            if not started:
                started = well
                # It is asked more often here than its period says, and has as long.
                if time.monotonic() - began > probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10):
                    self._signal(signal.SIGKILL)
            else:
                self.ready = not self.deleted and (well or (self.ready and failures < probe.get("failureThreshold", 3)))
            if not (started and not self.ready and well):
                time.sleep(min(probe.get("periodSeconds", 10), 2))

    def _asked(self, probe: Manifest) -> bool:
        url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=probe.get("timeoutSeconds", 1)) as response:
                return bool(200 <= response.status < 400)
        except (OSError, urllib.error.URLError):
            return False


def _variables(container: Manifest, manifests: tuple[Manifest, ...], secrets: Mapping[str, str]) -> dict[str, str]:
    maps = {each["metadata"]["name"]: each["data"] for each in manifests if each["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    for entry in container.get("env", []):
        origin = entry.get("valueFrom", {})
        if "secretKeyRef" in origin:
            value = secrets.get(origin["secretKeyRef"]["key"])
        elif "configMapKeyRef" in origin:
            value = maps[origin["configMapKeyRef"]["name"]][origin["configMapKeyRef"]["key"]]
        else:
            value = entry["value"]
        if value is not None:
            found[entry["name"]] = value
    return found


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\(([A-Z_]+)\)", lambda match: variables.get(match[1], match[0]), word)


def _replaced(text: str, places: Mapping[str, str]) -> str:
    """Paths of the cluster are replaced where they begin a value, other texts wherever they stand; each once."""
    for cluster, here in places.items():
        if cluster.startswith("/"):
            text = re.sub(rf"(^|=){re.escape(cluster)}(?=/|$)", lambda match, here=here: match[1] + here, text)
        else:
            text = text.replace(cluster, here)
    return text
