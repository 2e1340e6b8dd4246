"""The rehearsal: ingestion in four parts, one killed; two replicas rolled under load; a model that goes and comes back.

    make rehearse        (about five minutes on two cores)

What stands for what: processes for pods, a loop for the kubelet's probes, a TCP proxy for the Service, Qdrant's API on
qdrant-client's in-memory mode for Qdrant, whose durability, speed and copies are therefore not rehearsed. vLLM is real,
on the CPU. Commands, arguments, variables and probes are those of k8s/overlays/cpu as kubectl renders it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.cluster.kit import ROOT, Workload, overlay, workloads
from tests.cluster.rehearsal.load import Caller, Load
from tests.cluster.rehearsal.pods import Failed, Pod
from tests.cluster.rehearsal.service import Service

SECRETS = {"api-key": "rehearsal-key-of-the-api", "qdrant-api-key": "rehearsal-key-of-qdrant"}
PARTS = 4
MODEL_SECONDS = 600.0
FAILED_BY_KILL = -9


def main() -> int:
    """Run the story; 0 where everything held, 1 with the reason where something did not."""
    began = time.monotonic()

    def step(text: str) -> None:
        print(f"── {text} ({time.monotonic() - began:.0f} s)", flush=True)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="librarian-rehearsal-")))
        cluster = Cluster(folder, stack)
        try:
            step("a stand-in for Qdrant (no server can be had here), and vLLM, start")
            cluster.start_qdrant()
            model = cluster.start_model()
            step(f"ingestion in {PARTS} parts; part 2 is killed and retried")
            cluster.ingest()
            step("waiting for the model")
            model.wait_ready(MODEL_SECONDS)
            step("two replicas of the API")
            replicas = [cluster.start_api(), cluster.start_api()]
            for each in replicas:
                each.wait_ready(120)
            caller = Caller(f"http://127.0.0.1:{cluster.service.port}", SECRETS["api-key"])
            answer = caller.chat()
            check(answer.well, f"the first answer failed: {answer}")
            step("a rolling update under load: no request may fail")
            cluster.roll(caller)
            step("the model goes away: 503 with Retry-After, searches go on")
            model = cluster.restart_model(model, caller)
            step("the replicas end as they should")
            for each in cluster.replicas:
                check(each.delete() == 0, f"an API ended badly: {each.tail()}")
            check(model.delete() in {0, -15}, f"vLLM ended badly: {model.tail()}")
        except Failed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
        step("everything held")
        print("   Not rehearsed: Qdrant's own durability, speed and copies; images, scheduling and the network.")
    return 0


class Cluster:
    """What runs. Everything is stopped when the stack ends."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.documents = folder / "documents"
        self.manifests = overlay("cpu")
        self.workloads: dict[str, Workload] = {each.name: each for each in workloads(self.manifests)}
        self.replicas: list[Pod] = []
        self.service = Service(lambda: [each.port for each in self.replicas if each.ready])
        stack.callback(self.service.close)
        self.qdrant, self.model_port = free_port(), free_port()
        self._pods = self._states = 0

    def start_qdrant(self) -> None:
        command = [sys.executable, "-m", "tests.cluster.rehearsal.qdrant_stand_in", str(self.qdrant)]
        log = self._stack.enter_context((self.folder / "qdrant.log").open("ab"))
        process = subprocess.Popen([*command, SECRETS["qdrant-api-key"]], cwd=ROOT, stdout=log, stderr=log)
        self._stack.callback(process.kill)
        until(60, lambda: answers(f"http://127.0.0.1:{self.qdrant}/readyz"), "Qdrant's stand-in does not answer")

    def start_model(self) -> Pod:
        """vLLM with the arguments of its Deployment; the hub's name is the packaged model's folder here."""
        prepared = ROOT / ".librarian" / "models" / "smollm2-135m-instruct"
        if not (prepared / "config.json").exists():
            raise Failed(f"{prepared} is not there: make engine")
        places = {
            "HuggingFaceTB/SmolLM2-135M-Instruct": str(prepared),
            "python3": str(ROOT / ".venv-engine" / "bin" / "python"),
            "--port=8000": f"--port={self.model_port}",
            "0.0.0.0": "127.0.0.1",
            "/models": str(self.folder / "models"),
            "/scratch": str(self.folder / "scratch"),
        }
        extra = {"HF_HUB_OFFLINE": "1", "VLLM_HOST_IP": "127.0.0.1"}
        return self._start("model", places, extra, self.model_port)

    def start_api(self) -> Pod:
        port = free_port()
        pod = self._start("api", self._places(), {"LIBRARIAN_PORT": str(port)}, port)
        self.replicas.append(pod)
        return pod

    def start_part(self, index: int) -> Pod:
        return self._start("ingest", self._places(), {"JOB_COMPLETION_INDEX": str(index)})

    def ingest(self) -> None:
        """Every part in turn, as `parallelism: 1` of this overlay does; the third one loses its node in between."""
        self._write_documents()
        for index in range(PARTS):
            before = self._points()
            pod = self.start_part(index)
            if index == PARTS - 2:
                until(300, lambda pod=pod, before=before: self._points() > before or pod.ended, "no progress")
                pod.kill()
                check(pod.process.returncode == FAILED_BY_KILL, f"what should have been killed had ended: {pod.tail()}")
                before = self._points()
                pod = self.start_part(index)
            status = pod.wait(300)
            check(status == 0, f"part {index} ended with {status}: {pod.tail()}")
            check(self._points() > before, f"part {index} added nothing: {pod.tail()}")
        print(f"   {self._points()} chunks are written, those of the killed part by both of its runs")
        whole = self._start("check", self._places(), {})
        status = whole.wait(300)
        check(status == 0, f"after four parts the index differs from the documents ({status}): {whole.tail()}")

    def roll(self, caller: Caller) -> None:
        """maxSurge 1, maxUnavailable 0: a new one is ready before an old one goes."""
        with Load(caller) as load:
            until(60, lambda: sum(each.well for each in load.replies) >= PARTS, "no request succeeds")
            for old in list(self.replicas):
                self.start_api().wait_ready(180)
                status = old.delete()
                self.replicas.remove(old)
                check(status == 0, f"a replica ended with {status}: {old.tail()}")
            seen = len(load.replies)
            until(60, lambda: len(load.replies) > seen + PARTS, "no request comes through any more")
        failed = [each for each in load.replies if not each.well]
        check(not failed, f"{len(failed)} of {len(load.replies)} requests failed, the first: {failed[:1]}")
        chats = sum(each.route == "chat" for each in load.replies)
        print(f"   {len(load.replies)} requests, {chats} of them streams: none failed")

    def restart_model(self, model: Pod, caller: Caller) -> Pod:
        model.kill()
        reply = caller.chat()
        check(reply.status == 503, f"without a model a question got {reply.status}, not 503: {reply.body[:300]}")
        check("retry-after" in {name.lower() for name in reply.headers}, "a 503 without Retry-After")
        check(caller.search().well, "a search failed while the model is away")
        check(all(each.ready for each in self.replicas), "the API was taken out of rotation with the model")
        with Load(caller, chats=1, searches=1) as load:
            again = self.start_model()
            again.wait_ready(MODEL_SECONDS)
            until(60, lambda: any(each.well for each in load.replies if each.route == "chat"), "no answer comes again")
        unclean = [each for each in load.replies if not (each.well or (each.route == "chat" and each.status == 503))]
        check(not unclean, f"{len(unclean)} of {len(load.replies)} requests got neither, the first: {unclean[:1]}")
        refused = sum(not each.well for each in load.replies)
        print(
            f"   {refused} questions got 503, {len(load.replies) - refused} requests went well, none got anything else"
        )
        return again

    def _write_documents(self) -> None:
        """The pages of docs/ and, for more of it, source files of rag/: no part is written in one batch."""
        shutil.copytree(ROOT / "docs", self.documents)
        for path in sorted((ROOT / "rag").glob("*.py")):
            name = "-".join(path.relative_to(ROOT).with_suffix(".txt").parts)
            shutil.copyfile(path, self.documents / name)

    def _points(self) -> int:
        """How many there are in all collections."""
        names = self._asked_of_qdrant("/collections")["collections"]
        counts = (self._asked_of_qdrant(f"/collections/{each['name']}/points/count", b"{}") for each in names)
        return sum(int(each["count"]) for each in counts)

    def _asked_of_qdrant(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"api-key": SECRETS["qdrant-api-key"], "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.qdrant}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return dict(json.load(response)["result"])

    def _places(self) -> dict[str, str]:
        self._states += 1
        state = self.folder / f"state-{self._states}"
        state.mkdir()
        return {
            "http://qdrant:6333": f"http://127.0.0.1:{self.qdrant}",
            "http://model:8000/v1": f"http://127.0.0.1:{self.model_port}/v1",
            "/var/lib/librarian": str(state),
            "/documents": str(self.documents),
        }

    def _start(self, name: str, places: dict[str, str], extra: dict[str, str], port: int = 0) -> Pod:
        self._pods += 1
        log = self.folder / f"{name}-{self._pods}.log"
        pod = Pod(self.workloads[name], self.manifests, places, SECRETS, log, extra, port)
        self._stack.callback(pod.kill)
        return pod


def check(held: bool, otherwise: str) -> None:
    """Raise Failed where something does not hold."""
    if not held:
        raise Failed(otherwise)


def until(seconds: float, holds: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to hold; raises Failed where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failed(otherwise)
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
