"""One `librarian serve` for all of these tests: a process that wants a key and has indexed two documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fake_model import FakeModel, wait_until
from tests.integration.serving import Serving

KEY = "a-key-of-the-service"
QUESTION = "What keeps traffic from a pod?"
TEXT = "A readiness probe keeps traffic away [1]."
DOCUMENTS = [
    {"id": "probes.md", "text": "# Probes\n\nA readiness probe keeps traffic from a pod that is not ready."},
    {"id": "quota.md", "text": "# Quota\n\nKueue admits jobs when there is quota for them."},
]


@dataclass(frozen=True)
class Service:
    """Where it is, and the stand-in for its chat model."""

    url: str
    model: FakeModel
    process: Serving

    @property
    def v1(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    def searches(self) -> float:
        """How many answers have searched the documents so far."""
        counted = 'librarian_stage_seconds_count{stage="search"} '
        lines = self.process.http.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(counted)).removeprefix(counted))


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    values = {"LIBRARIAN_API_KEY": KEY, "LIBRARIAN_MIN_RELEVANCE": "0"}
    with FakeModel(fail={"tokenize": 404}) as model, Serving(folder, model.url, **values) as process:
        job = process.http.post("/v1/documents", json={"documents": DOCUMENTS}).raise_for_status().json()["id"]
        assert wait_until(lambda: process.http.get(f"/v1/jobs/{job}").json()["state"] == "done", 60), process.log()
        yield Service(process.url, model, process)


@pytest.fixture
def service(running: Service) -> Service:
    """The same, with nothing asked of its model yet."""
    running.model.pieces, running.model.requests = ("A readiness probe ", "keeps traffic away [1]."), []
    return running
