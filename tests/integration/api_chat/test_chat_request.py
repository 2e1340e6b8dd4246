"""What the chat API makes of a request: what the model is told, which collection is searched."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from rag.prompt import SYSTEM
from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT, chat, limit_of, refusal
from tests.integration.api_server import PASSAGES, QUESTION, FixedRetriever, ask


class TestWhatTheModelIsTold:
    def test_sampling_parameters_arrive(self, http: httpx2.Client, model: FakeModel) -> None:
        wanted = {
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END", "STOP"],
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
        }
        chat(http, **wanted)
        assert {name: model.chats[-1][name] for name in wanted} == wanted

    def test_what_is_not_given_is_left_to_the_settings_and_the_server(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        chat(http)
        assert model.chats[-1]["temperature"] == 0.0
        assert not {"top_p", "seed", "stop", "presence_penalty"} & model.chats[-1].keys()

    @pytest.mark.parametrize(("given", "sent"), [("END", ["END"]), (["END"], ["END"]), ([], [])])
    def test_a_stop_may_be_one_text_or_none(
        self, http: httpx2.Client, model: FakeModel, given: Any, sent: list[str]
    ) -> None:
        chat(http, stop=given)
        assert model.chats[-1].get("stop", []) == sent

    @pytest.mark.parametrize("seed", [0, -(2**63), 2**63 - 1])
    def test_a_seed_is_any_integer_of_64_bits(self, http: httpx2.Client, model: FakeModel, seed: int) -> None:
        chat(http, seed=seed)
        assert model.chats[-1]["seed"] == seed

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_the_wanted_length_arrives(self, http: httpx2.Client, model: FakeModel, name: str) -> None:
        chat(http, **{name: 77})
        assert limit_of(model) == 77

    def test_a_length_beyond_the_window_is_reduced_and_reported(self, http: httpx2.Client, model: FakeModel) -> None:
        body = chat(http, max_tokens=1_000_000)
        assert 16 <= limit_of(model) < 4096
        [reduced] = [each for each in body["dropped"] if each["what"] == "answer"]
        assert "1000000" in reduced["reason"]
        assert str(limit_of(model)) in reduced["reason"]

    def test_a_wish_for_a_long_answer_does_not_push_the_passages_out(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        body = chat(http, max_tokens=4096)  # the whole window: what many clients send unasked
        assert [each["source"] for each in body["context"]] == ["docs/1.md", "docs/2.md", "docs/3.md"]
        assert PASSAGES[0].text in model.chats[-1]["messages"][-1]["content"]

    def test_the_question_and_the_passages_are_the_last_turn(self, http: httpx2.Client, model: FakeModel) -> None:
        chat(http)
        last = model.chats[-1]["messages"][-1]
        assert last["role"] == "user"
        assert last["content"].endswith(QUESTION)
        assert all(each.text in last["content"] for each in PASSAGES)

    def test_text_parts_are_joined(self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever) -> None:
        parts = [{"type": "text", "text": "What runs"}, {"type": "text", "text": "containers?"}]
        chat(http, text=parts)  # type: ignore[arg-type]
        assert retriever.asked[-1][0] == "What runs\ncontainers?"
        assert "What runs\ncontainers?" in model.chats[-1]["messages"][-1]["content"]

    @pytest.mark.parametrize("role", ["system", "developer"])
    def test_the_callers_wishes_stand_behind_the_services_own(
        self, http: httpx2.Client, model: FakeModel, role: str
    ) -> None:
        wish = {"role": role, "content": "Answer in one sentence."}
        http.post("/chat/completions", json={"messages": [wish, *ask()["messages"]]}).raise_for_status()
        first, *rest = model.chats[-1]["messages"]
        assert first["role"] == "system"
        assert first["content"].startswith(SYSTEM)
        assert first["content"].endswith("Answer in one sentence.")
        assert [each["role"] for each in rest] == ["user"]

    def test_earlier_turns_go_before_the_question(
        self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever
    ) -> None:
        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello to you"}]
        http.post("/chat/completions", json={"messages": [*turns, *ask()["messages"]]}).raise_for_status()
        assert [each["role"] for each in model.chats[-1]["messages"]] == ["system", "user", "assistant", "user"]
        assert model.chats[-1]["messages"][1:3] == turns
        assert retriever.asked[-1][0] == QUESTION

    def test_an_answer_can_be_handed_back_as_a_turn(self, http: httpx2.Client, model: FakeModel) -> None:
        answer = chat(http)["choices"][0]["message"]  # with its annotations, as clients do
        following = {"messages": [*ask()["messages"], answer, {"role": "user", "content": "And pods?"}]}
        http.post("/chat/completions", json=following).raise_for_status()
        assert model.chats[-1]["messages"][-2] == {"role": "assistant", "content": TEXT}


class TestWhichCollection:
    @pytest.mark.parametrize(
        ("fields", "collection"),
        [
            ({}, None),
            ({"model": "librarian/handbook"}, "handbook"),
            ({"collection": "handbook"}, "handbook"),
            ({"model": "librarian/documents", "collection": "handbook"}, "handbook"),
        ],
    )
    def test_model_and_collection_choose_it(
        self, http: httpx2.Client, retriever: FixedRetriever, fields: dict[str, Any], collection: str | None
    ) -> None:
        body = chat(http, **fields)
        assert retriever.asked[-1][2] == collection
        assert body["model"] == fields.get("model", "librarian")

    def test_top_k_reaches_the_retriever(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        assert len(chat(http, top_k=2)["context"]) == 2
        assert retriever.asked[-1][3] == 2

    @pytest.mark.parametrize("name", ["gpt-4o", "librarian/", "Librarian", "librarians/documents", ""])
    def test_another_model_is_not_found_and_the_right_names_are_told(self, http: httpx2.Client, name: str) -> None:
        error = refusal(http, 404, model=name)
        assert (error["type"], error["code"]) == ("not_found_error", "model_not_found")
        assert "'librarian'" in error["message"]

    @pytest.mark.parametrize("streaming", [False, True])
    def test_an_unknown_collection_is_not_found_even_where_a_stream_was_asked_for(
        self, http: httpx2.Client, streaming: bool
    ) -> None:
        error = refusal(http, 404, model="librarian/nowhere", stream=streaming)
        assert error["code"] == "collection_not_found"
        assert "nowhere" in error["message"]
