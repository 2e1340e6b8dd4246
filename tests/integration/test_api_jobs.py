"""Jobs of the API: waiting, running, cancelled, shut down, killed; seen by every replica; and questions beside them."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from rag.encoders import LocalEncoder
from rag.index.async_server import AsyncServerIndex
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.schema import Scope
from tests.fake_model import FakeModel, wait_until
from tests.integration.api_feeding import Feeding, Gate, feeding
from tests.integration.serving import Serving

OWNER = Scope.owner("default")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Uploads last until it is opened."""
    gate = Gate()
    monkeypatch.setattr("ingest.service.upload_work", gate)
    return gate


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index")
    yield opened
    opened.close()


class TestTheQueue:
    def test_one_job_runs_and_the_others_wait(self, gate: Gate, tmp_path: Path) -> None:
        with feeding(tmp_path) as api:
            first, second = (api.send({"a.md": b"x"}).json()["id"] for _ in range(2))
            api.wait(first, lambda job: job["state"] == "running")
            assert api.job(second)["state"] == "queued"
            listed = api.http.get("/v1/jobs").json()["data"]
            assert [each["id"] for each in listed] == [second, first]
            gate.opened.set()
            for each in (first, second):
                job = api.wait(each, lambda job: job["state"] == "done")
                assert job["report"] == {"added": 1}
                assert job["finished"] >= job["created"]

    def test_more_than_may_wait_are_told_to_come_back(self, gate: Gate, tmp_path: Path) -> None:
        with feeding(tmp_path, max_queued_jobs=2) as api:
            sent = [api.send({"a.md": b"x"}) for _ in range(3)]
            assert [each.status_code for each in sent] == [202, 202, 429]
            assert "LIBRARIAN_MAX_QUEUED_JOBS" in sent[2].text
            assert sent[2].headers["retry-after"]
            gate.opened.set()
            api.ended(sent[1])
            assert api.ended(api.send({"a.md": b"x"}))["state"] == "done"

    def test_a_job_is_cancelled_where_it_waits_and_where_it_runs(self, gate: Gate, tmp_path: Path) -> None:
        with feeding(tmp_path) as api:
            running, waiting = (api.send({"a.md": b"x"}).json()["id"] for _ in range(2))
            api.wait(running, lambda job: job["state"] == "running")
            assert api.http.delete(f"/v1/jobs/{waiting}").json()["state"] == "cancelled"
            assert api.http.delete(f"/v1/jobs/{running}").status_code == 202
            job = api.wait(running, lambda job: job["state"] == "cancelled")
            assert job["send_again"] == ["a.md"]
            assert job["error"]["code"] == "cancelled"
            assert api.http.delete(f"/v1/jobs/{running}").json()["state"] == "cancelled"
            assert api.http.delete("/v1/jobs/unknown").status_code == 404

    def test_what_a_job_is_about_to_write_is_not_deleted_under_it(self, gate: Gate, tmp_path: Path) -> None:
        with feeding(tmp_path) as api:
            gate.opened.set()
            api.ended(api.send({"a.md": b"x"}))
            gate.opened.clear()
            with pytest.MonkeyPatch.context() as real:
                from ingest.work import upload_work

                real.setattr("ingest.service.upload_work", upload_work)
                api.done(api.send({"a.md": b"x", "b.md": b"x"}))
            identity = api.send({"a.md": b"y"}).json()["id"]
            busy = api.http.delete("/v1/documents", params={"uri": "upload:a.md"})
            assert busy.status_code == 409
            assert identity in busy.json()["error"]["message"]
            assert api.http.delete("/v1/documents", params={"uri": "upload:b.md"}).json()["deleted"] == 1

    def test_a_defect_ends_the_job_and_not_the_service(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Broken(Gate):
            def run(self, *_: Any) -> dict[str, Any]:
                raise ZeroDivisionError("the password is hunter2")

        with feeding(tmp_path) as api:
            with monkeypatch.context() as patch:
                patch.setattr("ingest.service.upload_work", Broken())
                job = api.ended(api.send({"a.md": b"x"}))
            assert job["state"] == "failed"
            assert job["error"]["code"] == "internal_error"
            assert job["send_again"] == ["a.md"]
            assert "hunter2" not in str(job)
            assert api.done(api.send({"a.md": b"x"}))["added"] == 1


class TestTheEndOfAProcess:
    def test_a_shutdown_cancels_at_a_safe_point_and_says_what_to_send_again(
        self, gate: Gate, index: EmbeddedIndex, tmp_path: Path
    ) -> None:
        with feeding(tmp_path, index) as api:
            ids = [api.send({f"{each}.md": b"x"}).json()["id"] for each in range(2)]
            assert gate.started.wait(10)
        with feeding(tmp_path, index) as api:
            for number, each in enumerate(ids):
                job = api.job(each)
                assert job["state"] == "cancelled"
                assert "shutdown" in job["error"]["message"]
                assert job["send_again"] == [f"{number}.md"]

    def test_a_killed_process_fails_its_job_and_leaves_no_bytes(self, tmp_path: Path, fake_model: FakeModel) -> None:
        text = ("Pods run containers on the nodes of a cluster, and probes check them. " * 40).encode()
        files = {f"{number}.md": b"# Document %d\n\n" % number + text for number in range(150)}
        with Serving(tmp_path, fake_model.url) as before:
            sent = before.http.post("/v1/documents", files=[("files", each) for each in files.items()])
            identity = sent.json()["id"]
            assert wait_until(
                lambda: before.http.get(f"/v1/jobs/{identity}").json()["progress"].get("chunks", 0) > 0, 60
            )
            before.kill()
        assert list((tmp_path / "uploads").glob("*/*/*"))
        with Serving(tmp_path, fake_model.url) as after:
            job = after.http.get(f"/v1/jobs/{identity}").json()
            assert job["state"] == "failed"
            assert job["error"]["code"] == "worker_died"
            assert "send again" in job["error"]["message"]
            assert job["send_again"] == list(files)
            assert not list((tmp_path / "uploads").glob("*/*/*"))
            again = after.http.post("/v1/documents", files=[("files", each) for each in list(files.items())[:3]])
            path = again.headers["location"]
            assert wait_until(lambda: after.http.get(path).json()["state"] == "done", 60)


class TestReplicas:
    def test_they_share_their_jobs(self, gate: Gate, tmp_path: Path) -> None:
        shared = QdrantClient(":memory:")
        index = ServerIndex(shared, "http://memory:6333")
        nowhere = AsyncServerIndex(AsyncQdrantClient(":memory:"), "http://memory:6333")  # only questions ask it
        values = {"qdrant_url": "http://memory:6333", "beats": (0.1, 45.0)}
        with (
            feeding(tmp_path / "1", index, async_index=nowhere, **values) as one,
            feeding(tmp_path / "2", index, async_index=nowhere, **values) as two,
        ):
            identity = one.send({"a.md": b"x"}).json()["id"]
            two.wait(identity, lambda job: job["state"] == "running")
            two.http.delete(f"/v1/jobs/{identity}")
            assert one.wait(identity, lambda job: job["state"] == "cancelled")["send_again"] == ["a.md"]
            assert two.job(identity)["state"] == "cancelled"

    def test_one_that_dies_is_noticed_by_the_others(
        self, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ServerIndex(QdrantClient(":memory:"), "http://memory:6333")
        nowhere = AsyncServerIndex(AsyncQdrantClient(":memory:"), "http://memory:6333")
        values = {"qdrant_url": "http://memory:6333"}
        with (
            feeding(tmp_path / "1", index, async_index=nowhere, beats=(3600.0, 1.0), **values) as silent,
            feeding(tmp_path / "2", index, async_index=nowhere, beats=(3600.0, 1.0), **values) as other,
        ):
            identity = silent.send({"a.md": b"x"}).json()["id"]
            job = other.wait(identity, lambda job: job["state"] == "failed", 20)
            assert job["error"]["code"] == "worker_died"
            assert job["send_again"] == ["a.md"]


class TestBesideQuestions:
    def test_questions_are_answered_while_a_job_encodes(self, tmp_path: Path, minilm: LocalEncoder) -> None:
        text = "Pods run containers on the nodes of a cluster, and probes check whether they are ready. " * 30
        files = {f"{number}.md": f"# Document {number}\n\n{text}".encode() for number in range(250)}
        with feeding(tmp_path, dense=minilm, min_relevance=0) as api:
            api.done(api.send({"first.md": b"Kueue admits jobs when there is quota."}))
            identity = api.send(files).json()["id"]
            before = api.wait(identity, lambda job: job["progress"].get("chunks", 0) > 0)["progress"]["chunks"]
            health, search = [], []
            end = time.monotonic() + 20
            while api.job(identity)["state"] == "running" and len(search) < 7 and time.monotonic() < end:
                health.append(_seconds(api, "GET", "/healthz"))
                search.append(_seconds(api, "POST", "/v1/search", {"query": f"quota {len(search)}"}))
            assert len(search) >= 5
            api.wait(identity, lambda job: job["progress"]["chunks"] > before)
            api.http.delete(f"/v1/jobs/{identity}")
            api.wait(identity, lambda job: job["state"] in {"cancelled", "done"})
        print(f"health {_shown(health)}; search {_shown(search)}", file=sys.stderr)
        # Bounds for a busy machine with two cores; without slices a search waits for a whole window of chunks.
        assert statistics.median(health) < 0.5
        assert statistics.median(search) < 2.5
        assert max(search) < 8


def _seconds(api: Feeding, method: str, path: str, body: Any = None) -> float:
    began = time.monotonic()
    api.http.request(method, path, json=body).raise_for_status()
    return time.monotonic() - began


def _shown(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s of {len(seconds)}"
