"""The API beside chat: search, models, health, metrics, keys, request ids, errors and the OpenAPI document.

Search runs over a real embedded index with the real retriever; only the dense encoder is a stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from rag.encoders import Bm25Encoder
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import KEY, HashEncoder, fill
from tests.integration.api_server import ApiServer, FixedRetriever


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture(scope="module")
def api(model: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API over a real index: `documents` holds TEXTS, `foreign` was made by another encoder."""
    dense, sparse = HashEncoder(), Bm25Encoder()
    index = EmbeddedIndex(tmp_path_factory.mktemp("index"))
    fill(index, "documents", dense, sparse)
    fill(index, "foreign", HashEncoder("other"), sparse)
    retriever = Retriever(ThreadedIndex(index), dense, sparse, Settings())
    with ApiServer(retriever, llm_url=model.url, max_request_bytes=20_000) as server:
        yield server
    index.close()


@pytest.fixture
def http(api: ApiServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api.url, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def locked(model: FakeModel) -> Iterator[ApiServer]:
    """The API with a key."""
    with ApiServer(FixedRetriever(), llm_url=model.url, api_key=KEY) as server:
        yield server


@pytest.fixture
def unready(model: FakeModel) -> Iterator[ApiServer]:
    """The API whose index and model a test may break."""
    with ApiServer(FixedRetriever(), llm_url=model.url) as server:
        yield server
    model.fail = {}
