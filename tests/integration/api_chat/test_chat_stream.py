"""What a streamed answer of the chat API holds, and in which order."""

from __future__ import annotations

import httpx2
import pytest

from rag.prompt import ABSTENTION
from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT, UNRELATED, chat, stream
from tests.integration.api_server import PASSAGES, ApiServer, FixedRetriever, ask


class TestOneStream:
    def test_sources_come_first_then_text_then_citations_then_usage_then_the_end(self, http: httpx2.Client) -> None:
        first, *middle, last, usage, done = stream(http, stream_options={"include_usage": True})
        assert [each["number"] for each in first["context"]] == [1, 2, 3]
        assert {each["cited"] for each in first["context"]} == {None}
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert all(each["choices"][0]["delta"].keys() == {"content"} for each in middle)
        assert all(each["choices"][0]["finish_reason"] is None for each in [first, *middle])
        assert [each["number"] for each in last["citations"]] == [1, 2]
        assert last["choices"][0]["finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        assert done == "[DONE]"

    def test_its_text_is_that_of_the_answer_that_is_not_streamed(self, http: httpx2.Client) -> None:
        chunks = [each for each in stream(http) if each != "[DONE]"]
        joined = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
        assert joined == TEXT
        assert joined == chat(http)["choices"][0]["message"]["content"]

    def test_its_annotations_are_those_of_the_answer_that_is_not_streamed(self, http: httpx2.Client) -> None:
        last = stream(http)[-2]
        body = chat(http)
        assert last["choices"][0]["delta"]["annotations"] == body["choices"][0]["message"]["annotations"]
        assert last["citations"] == body["citations"]

    def test_without_include_usage_no_chunk_speaks_of_usage(self, http: httpx2.Client) -> None:
        assert not any("usage" in each for each in stream(http) if each != "[DONE]")

    def test_all_chunks_share_one_id_and_object(self, http: httpx2.Client) -> None:
        chunks = stream(http)[:-1]
        assert len({each["id"] for each in chunks}) == 1
        assert {each["object"] for each in chunks} == {"chat.completion.chunk"}
        assert {each["model"] for each in chunks} == {"librarian"}

    def test_it_is_an_event_stream_that_no_proxy_should_keep(self, api: ApiServer) -> None:
        response = httpx2.post(f"{api.v1}/chat/completions", json=ask(stream=True), trust_env=False)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"

    def test_text_arrives_while_the_model_still_writes(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces, model.hangs_after = ("Pods run ", "containers."), 1
        with http.stream("POST", "/chat/completions", json=ask(stream=True)) as response:
            for line in response.iter_lines():
                if "Pods run" in line:
                    break
            assert model.streaming == 1  # it has not ended, and its first words are here

    def test_an_abstention_is_streamed_in_the_same_order(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        retriever.relevance = 0.1
        first, text, last, done = stream(http, messages=UNRELATED)
        assert first["context"] == []
        assert len(first["dropped"]) == len(PASSAGES)
        assert text["choices"][0]["delta"]["content"] == ABSTENTION
        assert last["abstained"] is True
        assert done == "[DONE]"

    @pytest.mark.parametrize("separator", ["\n\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0c"])
    def test_no_character_of_the_answer_breaks_the_events(
        self, http: httpx2.Client, model: FakeModel, separator: str
    ) -> None:
        model.pieces = [f"one{separator}data: [DONE]", f"{separator}two"]
        chunks = stream(http)[:-1]
        joined = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
        assert joined == f"one{separator}data: [DONE]{separator}two"

    def test_half_a_surrogate_pair_from_the_model_does_not_break_the_stream(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        model.pieces = ["Pods \ud83d", " run."]
        chunks = stream(http)
        assert chunks[-1] == "[DONE]"
        assert not any("error" in each for each in chunks)
        assert chat(http)["choices"][0]["message"]["content"].endswith(" run.")
