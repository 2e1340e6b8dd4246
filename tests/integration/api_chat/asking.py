"""What the chat model says in these tests, and short words for asking the API."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from tests.fake_model import FakeModel
from tests.integration.api_server import ask

PIECES = (
    "Kubernetes runs ",
    "containers [",
    "1]. A readiness ",
    "probe keeps traffic away [2]. ",
    "Quota [7] is free.",
)


TEXT = "Kubernetes runs containers [1]. A readiness probe keeps traffic away [2]. Quota  is free."
DEFAULTS = FakeModel()
UNCOUNTED = {"tokenize": 404}  # as most servers: the service counts bytes itself, which saves these tests many calls
UNRELATED = [{"role": "user", "content": "How are quarterly tariffs negotiated?"}]


def chat(http: httpx2.Client, **fields: Any) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    response = http.post("/chat/completions", json=ask(**fields))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def stream(http: httpx2.Client, **fields: Any) -> list[Any]:
    """The events of a streamed answer, "[DONE]" as it is."""
    with http.stream("POST", "/chat/completions", json=ask(stream=True, **fields)) as response:
        assert response.status_code == 200, response.read()
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def refusal(http: httpx2.Client, status: int = 400, **fields: Any) -> dict[str, Any]:
    """The error of a request that is refused."""
    response = http.post("/chat/completions", json={**ask(), **fields})
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


def limit_of(model: FakeModel) -> int:
    """How many tokens the model was allowed, under whichever of its two names."""
    asked = model.chats[-1]
    return int(asked.get("max_completion_tokens") or asked["max_tokens"])
