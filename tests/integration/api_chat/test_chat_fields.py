"""Librarian's own fields of a chat request, and the fields of OpenAI's that clients send unasked."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT, chat, refusal, stream
from tests.integration.api_server import QUESTION, FixedRetriever

FOLLOW_UP = [
    {"role": "user", "content": "What does a readiness probe do?"},
    {"role": "assistant", "content": "It keeps traffic away."},
    {"role": "user", "content": "How do I configure it?"},
]


class TestRewrite:
    @pytest.mark.parametrize(("how", "searched"), [("off", False), ("rules", True), (None, True)])
    def test_it_says_what_is_searched_for_a_follow_up(
        self, http: httpx2.Client, retriever: FixedRetriever, how: str | None, searched: bool
    ) -> None:
        chat(http, messages=FOLLOW_UP, rewrite=how)
        assert ("readiness" in retriever.asked[-1][0]) == searched

    def test_the_model_may_write_it(self, http: httpx2.Client, retriever: FixedRetriever, model: FakeModel) -> None:
        model.pieces = ("How do I configure a readiness probe?",)
        chat(http, messages=FOLLOW_UP, rewrite="model")
        assert retriever.asked[-1][0] == "How do I configure a readiness probe?"
        assert len(model.chats) == 2

    def test_another_word_is_refused_by_name(self, http: httpx2.Client) -> None:
        assert refusal(http, rewrite="always")["param"] == "rewrite"


class TestWithoutContext:
    def test_the_reply_has_everything_but_the_passages(self, http: httpx2.Client) -> None:
        body = chat(http, include_context=False)
        assert "context" not in body
        assert body.keys() | {"context"} == chat(http).keys()
        assert body["choices"][0]["message"]["content"] == TEXT
        assert [each["number"] for each in body["citations"]] == [1, 2]

    def test_so_has_the_stream(self, http: httpx2.Client) -> None:
        events = stream(http, include_context=False)
        assert not any("context" in each for each in events[:-1])
        assert "relevance" in events[0]
        assert len(events[-2]["citations"]) == 2

    def test_openais_client_can_ask_for_it(self, sdk: openai.OpenAI) -> None:
        answer = sdk.chat.completions.create(
            model="librarian",
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"include_context": False, "rewrite": "off"},
        )
        assert "context" not in (answer.model_extra or {})


class TestWhatClientsSendUnasked:
    @pytest.mark.parametrize(
        "fields",
        [
            {"user": "u1", "metadata": {"chat": "1"}, "safety_identifier": "u1", "prompt_cache_key": "k"},
            {"tools": [], "tool_choice": "none", "parallel_tool_calls": False, "functions": None},
            {"response_format": {"type": "text"}, "modalities": ["text"], "service_tier": "auto"},
            {"logprobs": False, "top_logprobs": None, "logit_bias": {}, "store": False},
        ],
    )
    def test_what_asks_for_nothing_is_taken_and_does_not_reach_the_model(
        self, http: httpx2.Client, model: FakeModel, fields: dict[str, Any]
    ) -> None:
        assert chat(http, **fields)["choices"][0]["message"]["content"] == TEXT
        assert not fields.keys() & model.chats[-1].keys()

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("tools", [{"type": "function", "function": {"name": "f"}}], "no tools"),
            ("parallel_tool_calls", True, "no tools"),
            ("response_format", {"type": "json_object"}, "citation markers"),
            ("logprobs", True, "markers are checked"),
            ("logprobs", 0, "markers are checked"),
            ("logit_bias", {"1": 5}, "token ids"),
            ("store", True, "not kept"),
            ("reasoning_effort", "low", "model's server"),
            ("frobnicate", None, "not supported"),
        ],
    )
    def test_what_asks_for_something_is_refused_with_the_reason(
        self, http: httpx2.Client, field: str, value: Any, why: str
    ) -> None:
        error = refusal(http, **{field: value})
        assert error["param"] == field
        assert why in error["message"]

    def test_an_earlier_answer_may_be_sent_back_as_it_came(self, http: httpx2.Client) -> None:
        earlier = {**chat(http)["choices"][0]["message"], "refusal": None, "tool_calls": None, "name": "librarian"}
        chat(http, messages=[{"role": "user", "content": "Hi"}, earlier, {"role": "user", "content": QUESTION}])

    def test_calls_of_tools_are_refused_by_name(self, http: httpx2.Client) -> None:
        calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        called = {"role": "assistant", "content": None, "tool_calls": calls}
        error = refusal(http, messages=[called, {"role": "user", "content": QUESTION}])
        assert error["param"] == "messages.0.tool_calls"
        assert "no tools" in error["message"]
