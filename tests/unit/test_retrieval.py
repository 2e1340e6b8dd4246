"""Retrieval: what a search ranks, refuses, notices and leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.errors import BadInput, CollectionNotFound, FingerprintMismatch
from rag.index.interface import DenseLeg, SparseLeg
from rag.point_ids import point_id
from rag.relevance import Calibration
from rag.retrieval import MAX_QUERY_CHARACTERS, Retriever
from rag.schema import Document
from rag.settings import Settings
from tests.retrieval_kit import READER, SPARSE, MemoryIndex, OneDirection, hits, payload, search, small_index


@pytest.fixture
def index() -> MemoryIndex:
    return small_index()


@pytest.fixture
def retriever(index: MemoryIndex, settings: Callable[..., Settings]) -> Retriever:
    return Retriever(index, OneDirection(), SPARSE, settings(rrf_k=10, candidates=25))  # type: ignore[arg-type]


class TestSearch:
    def test_passages_come_fused_with_what_each_leg_gave_them(self, retriever: Retriever) -> None:
        found = search(retriever)
        assert [(each.id, each.dense_score, each.sparse_score) for each in found.passages] == [
            ("b", 0.4, 7.5),
            ("a", 0.62, None),
            ("c", None, 2.0),
        ]
        assert [each.score for each in found.passages] == pytest.approx(
            [1.5, 1.0887097, 0.0]
        )  # each document has one hit

    def test_a_passage_is_what_its_payload_says(self, retriever: Retriever) -> None:
        passage = search(retriever).passages[2]
        assert (passage.text, passage.uri, passage.path, passage.title) == (
            "Text 2.",
            "file:///2.md",
            "2.md",
            "Title 2",
        )
        assert (passage.heading_path, passage.ordinal, passage.start, passage.end) == (("Part", "Chapter"), 2, 20, 27)
        assert passage.metadata == {"language": "en"}

    def test_relevance_joins_the_best_cosine_and_the_words_held(self, retriever: Retriever) -> None:
        assert search(retriever, "Which text?").relevance == pytest.approx(Calibration().probability(0.62, 1.0))
        assert search(retriever, "Who sings?").relevance == pytest.approx(Calibration().probability(0.62, 0.0))

    def test_without_a_dense_hit_there_is_no_relevance(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.dense = []
        found = search(retriever)
        assert found.relevance is None
        assert [each.id for each in found.passages] == ["b", "c"]

    def test_nothing_found_is_an_empty_result(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.dense = index.sparse = []
        assert (search(retriever).passages, search(retriever).relevance) == ((), None)

    def test_only_the_best_are_fetched(self, retriever: Retriever, index: MemoryIndex) -> None:
        assert [each.id for each in search(retriever, top_k=1).passages] == ["b"]
        assert [each for each in index.asked if each[0] == "fetch"] == [("fetch", "documents", ["b"], READER)]

    def test_in_the_place_of_what_was_deleted_meanwhile_stands_what_follows(
        self, retriever: Retriever, index: MemoryIndex
    ) -> None:
        del index.stored["b"]
        assert [each.id for each in search(retriever).passages] == ["a", "c"]
        assert [each.id for each in search(retriever, top_k=1).passages] == ["a"]

    def test_scope_and_conditions_reach_the_index_with_both_legs(
        self, retriever: Retriever, index: MemoryIndex
    ) -> None:
        search(retriever, where={"metadata.language": ["en"]})
        _, name, (dense, sparse), scope, where = index.asked[0]
        assert (name, scope, where) == ("documents", READER, {"metadata.language": ["en"]})
        assert dense == DenseLeg([1.0, 0.0], 25)
        assert sparse == SparseLeg(SPARSE.encode_query("What runs?"), 25)

    def test_each_step_is_timed(self, retriever: Retriever) -> None:
        timings = search(retriever).timings_ms
        assert set(timings) == {"encode", "search", "fetch"}
        assert all(each >= 0 for each in timings.values())


class TestNeighbours:
    """A document of five chunks in a collection whose chunker is on record."""

    COSINES = (0.2, 0.7, 0.8, 0.75, 0.3)

    @pytest.fixture
    def spans(self, index: MemoryIndex, settings: Callable[..., Settings]) -> Callable[..., list[tuple[int, int]]]:
        made = Document("file:///book.md", "", "", "", "hash")
        ids = [point_id(made, n, "structure-2:96", READER) for n in range(5)]
        index.metadata = {**index.metadata, "chunker": "structure-2:96"}
        index.stored = {
            each: {**payload(n), "doc": made.uri, "doc_hash": "hash", "chunks": 5} for n, each in enumerate(ids)
        }

        def spans_with(known: Sequence[int], words: Sequence[int] = (), **options: Any) -> list[tuple[int, int]]:
            index.dense = hits(*sorted(((ids[n], self.COSINES[n]) for n in known), key=lambda each: -each[1]))
            index.sparse = hits(*((ids[n], 5.0) for n in words))
            chosen = settings(top_k=1, **options)
            found = search(Retriever(index, OneDirection(), SPARSE, chosen))  # type: ignore[arg-type]
            return [(each.start // 10, each.end // 10) for each in found.passages]

        return spans_with

    def test_a_hit_is_joined_with_the_chunks_beside_it_that_fit_the_question(
        self, spans: Callable[..., list[tuple[int, int]]]
    ) -> None:
        assert spans(range(5)) == [(1, 3)]
        assert spans(range(5), neighbours_share=0.9, neighbours_before=0) == [(2, 3)]

    def test_a_share_of_zero_joins_as_many_as_the_settings_say(
        self, spans: Callable[..., list[tuple[int, int]]]
    ) -> None:
        assert spans(range(5), neighbours_share=0) == [(0, 4)]
        assert spans(range(5), neighbours_share=0, neighbours_before=0, neighbours_after=1) == [(2, 3)]
        assert spans(range(5), neighbours_before=0, neighbours_after=0) == [(2, 2)]

    def test_a_hit_that_only_the_words_found_comes_with_what_follows_it(
        self, spans: Callable[..., list[tuple[int, int]]]
    ) -> None:
        assert spans((), words=(2,)) == [(2, 3)]

    def test_a_hit_and_its_neighbours_are_fetched_together(
        self, spans: Callable[..., list[tuple[int, int]]], index: MemoryIndex
    ) -> None:
        assert spans(range(5)) == [(1, 3)]
        assert [len(each[2]) for each in index.asked if each[0] == "fetch"] == [3]

    def test_what_follows_a_document_s_last_chunk_is_not_missed(
        self, spans: Callable[..., list[tuple[int, int]]], index: MemoryIndex
    ) -> None:
        assert spans((4,), neighbours_share=0) == [(2, 4)]
        assert [each[0] for each in index.asked] == ["query", "fetch"]


class TestRefusals:
    @pytest.mark.parametrize("query", ["", " ", "\n\t\u3000"])
    def test_an_empty_question(self, retriever: Retriever, index: MemoryIndex, query: str) -> None:
        with pytest.raises(BadInput, match="the question is empty"):
            search(retriever, query)
        assert index.asked == []

    def test_an_endless_question(self, retriever: Retriever, index: MemoryIndex) -> None:
        with pytest.raises(BadInput, match=f"has 20001 characters; {MAX_QUERY_CHARACTERS} is the limit"):
            search(retriever, "x" * (MAX_QUERY_CHARACTERS + 1))
        assert index.asked == []
        search(retriever, "x" * MAX_QUERY_CHARACTERS)

    def test_a_collection_that_is_not_there(self, retriever: Retriever) -> None:
        with pytest.raises(CollectionNotFound, match="nowhere"):
            search(retriever, collection="nowhere")

    def test_a_collection_of_another_encoder(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.metadata = fingerprint(OneDirection("bb"), SPARSE)  # type: ignore[arg-type]
        with pytest.raises(
            FingerprintMismatch, match=r"'documents-1' was built with encoder 'stand-in' \(bb\), but .*aa"
        ):
            search(retriever)
        assert index.asked == []

    def test_a_collection_with_other_keywords(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.metadata = fingerprint(OneDirection(), Bm25Encoder("german"))  # type: ignore[arg-type]
        with pytest.raises(FingerprintMismatch, match=r"\(german\), but .*\(english\) is configured"):
            search(retriever)

    def test_another_weight_of_titles_is_refused(self, index: MemoryIndex, settings: Callable[..., Settings]) -> None:
        weighted = Bm25Encoder(title_weight=2)
        retriever = Retriever(index, OneDirection(), weighted, settings())  # type: ignore[arg-type]
        with pytest.raises(FingerprintMismatch, match=r"\(english\), but .* \(english, title weight 2\) is configured"):
            search(retriever)

    def test_a_collection_that_others_made(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.metadata = {}
        with pytest.raises(FingerprintMismatch, match="no format on record"):
            search(retriever)

    def test_an_encoder_that_only_moved_is_the_same(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.metadata = {**index.metadata, "dense": {"name": "/elsewhere/model", "sha256": "aa"}}
        assert search(retriever).passages

    def test_a_refusal_is_not_forgotten(self, retriever: Retriever, index: MemoryIndex) -> None:
        index.metadata = {}
        for _ in range(2):
            with pytest.raises(FingerprintMismatch):
                search(retriever)

    def test_an_alias_that_moved_to_another_encoder_is_noticed_by_the_next_search(
        self, retriever: Retriever, index: MemoryIndex
    ) -> None:
        search(retriever)
        index.behind = "documents-2"
        index.metadata = fingerprint(OneDirection("bb"), SPARSE)  # type: ignore[arg-type]
        with pytest.raises(FingerprintMismatch, match="documents-2"):
            search(retriever)

    def test_an_alias_that_moved_to_a_collection_of_the_same_encoder_is_read(
        self, retriever: Retriever, index: MemoryIndex
    ) -> None:
        search(retriever)
        index.behind = "documents-2"
        assert search(retriever).passages


def test_warming_up_encodes_something(index: MemoryIndex, settings: Callable[..., Settings]) -> None:
    encoder = OneDirection()
    Retriever(index, encoder, SPARSE, settings()).warm_up()  # type: ignore[arg-type]
    assert len(encoder.asked) == 1
