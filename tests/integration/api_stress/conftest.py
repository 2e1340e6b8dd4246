"""The API when things go wrong: clients leave, too many come, the model dies or hangs, bodies are hostile.

Every wait is bounded; what must not happen is looked for in the service's own counts (/metrics), in the model's (how
many streams it still writes) and in the event loop's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.fake_model import FakeModel, wait_until
from tests.integration.api_server import ApiServer, FixedRetriever
from tests.integration.api_stress.pressure import LIMIT, MAX_BODY


@pytest.fixture(scope="module")
def started_model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture
def model(started_model: FakeModel) -> FakeModel:
    """The chat model as at its start: well-behaved, nothing counted."""
    assert wait_until(lambda: started_model.streaming == 0)
    fresh = FakeModel()
    for each in dataclasses.fields(fresh):
        setattr(started_model, each.name, getattr(fresh, each.name))
    started_model.requests, started_model.abandoned, started_model.sent = [], 0, 0
    return started_model


@pytest.fixture
def serve(model: FakeModel) -> Iterator[Callable[..., ApiServer]]:
    """A factory of running servers with small limits."""
    running: list[ApiServer] = []

    def start(**values: Any) -> ApiServer:
        settings = {"llm_url": model.url, "max_concurrent_requests": LIMIT, "max_request_bytes": MAX_BODY, **values}
        server = ApiServer(FixedRetriever(), **settings).__enter__()
        running.append(server)
        return server

    yield start
    for server in reversed(running):
        server.__exit__()


@pytest.fixture
def api(serve: Callable[..., ApiServer]) -> ApiServer:
    return serve()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as client:
        yield client
