"""What Open WebUI sends for one turn of a conversation: its list of models, the question, and errands behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.integration.real_clients.conftest import KEY, QUESTION, TEXT, Service
from tests.unit.test_errands import OPENINGS

HISTORY = f"\n### Chat History:\n<chat_history>\nUSER: {QUESTION}\nASSISTANT: {TEXT}\n</chat_history>\n"


@pytest.fixture
def http(service: Service) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {KEY}", "X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Role": "user"}
    with httpx2.Client(base_url=service.v1, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def errand(http: httpx2.Client, opening: str, **limits: int) -> dict[str, Any]:
    body = {"model": "librarian", "messages": [{"role": "user", "content": opening + HISTORY}], "stream": False}
    return dict(http.post("/chat/completions", json={**body, **limits}).raise_for_status().json())


def test_a_turn_of_a_conversation(http: httpx2.Client, service: Service) -> None:
    names = [each["id"] for each in http.get("/models").raise_for_status().json()["data"]]
    assert "librarian" in names

    body = {"model": "librarian", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    with http.stream("POST", "/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")  # what makes it read a stream
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    text = "".join(json.loads(each)["choices"][0]["delta"].get("content", "") for each in events[:-1])
    assert (text, events[-1]) == (TEXT, "[DONE]")

    searched = service.searches()
    service.model.pieces = ('{"title": ', '"Probes"}')
    assert errand(http, OPENINGS[0], max_completion_tokens=1000)["choices"][0]["message"]["content"] == (
        '{"title": "Probes"}'
    )
    for opening in OPENINGS:
        said = errand(http, opening)
        assert (said["context"], said["citations"]) == ([], [])
        assert "<passage" not in service.model.chats[-1]["messages"][-1]["content"]
    assert service.searches() == searched, "an errand searched the documents"

    earlier = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": TEXT}]
    follow_up = {**body, "messages": [*earlier, {"role": "user", "content": "And what admits jobs?"}], "stream": False}
    assert http.post("/chat/completions", json=follow_up).raise_for_status().json()["context"]
    assert service.searches() == searched + 1
