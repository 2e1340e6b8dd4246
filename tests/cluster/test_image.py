"""The images' entry points: they start from their own packages, as their user, and write to their volumes alone."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.image import CHECKOUT, STATE, Container, can_isolate, packages, target
from tests.cluster.kit import ROOT, overlay, workloads

isolated = pytest.mark.skipif(not can_isolate(), reason="mount namespaces need root, unshare and setpriv")
# For object stores; who develops Librarian does not need them, and no test here reaches such a store.
STORES = {"s3fs", "gcsfs", "adlfs"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("image")
    for each in (made, *made.parents):  # pytest's folders are its user's alone
        if "pytest" in each.name or each == made:
            each.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def state(folder: Path) -> Iterator[Path]:
    """What the job leaves and the API reads: as a claim that both mount."""
    return folder / "state-jobs"


def test_the_api_s_lock_is_what_these_tests_run_with() -> None:
    here, missing, other = packages(target("api"))
    assert len(here) > 100
    assert (missing, other) == ([], [])


def test_of_the_jobs_lock_only_what_reads_object_stores_may_be_missing_here() -> None:
    _, missing, _ = packages(target("jobs"))
    here, _, _ = packages(target("jobs"))
    assert {"peft", "trl", "datasets", "sentence-transformers", "ir-measures"} <= set(here)
    assert set(missing) == set() or set(missing) >= STORES


@pytest.mark.parametrize("name", ["api", "jobs"])
def test_the_image_s_user_and_home_are_those_of_the_manifests(name: str) -> None:
    image = target(name)
    assert image.entry == ("librarian",)
    users = [
        each for each in workloads(overlay("cpu")) if each.containers[0]["image"].split(":")[0].endswith(f"-{name}")
    ]
    assert users
    for each in users:
        assert each.pod["securityContext"]["runAsUser"] == image.user
        writable = {m["mountPath"] for m in each.containers[0]["volumeMounts"] if not m.get("readOnly")}
        assert {STATE, "/tmp"} <= writable, each.name
    assert image.environment["HOME"] == image.environment["LIBRARIAN_DATA_DIR"] == STATE


@isolated
class TestStarting:
    def test_nothing_but_the_volumes_can_be_written(self, folder: Path) -> None:
        code = f"""
import os, pathlib
def refused(path):
    try:
        (pathlib.Path(path) / "probe").write_text("")
    except OSError:
        return True
    return False
print([path for path in ("/", "/var/lib", "/etc", "/dev/shm", {str(ROOT)!r}, "/mnt") if not refused(path)])
print([path for path in ({STATE!r}, "/tmp") if refused(path)], os.getuid())
"""
        (own := folder / "probe").mkdir()
        done = Container(target("api"), own).python(code)
        assert done.stdout.splitlines() == ["[]", "[] 10001"]

    def test_a_job_ingests_and_the_api_answers_from_it(self, folder: Path, state: Path) -> None:
        job = Container(target("jobs"), folder, state)
        process = job.start(["ingest", str(CHECKOUT / "docs" / "assistants.md")])
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert any(state.rglob("segments")), "the index is not where the volume is"

        api = Container(target("api"), folder, state)
        port = free_port()
        process = api.start(
            api.target.arguments, LIBRARIAN_PORT=str(port), LIBRARIAN_LLM_URL=f"http://127.0.0.1:{free_port()}/v1"
        )
        try:
            until_ready(f"http://127.0.0.1:{port}/readyz?part=index", process)
            found = ask(f"http://127.0.0.1:{port}/v1/search", {"query": "Which assistants can use it?"})
            assert found["data"]
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output

    def test_the_jobs_packages_are_enough_for_training_and_evaluation(self, folder: Path) -> None:
        (own := folder / "training").mkdir()
        code = "import datasets, ir_measures, peft, trl, sentence_transformers; print(trl.SFTTrainer.__name__)"
        done = Container(target("jobs"), own).python(code)
        assert done.returncode == 0, done.stdout
        assert done.stdout.split()[-1] == "SFTTrainer"


def until_ready(url: str, process: Any) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, process.stdout.read()
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the API is not ready")


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return dict(json.load(response))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
