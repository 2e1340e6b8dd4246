"""What a search does to its ranking before it is shown: a second search, another order, a cross-encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rag.diversity import DIVERSIFIED
from rag.index.interface import DenseLeg
from rag.retrieval import Retriever
from rag.settings import Settings
from tests.retrieval_kit import READER, SPARSE, MemoryIndex, OneDirection, hits, payload, search, small_index


@pytest.fixture
def index() -> MemoryIndex:
    return small_index()


class TestPseudoRelevanceFeedback:
    @pytest.fixture
    def asked(self, index: MemoryIndex, settings: Callable[..., Settings]) -> Callable[..., Any]:
        index.vectors_of = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.0, -1.0]}
        index.second = hits(("c", 0.9), ("a", 0.3))

        def search_with(**options: Any) -> Any:
            chosen = settings(candidates=25, document_weight=0, **options)
            return search(Retriever(index, OneDirection(), SPARSE, chosen))  # type: ignore[arg-type]

        return search_with

    def test_a_second_dense_search_starts_nearer_the_best_passages(
        self, asked: Callable[..., Any], index: MemoryIndex
    ) -> None:
        found = asked(prf_passages=1, prf_weight=0.5)
        assert [each[0] for each in index.asked] == ["query", "vectors", "query", "fetch"]
        assert index.asked[1] == ("vectors", "documents", ["b"], READER)
        (leg,) = index.asked[2][2]
        assert leg == DenseLeg(pytest.approx([0.5**0.5, 0.5**0.5]), 25)  # type: ignore[arg-type]
        assert {each.id: each.dense_score for each in found.passages} == {"c": 0.9, "a": 0.3, "b": None}
        assert {each.id: each.sparse_score for each in found.passages} == {"c": 2.0, "a": None, "b": 7.5}

    def test_it_keeps_to_the_scope_and_the_conditions(
        self, index: MemoryIndex, settings: Callable[..., Settings]
    ) -> None:
        chosen = settings(prf_passages=2)
        where = {"metadata.language": ["en"]}
        search(Retriever(index, OneDirection(), SPARSE, chosen), where=where)  # type: ignore[arg-type]
        assert [each[3:] for each in index.asked if each[0] == "query"] == [(READER, where)]
        index.vectors_of = {"a": [1.0, 0.0]}
        index.asked.clear()
        search(Retriever(index, OneDirection(), SPARSE, chosen), where=where)  # type: ignore[arg-type]
        assert [each[3:] for each in index.asked if each[0] == "query"] == 2 * [(READER, where)]

    def test_relevance_stays_that_of_the_query_as_it_was_asked(self, asked: Callable[..., Any]) -> None:
        assert asked(prf_passages=1).evidence.cosine == asked().evidence.cosine == 0.62

    def test_without_it_no_vector_is_asked_for(self, asked: Callable[..., Any], index: MemoryIndex) -> None:
        asked()
        assert [each[0] for each in index.asked] == ["query", "fetch"]


class TestDiversity:
    def test_a_passage_like_a_better_one_comes_after_another(
        self, index: MemoryIndex, settings: Callable[..., Settings]
    ) -> None:
        index.dense, index.sparse = hits(("a", 0.6), ("b", 0.59), ("c", 0.55)), []
        index.vectors_of = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}
        for diversity, order in ((0, "abc"), (0.5, "acb")):
            chosen = settings(diversity=diversity, dense_weight=1, top_k=3)
            found = search(Retriever(index, OneDirection(), SPARSE, chosen))  # type: ignore[arg-type]
            assert "".join(each.id for each in found.passages) == order
        assert [each for each in index.asked if each[0] == "vectors"] == [
            ("vectors", "documents", ["a", "b", "c"], READER)
        ]

    def test_only_the_first_hits_change_places_whatever_is_asked_for(
        self, index: MemoryIndex, settings: Callable[..., Settings]
    ) -> None:
        many = [f"{number:02}" for number in range(30)]
        index.dense, index.sparse = hits(*((each, 0.9 - int(each) / 100) for each in many)), []
        index.stored = {each: payload(2 * int(each)) for each in many}
        index.vectors_of = {each: [1.0, 0.0] for each in many[:DIVERSIFIED]} | {each: [0.0, 1.0] for each in many[20:]}
        index.vectors_of["19"] = [0.0, 1.0]
        chosen = settings(diversity=0.5, dense_weight=1)
        retriever = Retriever(index, OneDirection(), SPARSE, chosen)  # type: ignore[arg-type]
        deep = [each.id for each in search(retriever, top_k=30).passages]
        assert deep[:2] == ["00", "19"]
        assert deep[DIVERSIFIED:] == many[DIVERSIFIED:]
        assert [each.id for each in search(retriever, top_k=3).passages] == deep[:3]


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
