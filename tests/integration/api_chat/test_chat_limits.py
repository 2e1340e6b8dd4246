"""How much one request may hold: what is just within is answered, what is just beyond is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import chat, limit_of, refusal
from tests.integration.api_server import QUESTION, ApiServer, FixedRetriever, ask
from tests.unit.test_errands import CONVERSATION, OPENINGS


def conversation(turns: int) -> list[dict[str, str]]:
    """So many messages, the last of them the question."""
    earlier = [{"role": ("user", "assistant")[each % 2], "content": f"turn {each}"} for each in range(turns - 1)]
    return [*earlier, {"role": "user", "content": QUESTION}]


@pytest.fixture
def limited(model: FakeModel) -> Callable[..., Any]:
    """The body of one POST to a server with these settings."""

    def post(path: str, body: dict[str, Any], **settings: Any) -> Any:
        with ApiServer(FixedRetriever(), llm_url=model.url, **settings) as api:
            return httpx2.post(f"{api.v1}/{path}", json=body, trust_env=False, timeout=20).json()

    return post


class TestMessages:
    @pytest.mark.parametrize("path", ["/chat/completions", "/context"])
    def test_two_hundred_are_read_and_one_more_is_refused(self, http: httpx2.Client, path: str) -> None:
        assert http.post(path, json={"messages": conversation(200)}).status_code == 200
        refused = http.post(path, json={"messages": conversation(201)})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "messages"

    @pytest.mark.parametrize("path", ["chat/completions", "context"])
    def test_how_many_is_a_setting(self, limited: Callable[..., Any], path: str) -> None:
        for turns, refused in ((5, False), (6, True)):
            body = limited(path, {"messages": conversation(turns)}, max_messages=5)
            assert ("error" in body) is refused
        assert body["error"]["param"] == "messages"
        assert "LIBRARIAN_MAX_MESSAGES" in body["error"]["message"]

    def test_a_turn_may_have_a_hundred_thousand_characters(self, http: httpx2.Client) -> None:
        def long(characters: int) -> list[dict[str, str]]:
            return [{"role": "user", "content": "x" * characters}, *conversation(1)]

        assert chat(http, messages=long(100_000))["choices"]
        assert "content" in refusal(http, messages=long(100_001))["param"]

    def test_a_question_for_a_search_may_have_twenty_thousand(self, http: httpx2.Client) -> None:
        assert "the model's 4096 tokens" in refusal(http, messages=ask("x" * 20_000)["messages"])["message"]
        assert http.post("/search", json={"query": "x" * 20_000}).status_code == 200
        assert http.post("/search", json={"query": "x" * 20_001}).status_code == 400

    def test_four_stops_are_passed_on_and_one_more_is_refused(self, http: httpx2.Client, model: FakeModel) -> None:
        chat(http, stop=["a" * 256, "b", "c", "\n"])
        assert model.chats[-1]["stop"] == ["a" * 256, "b", "c", "\n"]
        assert refusal(http, stop=["a"] * 5)["param"] == "stop"


class TestTokens:
    @pytest.mark.parametrize(("most", "given"), [(200, 1), (1600, 3)])
    def test_passages_that_pass_max_context_tokens_are_left_out_and_named(
        self, limited: Callable[..., Any], most: int, given: int
    ) -> None:
        body = limited("chat/completions", ask(), max_context_tokens=most)
        assert len(body["context"]) == given
        assert [each["reason"] for each in body["dropped"]] == ["token budget"] * (3 - given)

    def test_an_answer_has_max_answer_tokens_where_its_request_names_none(
        self, limited: Callable[..., Any], model: FakeModel
    ) -> None:
        limited("chat/completions", ask(), max_answer_tokens=70)
        assert limit_of(model) == 70

    @pytest.mark.parametrize(
        ("asked", "allowed", "told"), [(90, 90, []), (91, 90, ["91 tokens were asked for, 90 are"])]
    )
    @pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
    @pytest.mark.parametrize("text", [QUESTION, OPENINGS[0] + CONVERSATION], ids=["a question", "an errand"])
    def test_a_request_gets_max_requested_tokens_at_most_and_is_told(
        self,
        limited: Callable[..., Any],
        model: FakeModel,
        text: str,
        field: str,
        asked: int,
        allowed: int,
        told: list[str],
    ) -> None:
        body = limited("chat/completions", ask(text, **{field: asked}), max_requested_tokens=90, max_answer_tokens=20)
        assert limit_of(model) == allowed
        assert [each["reason"].removesuffix(" allowed") for each in body["dropped"] if each["what"] == "answer"] == told

    def test_it_never_takes_from_what_an_answer_gets_unasked(
        self, limited: Callable[..., Any], model: FakeModel
    ) -> None:
        for fields in ({}, {"max_tokens": 120}):
            limited("chat/completions", ask(**fields), max_requested_tokens=50, max_answer_tokens=120)
            assert limit_of(model) == 120
