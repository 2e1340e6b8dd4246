"""Retrieval: what a search ranks, refuses, notices and leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.errors import BadInput, CollectionNotFound, FingerprintMismatch
from rag.index.interface import Collection, CollectionSpec, DenseLeg, Hit, Leg, SparseLeg, Stored, Where
from rag.point_ids import point_id
from rag.relevance import Calibration
from rag.retrieval import MAX_QUERY_CHARACTERS, Retriever
from rag.schema import Document, Scope
from rag.settings import Settings

READER = Scope("acme", frozenset({"staff"}))


def hits(*pairs: tuple[str, float]) -> list[Hit]:
    return [Hit(*pair) for pair in pairs]


class OneDirection:
    """Stands for a dense encoder: every text is the same unit vector, so no model must be loaded."""

    def __init__(self, sha256: str = "aa") -> None:
        self.fingerprint: Mapping[str, Any] = {"name": "stand-in", "sha256": sha256}
        self.dimension, self.max_tokens = 2, 256
        self.asked: list[str] = []

    def encode_query(self, text: str) -> Any:
        self.asked.append(text)
        return np.array([1.0, 0.0], dtype=np.float32)


def payload(number: int) -> dict[str, Any]:
    return {
        "text": f"Text {number}.",
        "doc": f"file:///{number}.md",
        "path": f"{number}.md",
        "title": f"Title {number}",
        "headings": ["Part", "Chapter"],
        "ordinal": number,
        "start": 10 * number,
        "end": 10 * number + 7,
        "metadata": {"language": "en"},
    }


@dataclass
class MemoryIndex:
    """Stands for an AsyncIndex: one alias, rankings and payloads as they are set, and a note of what was asked."""

    metadata: Mapping[str, Any]
    dense: list[Hit] = field(default_factory=list)
    sparse: list[Hit] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    behind: str = "documents-1"
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def resolve(self, name: str) -> Collection:
        if name != "documents":
            raise CollectionNotFound(f"no collection '{name}'")
        return Collection(self.behind, CollectionSpec(2, self.metadata))

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        self.asked.append(("query", name, legs, scope, where))
        return [self.dense, self.sparse]

    async def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        self.asked.append(("fetch", name, list(ids), scope))
        return [Stored(each, self.stored[each]) for each in ids if each in self.stored]


SPARSE = Bm25Encoder()


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(
        fingerprint(OneDirection(), SPARSE),  # type: ignore[arg-type]
        dense=hits(("a", 0.62), ("b", 0.4)),
        sparse=hits(("b", 7.5), ("c", 2.0)),
        stored={name: payload(number) for number, name in enumerate("abc")},
    )


@pytest.fixture
def retriever(index: MemoryIndex, settings: Callable[..., Settings]) -> Retriever:
    return Retriever(index, OneDirection(), SPARSE, settings(rrf_k=10, candidates=25))  # type: ignore[arg-type]


def search(retriever: Retriever, query: str = "What runs?", **options: Any) -> Any:
    return asyncio.run(retriever.search(query, READER, **options))


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


class Favourites:
    """Stands for a cross-encoder: scores passages by how far down a list of their texts stands."""

    name, fingerprint = "favourites", {"name": "favourites"}

    def __init__(self, *texts: str, reads: int = 100) -> None:
        self._texts, self._reads = texts, reads
        self.read: list[str] = []

    def check(self) -> None: ...

    def warm_up(self) -> None: ...

    def scores(self, query: str, passages: Sequence[str], seconds: float) -> list[float]:
        self.read = list(passages)
        last = [each.rsplit("\n", 1)[-1] for each in passages[: self._reads]]
        return [1 / (1 + self._texts.index(each)) for each in last]


class TestReranking:
    @pytest.fixture
    def asked(self, index: MemoryIndex, settings: Callable[..., Settings]) -> Callable[..., Any]:
        def search_with(reranker: Favourites, **options: Any) -> Any:
            chosen = settings(candidates=25, **options)
            return search(Retriever(index, OneDirection(), SPARSE, chosen, reranker))  # type: ignore[arg-type]

        return search_with

    def test_passages_come_in_the_reranker_s_order_with_its_scores(self, asked: Callable[..., Any]) -> None:
        found = asked(Favourites("Text 2.", "Text 0.", "Text 1."))
        assert [(each.id, each.score) for each in found.passages] == [
            ("c", 1.0),
            ("a", 0.5),
            ("b", pytest.approx(1 / 3)),
        ]
        assert found.timings_ms["rerank"] > 0

    def test_what_its_time_did_not_suffice_for_follows_in_the_old_order(self, asked: Callable[..., Any]) -> None:
        found = asked(Favourites("Text 0.", "Text 1.", reads=2))
        assert [each.id for each in found.passages] == ["a", "b", "c"]
        scores = [each.score for each in found.passages]
        assert scores == sorted(scores, reverse=True)

    def test_only_so_many_candidates_are_read_with_their_titles(self, asked: Callable[..., Any]) -> None:
        favourites = Favourites("Text 0.", "Text 1.", "Text 2.")
        found = asked(favourites, rerank_candidates=2, top_k=3)
        assert favourites.read == ["Title 1 > Part > Chapter\nText 1.", "Title 0 > Part > Chapter\nText 0."]
        assert [each.id for each in found.passages] == ["a", "b", "c"]
