"""POST /v1/context over a real index: what a caller's own model is to be given."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from rag.prompt import SYSTEM
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import TEXTS, assert_error
from tests.integration.api_server import ApiServer, ask

QUERY = "readiness probe of a pod"
FOLLOW_UP = [
    {"role": "user", "content": "What does a readiness probe do?"},
    {"role": "assistant", "content": "It keeps traffic away."},
    {"role": "user", "content": "How do I configure it?"},
]


def context(http: httpx2.Client, **fields: Any) -> dict[str, Any]:
    response = http.post("/v1/context", json=fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


class TestTheContext:
    def test_it_is_the_prompt_that_the_chat_model_would_get(self, http: httpx2.Client, model: FakeModel) -> None:
        body = context(http, query=QUERY)
        assert http.post("/v1/chat/completions", json=ask(QUERY)).status_code == 200
        assert body["messages"] == model.chats[-1]["messages"]
        assert body["messages"][0] == {"role": "system", "content": SYSTEM}
        assert body["relevant"] is True
        assert body["relevance"] > 0.5
        assert (body["object"], body["collection"], body["query"]) == ("context", "documents", QUERY)

    def test_the_passages_are_numbered_as_in_the_prompt(self, http: httpx2.Client) -> None:
        body = context(http, query=QUERY, top_k=2)
        assert [each["number"] for each in body["passages"]] == [1, 2]
        assert body["passages"][0]["text"] == TEXTS[1]
        for each in body["passages"]:
            assert f"<passage {each['number']}: {each['title']}>\n{each['text']}" in body["messages"][-1]["content"]

    def test_the_chat_model_is_not_asked_to_answer(self, http: httpx2.Client, model: FakeModel) -> None:
        before = len(model.chats)
        context(http, query=QUERY)
        assert len(model.chats) == before

    def test_tokens_are_the_served_models(self, http: httpx2.Client) -> None:
        body = context(http, query=QUERY)
        words = sum(len(each["content"].split()) + 3 for each in body["messages"])
        assert (body["prompt_tokens"], body["tokens"]) == (words, "exact")
        assert {"rewrite", "encode", "search", "assemble"} <= body["timings_ms"].keys()

    @pytest.mark.parametrize("limit", [25, 50])
    def test_max_tokens_bounds_the_passages_and_what_is_left_out_is_told(self, http: httpx2.Client, limit: int) -> None:
        whole, body = context(http, query=QUERY), context(http, query=QUERY, max_tokens=limit)
        assert len(body["passages"]) < len(whole["passages"])
        assert {each["reason"] for each in body["dropped"]} == {"token budget"}
        bare = sum(len(text.split()) + 3 for text in (SYSTEM, QUERY))
        assert body["prompt_tokens"] <= bare + limit

    def test_passages_come_where_they_are_not_relevant_too(self, http: httpx2.Client) -> None:
        body = context(http, query="zzz qqq www")
        assert body["relevant"] is False
        assert body["passages"]

    def test_a_conversation_is_rewritten_and_stands_in_the_prompt(self, http: httpx2.Client) -> None:
        body = context(http, messages=FOLLOW_UP, rewrite="rules")
        assert "readiness" in body["query"]
        assert body["messages"][1:3] == FOLLOW_UP[:2]
        assert context(http, messages=FOLLOW_UP, rewrite="off")["query"] == FOLLOW_UP[-1]["content"]

    def test_a_filter_that_keeps_nothing_gives_an_empty_context(self, http: httpx2.Client) -> None:
        body = context(http, query=QUERY, filter={"field": "path", "eq": "nowhere"})
        assert (body["passages"], body["messages"], body["relevant"], body["relevance"]) == ([], [], False, None)

    def test_it_keeps_within_the_filter(self, http: httpx2.Client) -> None:
        body = context(http, query=QUERY, filter={"field": "path", "eq": "docs/1.md"})
        assert [each["source"] for each in body["passages"]] == ["docs/1.md"]


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"query": QUERY, "messages": FOLLOW_UP},
            {"query": ""},
            {"query": " \n"},
            {"messages": []},
            {"messages": FOLLOW_UP[:2]},
            {"query": QUERY, "max_tokens": 0},
            {"query": QUERY, "rewrite": "always"},
            {"query": QUERY, "stream": True},
            {"query": QUERY, "collection": "../etc"},
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, http: httpx2.Client, body: dict[str, Any]) -> None:
        assert_error(http.post("/v1/context", json=body), 400, "invalid_request_error", "invalid_request")

    def test_a_budget_that_holds_no_passage_is_refused_by_its_name(self, http: httpx2.Client) -> None:
        response = http.post("/v1/context", json={"query": QUERY, "max_tokens": 1})
        error = assert_error(response, 400, "invalid_request_error", "prompt_too_long")
        assert "max_tokens" in error["message"]

    def test_an_unknown_collection_is_404(self, http: httpx2.Client) -> None:
        response = http.post("/v1/context", json={"query": QUERY, "collection": "nowhere"})
        assert_error(response, 404, "not_found_error", "collection_not_found")

    def test_without_the_chat_models_server_nobody_counts_tokens(self, unready: ApiServer, model: FakeModel) -> None:
        model.fail = {"models": 500}
        response = httpx2.post(f"{unready.url}/v1/context", json={"query": QUERY}, trust_env=False)
        assert "LIBRARIAN_LLM_URL" in assert_error(response, 503, "server_error", "model_unavailable")["message"]

    def test_a_server_that_counts_no_tokens_gives_an_upper_bound(self, unready: ApiServer, model: FakeModel) -> None:
        model.fail = {"tokenize": 404}
        body = httpx2.post(f"{unready.url}/v1/context", json={"query": QUERY}, trust_env=False).json()
        assert body["tokens"] == "upper bound"
        assert body["prompt_tokens"] > sum(len(each["content"].split()) for each in body["messages"])
