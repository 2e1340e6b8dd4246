"""What /metrics says of ingestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.api_feeding import Gate, feeding


def test_jobs_are_counted_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate()
    monkeypatch.setattr("ingest.service.upload_work", gate)
    with feeding(tmp_path) as api:
        first, second = (api.send({"a.md": b"x"}).json()["id"] for _ in range(2))
        api.wait(first, lambda job: job["state"] == "running")
        assert api.server.metric("librarian_jobs", state="running") == 1
        assert api.server.metric("librarian_jobs", state="queued") == 1
        api.http.delete(f"/v1/jobs/{second}")
        gate.opened.set()
        api.wait(first, lambda job: job["state"] == "done")
        assert api.server.metric("librarian_jobs", state="queued") == 0
        assert api.server.metric("librarian_jobs_ended_total", state="done") == 1
        assert api.server.metric("librarian_jobs_ended_total", state="cancelled") == 1


def test_documents_and_chunks_are_counted_once(tmp_path: Path) -> None:
    with feeding(tmp_path) as api:
        for _ in range(2):  # the second finds everything as it was
            api.done(api.send({"a.md": b"# A\n\nPods run containers.", "b.md": b"# B\n\nNodes run pods."}))
        assert api.server.metric("librarian_ingested_documents_total", outcome="written") == 2
        assert api.server.metric("librarian_ingested_chunks_total") == 2
