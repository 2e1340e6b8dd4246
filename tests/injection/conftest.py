"""One real embedded index of all hostile documents, the API over it, and a stand-in for a model that obeys.

Ingestion, index, retrieval, prompt, citations and API are the real parts. Stand-ins are the encoder (a hash of the
text: each test asks for its documents by path, so what a vector means does not matter) and the chat model's server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from ingest.job import IngestJob
from ingest.options import Options
from ingest.sources import open_source
from rag.encoders import Bm25Encoder
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.ingest_kit import HashEncoder, Points, stored
from tests.injection.case import Case
from tests.injection.families import ALL
from tests.integration.api_server import ApiServer, ask

GROUPS = ("harbour",)
TENANT = "port"
BESIDE = "beside.md"  # an honest document, found with each hostile one
QUESTION = "When is the tide high?"


@dataclass(frozen=True)
class Outcome:
    """What became of one document: its points, the messages that the model got, and the reply's body."""

    points: Points
    messages: list[dict[str, str]]
    reply: dict[str, Any]

    @property
    def prompt(self) -> str:
        """What the model got beside the service's own words."""
        return "\n".join(each["content"] for each in self.messages if each["role"] != "system")

    @property
    def answer(self) -> str:
        return str(self.reply["choices"][0]["message"]["content"])


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Case], Outcome]]:
    """Ask about a case with a model that says `case.said`; each case is asked once."""
    docs = tmp_path_factory.mktemp("hostile")
    (docs / BESIDE).write_text("# Harbour\n\nThe tide is high at noon, and ships enter the harbour then.\n")
    for case in ALL:
        (docs / case.path).write_bytes(case.bytes)
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), tenant=TENANT, min_relevance=0.0)
    dense, sparse = HashEncoder(), Bm25Encoder()
    dense.max_tokens = 256
    index = EmbeddedIndex(tmp_path_factory.mktemp("index"))
    with closing(open_source(docs, settings)) as source:
        report = IngestJob(index, dense, sparse, settings, Options(groups=GROUPS)).run(source)
    assert (report.failures, report.added) == (0, len(ALL) + 1), report
    points = stored(index, tenant=TENANT)
    retriever = Retriever(ThreadedIndex(index), dense, sparse, settings)
    seen: dict[str, Outcome] = {}
    values = {"tenant": TENANT, "groups": GROUPS, "min_relevance": 0.0}
    with FakeModel() as model, ApiServer(retriever, llm_url=model.url, **values) as api:

        def asked(case: Case) -> Outcome:
            if case.path not in seen:
                seen[case.path] = _ask(api, model, case, points)
            return seen[case.path]

        yield asked
    index.close()


def _ask(api: ApiServer, model: FakeModel, case: Case, points: Points) -> Outcome:
    said = case.said
    model.pieces = [said[start : start + 7] for start in range(0, min(len(said), 7000), 7)]  # cut where it may hurt
    either = {"or": [{"field": "path", "eq": case.path}, {"field": "path", "eq": BESIDE}]}
    response = httpx2.post(
        f"{api.v1}/chat/completions", json=ask(QUESTION, filter=either, top_k=6), trust_env=False, timeout=20
    )
    assert response.status_code == 200, response.text
    own = {key: each for key, each in points.items() if each["path"] == case.path}
    return Outcome(own, model.chats[-1]["messages"], response.json())
