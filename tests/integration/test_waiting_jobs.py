"""An upload that waits and is cancelled gives back its place in the queue and its bytes at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_model import wait_until
from tests.integration.api_feeding import Feeding, Gate, feeding


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setattr("ingest.service.upload_work", made)
    yield made
    made.opened.set()


def kept_bytes(folder: Path) -> int:
    return sum(
        each.stat().st_size for each in (folder / "uploads").rglob("*") if each.name != "lock" and each.is_file()
    )


def test_its_place_and_its_bytes_are_free_though_another_job_still_runs(tmp_path: Path, gate: Gate) -> None:
    with feeding(tmp_path, max_queued_jobs=2) as api:
        running = api.send({"a.md": b"x" * 1000}).json()["id"]
        assert gate.started.wait(10)
        waiting = api.send({"b.md": b"y" * 5000}).json()["id"]
        assert api.send({"c.md": b"z"}).status_code == 429
        cancelled = api.http.delete(f"/v1/jobs/{waiting}").json()
        assert cancelled["state"] == "cancelled"
        assert kept_bytes(tmp_path) == 1000
        third = api.send({"c.md": b"z"})
        assert third.status_code == 202
        assert api.job(running)["state"] == "running"
        gate.opened.set()
        assert api.ended(third)["state"] == "done"
        assert wait_until(lambda: kept_bytes(tmp_path) == 0, 10)


def test_jobs_are_done_in_the_order_in_which_they_came(tmp_path: Path, gate: Gate) -> None:
    with feeding(tmp_path) as api:
        sent: list[Feeding | str] = [api.send({f"{each}.md": b"x"}).json()["id"] for each in "abc"]
        gate.opened.set()
        ended = [api.wait(str(each), lambda job: job["state"] == "done")["finished"] for each in sent]
        assert ended == sorted(ended)


def test_a_server_that_stops_says_so_in_the_jobs_that_wait(tmp_path: Path, gate: Gate) -> None:
    with feeding(tmp_path) as api:
        api.send({"a.md": b"x"})
        assert gate.started.wait(10)
        waiting = api.send({"b.md": b"y"}).json()["id"]
        api.service.close()
        job = api.job(waiting)
        assert (job["state"], job["send_again"]) == ("cancelled", ["b.md"])
        assert "shutdown" in job["error"]["message"]
