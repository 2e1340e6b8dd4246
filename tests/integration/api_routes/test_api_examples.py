"""The examples of the OpenAPI document: every operation has them, and each is what its schema says."""

from __future__ import annotations

from typing import Any

import httpx2
import jsonschema
import pytest

from serve.chat_shapes import ChatRequest
from serve.context_shapes import ContextRequest
from serve.examples import EXAMPLES
from serve.feedback_shapes import FeedbackIn
from serve.routes.keys import KeyIn
from serve.search_shapes import SearchRequest

BODIES = {
    "/v1/chat/completions": ChatRequest,
    "/v1/context": ContextRequest,
    "/v1/search": SearchRequest,
    "/v1/feedback": FeedbackIn,
    "/v1/keys": KeyIn,
}


@pytest.fixture
def document(http: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def problems(document: dict[str, Any], content: dict[str, Any], where: str) -> list[str]:
    """What is wrong with the examples of each media type: that there are none, or that they do not fit."""
    found = []
    for media, described in content.items():
        examples = [each["value"] for each in described.get("examples", {}).values()]
        examples += [described["example"]] if "example" in described else []
        if not examples:
            found.append(f"{where} {media} has no example")
        schema = {**described.get("schema", {}), "components": document["components"]}
        checker = jsonschema.Draft202012Validator(schema)
        found += [f"{where} {media}: {error.message}" for each in examples for error in checker.iter_errors(each)]
    return found


def test_every_body_and_every_answer_has_one_that_fits(document: dict[str, Any]) -> None:
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            found += problems(document, operation.get("requestBody", {}).get("content", {}), where)
            answers = [each for status, each in operation["responses"].items() if status.startswith("2")]
            assert len(answers) == 1
            found += problems(document, answers[0]["content"], f"the answer of {where}")
    assert found == []


def test_one_that_does_not_fit_would_be_found(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    content["application/json"]["examples"] = {"wrong": {"value": {"query": 3, "colour": "red"}}}
    assert len(problems(document, content, "here")) == 2
    del content["application/json"]["examples"]
    assert problems(document, content, "here") == ["here application/json has no example"]


def test_none_is_of_a_route_that_is_gone(document: dict[str, Any]) -> None:
    there = {(method, path) for path, item in document["paths"].items() for method in item}
    assert set(EXAMPLES) == there


@pytest.mark.parametrize("path", BODIES)
def test_what_the_service_itself_checks_accepts_them_too(path: str) -> None:
    for each in EXAMPLES["post", path].requests["application/json"].values():
        BODIES[path].model_validate(each)


def test_each_field_of_a_question_is_in_an_example() -> None:
    for path in ("/v1/chat/completions", "/v1/context", "/v1/search"):
        shown = {name for each in EXAMPLES["post", path].requests["application/json"].values() for name in each}
        own = {"collection", "top_k", "filter", "rewrite", "include_context", "on_model_failure", "query"}
        assert own & set(BODIES[path].model_fields) <= shown
