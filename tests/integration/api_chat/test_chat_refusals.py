"""What the chat API refuses, and in which words."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import chat, refusal


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("tools", [{"type": "function", "function": {"name": "f"}}]),
            ("tool_choice", "auto"),
            ("functions", [{"name": "f"}]),
            ("logprobs", True),
            ("logit_bias", {"50256": -100}),
            ("response_format", {"type": "json_object"}),
            ("modalities", ["audio"]),
            ("n", 2),
        ],
    )
    @pytest.mark.parametrize("streaming", [False, True])
    def test_what_cannot_be_honoured_is_refused_by_name(
        self, http: httpx2.Client, model: FakeModel, field: str, value: Any, streaming: bool
    ) -> None:
        error = refusal(http, **{field: value}, stream=streaming)
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_request", field)
        assert field in error["message"]
        assert model.chats == []

    def test_one_choice_may_be_asked_for_by_number(self, http: httpx2.Client) -> None:
        assert len(chat(http, n=1)["choices"]) == 1

    def test_an_image_is_refused_by_name(self, http: httpx2.Client) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
        words = {"type": "text", "text": "What is this?"}
        error = refusal(http, messages=[{"role": "user", "content": [words, image]}])
        assert "image_url" in error["message"]
        assert error["param"].startswith("messages.0.content")

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            [{"role": "system", "content": "a"}],
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": " \n\t "}],
            [{"role": "user", "content": []}],
            [{"role": "user", "content": [{"type": "text", "text": " "}]}],
        ],
    )
    def test_without_a_question_at_the_end_there_is_nothing_to_answer(
        self, http: httpx2.Client, messages: list[Any]
    ) -> None:
        assert "last message must be the user's question" in refusal(http, messages=messages)["message"]

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": "a"}] * 201}, "messages"),
            ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
            ({"messages": [{"role": "user", "content": None}]}, "messages.0.content.text"),
            ({"messages": [{"role": "user"}]}, "messages.0.content"),
            ({"temperature": 2.1}, "temperature"),
            ({"top_p": 0}, "top_p"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"top_k": 101}, "top_k"),
            ({"seed": 2**63}, "seed"),
            ({"seed": -(2**63) - 1}, "seed"),
            ({"seed": "7"}, "seed"),
            ({"seed": 7.5}, "seed"),
            ({"seed": True}, "seed"),
            ({"stop": 7}, "stop"),
            ({"stop": ["a"] * 5}, "stop"),
            ({"stop": ""}, "stop.0"),
            ({"stop": "x" * 257}, "stop.0"),
            ({"stop": ["a", ""]}, "stop.1"),
            ({"stop": ["a", None]}, "stop.1"),
            ({"stop": [["a"]]}, "stop.0"),
            ({"collection": "../etc"}, "collection"),
            ({"stream_options": {"include_obfuscation": False}}, "stream_options.include_obfuscation"),
        ],
    )
    def test_a_value_out_of_bounds_is_named(self, http: httpx2.Client, fields: dict[str, Any], param: str) -> None:
        error = refusal(http, **fields)
        assert error["param"] == param
        assert param in error["message"]

    @pytest.mark.parametrize("name", ["../etc", "a b", ".hidden"])
    def test_what_cannot_name_a_collection_is_told_what_can(self, http: httpx2.Client, name: str) -> None:
        message = refusal(http, collection=name)["message"]
        assert (
            message == "collection: names are of letters, digits, '_', '-' and '.', and begin with a letter or a digit"
        )

    def test_a_question_that_no_window_holds_is_refused_before_the_model(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        error = refusal(http, messages=[{"role": "user", "content": "why " * 4990}])
        assert error["code"] == "prompt_too_long"
        assert "4096" in error["message"]
        assert model.chats == []

    def test_what_the_model_refuses_is_the_callers_mistake(self, http: httpx2.Client, model: FakeModel) -> None:
        model.fail = {"chat": 400}
        assert model.error_message in refusal(http)["message"]
