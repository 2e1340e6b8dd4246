"""An example of each request and its answer, put into the OpenAPI document. A test holds them to their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from serve.examples.asking import ASKING
from serve.examples.example import Example
from serve.examples.keeping import KEEPING

EXAMPLES: Mapping[tuple[str, str], Example] = {**ASKING, **KEEPING}


def install(app: FastAPI) -> None:
    """Put them into the document that the application tells of itself."""
    described = app.openapi

    def with_examples() -> dict[str, Any]:
        document = described()
        for (method, path), example in EXAMPLES.items():
            operation = document["paths"].get(path, {}).get(method)
            if operation is not None:
                _put(operation, example)
        return document

    app.openapi = with_examples  # type: ignore[method-assign]


def _put(operation: dict[str, Any], example: Example) -> None:
    for media, requests in example.requests.items():
        shown = {name: {"value": value} for name, value in requests.items()}
        operation["requestBody"]["content"][media]["examples"] = shown
    [answer] = [each for status, each in operation["responses"].items() if status.startswith("2")]
    for media, value in example.answers.items():
        answer["content"][media]["example"] = value
