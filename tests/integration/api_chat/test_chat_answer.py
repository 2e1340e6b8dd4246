"""What an answer of the chat API holds."""

from __future__ import annotations

import httpx2

from rag.prompt import ABSTENTION
from tests.conftest import make_passage
from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT, UNRELATED, chat
from tests.integration.api_server import PASSAGES, FixedRetriever


class TestOneAnswer:
    def test_it_is_openais_chat_completion(self, http: httpx2.Client) -> None:
        body = chat(http)
        assert body["id"].startswith("chatcmpl-")
        assert body["object"] == "chat.completion"
        assert body["model"] == "librarian"
        assert body["created"] > 1_700_000_000
        [choice] = body["choices"]
        assert (choice["index"], choice["finish_reason"]) == (0, "stop")
        assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", TEXT)
        assert body["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}

    def test_every_answer_has_an_id_of_its_own(self, http: httpx2.Client) -> None:
        assert chat(http)["id"] != chat(http)["id"]

    def test_annotations_point_at_their_markers_and_name_the_sources(self, http: httpx2.Client) -> None:
        message = chat(http)["choices"][0]["message"]
        notes = [each["url_citation"] for each in message["annotations"]]
        assert [each["type"] for each in message["annotations"]] == ["url_citation"] * 2
        assert [message["content"][each["start_index"] : each["end_index"]] for each in notes] == ["[1]", "[2]"]
        assert [each["url"] for each in notes] == ["file:///docs/1.md", "file:///docs/2.md"]
        assert [each["title"] for each in notes] == ["Document 1", "Document 2"]

    def test_a_source_without_a_title_is_called_by_its_path(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Jobs wait for quota [3]."]
        [note] = chat(http)["choices"][0]["message"]["annotations"]
        assert note["url_citation"]["title"] == "docs/3.md"

    def test_spans_count_characters_not_bytes(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Größer 容器 🙂 [2]."]
        message = chat(http)["choices"][0]["message"]
        [note] = message["annotations"]
        start, end = note["url_citation"]["start_index"], note["url_citation"]["end_index"]
        assert message["content"][start:end] == "[2]"

    def test_context_holds_what_the_model_was_given_and_says_what_was_cited(self, http: httpx2.Client) -> None:
        context = chat(http)["context"]
        assert [(each["number"], each["source"], each["cited"]) for each in context] == [
            (1, "docs/1.md", True),
            (2, "docs/2.md", True),
            (3, "docs/3.md", False),
        ]
        assert [each["text"] for each in context] == [each.text for each in PASSAGES]
        assert context[0]["heading_path"] == ["Overview"]
        assert context[1]["metadata"] == {"lang": "en"}

    def test_citations_say_where_and_by_whom(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Kueue admits jobs when there is quota. Pods run [1]."]
        body = chat(http)
        content = body["choices"][0]["message"]["content"]
        marks = [(each["number"], content[each["start"] : each["end"]], each["origin"]) for each in body["citations"]]
        assert marks == [(3, "[3]", "matched"), (1, "[1]", "model")]

    def test_a_marker_of_a_passage_that_was_not_supplied_is_not_shown(self, http: httpx2.Client) -> None:
        assert "[7]" not in chat(http)["choices"][0]["message"]["content"]

    def test_an_answer_that_hit_the_limit_says_length(self, http: httpx2.Client, model: FakeModel) -> None:
        model.finish_reason = "length"
        assert chat(http)["choices"][0]["finish_reason"] == "length"

    def test_nothing_relevant_is_an_abstention_without_the_model(
        self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever
    ) -> None:
        retriever.relevance = 0.1
        body = chat(http, messages=UNRELATED)
        assert body["abstained"] is True
        assert body["choices"][0]["message"]["content"] == ABSTENTION
        assert body["choices"][0]["finish_reason"] == "stop"
        assert (body["context"], body["citations"], body["relevance"]) == ([], [], 0.1)
        assert len(body["dropped"]) == len(PASSAGES)
        assert "0.10" in body["dropped"][0]["reason"]
        assert model.chats == []

    def test_an_empty_collection_is_an_abstention_that_says_so(
        self, http: httpx2.Client, retriever: FixedRetriever
    ) -> None:
        retriever.passages, retriever.relevance = (), None
        body = chat(http)
        assert body["abstained"] is True
        assert body["relevance"] is None
        assert [each["what"] for each in body["dropped"]] == ["everything"]

    def test_an_answer_says_that_it_did_not_abstain_and_how_long_it_took(self, http: httpx2.Client) -> None:
        body = chat(http)
        assert body["abstained"] is False
        assert body["dropped"] == []
        assert {"encode", "search", "fetch", "first_token", "total"} <= body["timings_ms"].keys()
        assert all(value >= 0 for value in body["timings_ms"].values())

    def test_passages_that_do_not_fit_are_reported(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        retriever.passages = (PASSAGES[0], make_passage("word " * 1600, 2), PASSAGES[2])
        body = chat(http)
        assert [each["source"] for each in body["context"]] == ["docs/1.md"]
        assert body["dropped"] == [
            {"what": "passage docs/2.md", "reason": "token budget"},
            {"what": "passage docs/3.md", "reason": "token budget"},
        ]
