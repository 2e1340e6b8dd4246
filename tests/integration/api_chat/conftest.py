"""POST /v1/chat/completions as OpenAI's SDK, LangChain and plain HTTP clients see it.

The API and the chat model's stand-in run for real, on sockets; the retriever finds the same passages for everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import DEFAULTS, PIECES, UNCOUNTED
from tests.integration.api_server import PASSAGES, ApiServer, FixedRetriever

if TYPE_CHECKING:
    import openai


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ApiServer, FakeModel]]:
    with FakeModel(fail={**UNCOUNTED}) as model, ApiServer(FixedRetriever(), llm_url=model.url) as api:
        yield api, model


@pytest.fixture
def model(running: tuple[ApiServer, FakeModel]) -> FakeModel:
    """The chat model, saying PIECES unless a test has it say something else."""
    _, model = running
    for name in ("delay", "finish_reason", "usage", "dies_after", "hangs_after", "garbage_after"):
        setattr(model, name, getattr(DEFAULTS, name))
    model.pieces, model.fail, model.requests = PIECES, {**UNCOUNTED}, []
    return model


@pytest.fixture
def retriever(running: tuple[ApiServer, FakeModel]) -> FixedRetriever:
    found: FixedRetriever = running[0].retriever
    found.passages, found.relevance, found.asked = PASSAGES, 0.8, []
    return found


@pytest.fixture
def api(running: tuple[ApiServer, FakeModel], model: FakeModel, retriever: FixedRetriever) -> ApiServer:
    return running[0]


@pytest.fixture
def http(api: ApiServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api.v1, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def sdk(api: ApiServer) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, set up the way its documentation says."""
    import openai  # a second to load, and most workers run none of this

    with openai.OpenAI(base_url=api.v1, api_key="any", max_retries=0, timeout=20) as client:
        yield client
