"""Requests made up from the OpenAPI document: no answer is a server error, and every one is as the document says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fake_model import FakeModel
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_routes.routes import KEY
from tests.integration.api_server import ApiServer, FixedRetriever

# Left out: that whatever fits the document is accepted. It cannot say that a conversation ends with a question.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 10


@pytest.fixture(scope="module")
def served() -> Iterator[ApiServer]:
    with FakeModel(fail={"tokenize": 404}) as model, ApiServer(FixedRetriever(), llm_url=model.url) as api:
        yield api


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    """An API that keeps things, called by an admin."""
    with feeding(tmp_path_factory.mktemp("schema"), api_key=KEY) as api:
        api.done(api.send_text({"id": "pods", "text": "Kubernetes runs containers in pods."}))
        yield api


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/context"),
        ("POST", "/v1/search"),
        ("GET", "/v1/collections/{name}"),
        ("GET", "/v1/models/{model}"),
    ],
)
def test_made_up_requests_are_answered_as_documented(served: ApiServer, method: str, path: str) -> None:
    assert max(answers(served.url, method, path)) < 500


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/feedback"), ("GET", "/v1/feedback"), ("GET", "/v1/models"), ("GET", "/v1/collections")],
)
def test_so_are_those_of_who_has_a_key(fed: Feeding, method: str, path: str) -> None:
    found = answers(fed.server.url, method, path, {"Authorization": f"Bearer {KEY}"})
    assert max(found) < 500
    assert min(found) < 300  # nothing but refusals would try the shape of no answer


def answers(url: str, method: str, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> list[int]:
    """The statuses of made-up requests to a route; each answer is as documented."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=dict(headers), timeout=60)
    answered: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def each(case: Any) -> None:
        response = case.call(base_url=url, timeout=60, headers=dict(headers))
        case.validate_response(response, checks=CHECKS)
        answered.append(response.status_code)

    each()
    assert answered  # none made up would be none checked
    return answered
