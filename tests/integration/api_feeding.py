"""The API with the ingestion engine behind it, over a real index; only the encoder is a stand-in.

with feeding(tmp_path) as api:
    job = api.done(api.send({"a.md": b"# Pods"}))
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from ingest.service import Service
from ingest.work import IsCancelled, OnProgress
from rag.encoders import Bm25Encoder, DenseEncoder
from rag.errors import Cancelled
from rag.index import AsyncIndex, Index
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.ingest_kit import HashEncoder
from tests.integration.api_server import ApiServer

ENDED = {"done", "failed", "cancelled"}


class Feeding:
    """A running API: `http` calls it, `service` is the engine behind it."""

    def __init__(self, server: ApiServer, service: Service, index: Index, headers: Mapping[str, str]) -> None:
        self.server = server
        self.service = service
        self.index = index
        self.http = httpx2.Client(base_url=server.url, trust_env=False, timeout=60, headers=dict(headers))

    def send(self, files: Mapping[str, bytes], **fields: str) -> httpx2.Response:
        """POST /v1/documents as files."""
        return self.http.post(
            "/v1/documents", files=[("files", (name, data)) for name, data in files.items()], data=fields
        )

    def send_text(self, *documents: Mapping[str, Any], **fields: Any) -> httpx2.Response:
        """POST /v1/documents as JSON."""
        return self.http.post("/v1/documents", json={"documents": list(documents), **fields})

    def job(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v1/jobs/{identity}").raise_for_status().json()
        return found

    def wait(self, identity: str, until: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        """The job once it is as wanted."""
        end = time.monotonic() + seconds
        while not until(found := self.job(identity)):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def ended(self, response: httpx2.Response) -> dict[str, Any]:
        """The job that a request made, once it has ended."""
        assert response.status_code == 202, response.text
        assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
        return self.wait(response.json()["id"], lambda job: job["state"] in ENDED)

    def done(self, response: httpx2.Response) -> dict[str, Any]:
        """The same, and it ended well."""
        job = self.ended(response)
        assert job["state"] == "done", job
        report: dict[str, Any] = job["report"]
        return report

    def uris(self, **query: Any) -> list[str]:
        """URIs of GET /v1/documents."""
        found = self.http.get("/v1/documents", params=query).raise_for_status().json()
        return [each["uri"] for each in found["data"]]


@contextmanager
def feeding(
    folder: Path,
    index: Index | None = None,
    dense: DenseEncoder | None = None,
    async_index: AsyncIndex | None = None,
    beats: tuple[float, float] = (10.0, 45.0),
    **values: Any,
) -> Iterator[Feeding]:
    """A running API over `index` (a new embedded one in `folder`, if none). `beats`: seconds between signs of life, and
    after which a job without one is dead. `values` are settings."""
    opened = index or EmbeddedIndex(folder / "index")
    settings = Settings(data_dir=folder, **values)
    encoder, sparse = dense or HashEncoder(), Bm25Encoder()
    service = Service(settings, opened, encoder, sparse, *beats)
    retriever = Retriever(async_index or ThreadedIndex(opened), encoder, sparse, settings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with (
            FakeModel() as model,
            ApiServer(retriever, data_dir=folder, ingestor=service, **{"llm_url": model.url, **values}) as server,
        ):
            found = Feeding(server, service, opened, headers)
            yield found
            found.http.close()
    finally:
        service.close()
        if index is None:
            opened.close()


class Gate:
    """Stands for the work of an upload where a test must decide when it ends: it lasts until opened or cancelled."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.started = threading.Event()

    def __call__(self, settings: Settings, documents: Any) -> Gate:
        return self

    def run(
        self, index: Index, dense: DenseEncoder, sparse: Bm25Encoder, on_progress: OnProgress, cancelled: IsCancelled
    ) -> dict[str, Any]:
        self.started.set()
        while not self.opened.wait(0.02):
            if cancelled():
                raise Cancelled("stopped")
        return {"added": 1}

    def may_write(self, uri: str) -> bool:
        return True
