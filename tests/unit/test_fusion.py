"""How two rankings become one, and what a document's other hits say for a passage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evidence import with_document_evidence
from rag.fusion import (
    Fusion,
    Ranked,
    distributed_scores,
    fuse,
    ranked,
    reciprocal_rank_fusion,
    relative_scores,
    score_fusion,
)
from rag.index.interface import Hit
from rag.point_ids import point_id
from rag.schema import Document, Scope


def hits(*pairs: tuple[str, float]) -> list[Hit]:
    return [Hit(*pair) for pair in pairs]


@st.composite
def legs(draw: st.DrawFn) -> list[Hit]:
    """A ranking as an index gives it: each id once, best first."""
    ids = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10))
    scores = sorted(draw(st.lists(st.integers(-10, 500), min_size=len(ids), max_size=len(ids))), reverse=True)
    return [Hit(each, score / 10) for each, score in zip(ids, scores, strict=True)]


def by_ranks(dense: list[Hit], sparse: list[Hit], k: float) -> list[Ranked]:
    return ranked(reciprocal_rank_fusion(dense, sparse, k), dense, sparse)


def by_scores(dense: list[Hit], sparse: list[Hit], weight: float) -> list[Ranked]:
    return ranked(score_fusion(dense, sparse, weight, relative_scores), dense, sparse)


constants = st.floats(0.5, 100)
kinds = st.sampled_from(["weighted", "rrf", "dbsf"])


class TestReciprocalRankFusion:
    def test_a_small_example_worked_out_by_hand(self) -> None:
        found = by_ranks(hits(("a", 0.9), ("b", 0.8), ("c", 0.1)), hits(("c", 12.0), ("a", 3.0), ("d", 1.0)), k=10)
        assert [each.id for each in found] == ["a", "c", "b", "d"]
        assert [each.score for each in found] == pytest.approx([1 / 11 + 1 / 12, 1 / 13 + 1 / 11, 1 / 12, 1 / 13])
        assert [(each.dense, each.sparse) for each in found] == [(0.9, 3.0), (0.1, 12.0), (0.8, None), (None, 1.0)]

    def test_equal_scores_stand_in_the_order_of_their_ids(self) -> None:
        found = by_ranks(hits(("z", 1.0), ("b", 0.5)), hits(("a", 9.0), ("y", 3.0)), k=60)
        assert [each.id for each in found] == ["a", "z", "b", "y"]

    @given(legs(), legs(), constants)
    def test_neither_leg_is_preferred(self, one: list[Hit], other: list[Hit], k: float) -> None:
        forth, back = by_ranks(one, other, k), by_ranks(other, one, k)
        assert [(each.id, each.score, each.dense, each.sparse) for each in forth] == [
            (each.id, each.score, each.sparse, each.dense) for each in back
        ]

    @given(legs(), legs(), constants, st.floats(0.1, 9))
    def test_only_ranks_count(self, one: list[Hit], other: list[Hit], k: float, factor: float) -> None:
        scaled = [Hit(each.id, each.score * factor - 3) for each in one]
        forth, again = by_ranks(one, other, k), by_ranks(scaled, other, k)
        assert [(each.id, each.score) for each in forth] == [(each.id, each.score) for each in again]

    @given(legs(), legs(), constants)
    def test_everything_that_was_found_is_ranked_once_best_first(
        self, one: list[Hit], other: list[Hit], k: float
    ) -> None:
        found = by_ranks(one, other, k)
        assert sorted(each.id for each in found) == sorted({each.id for each in [*one, *other]})
        assert [(-each.score, each.id) for each in found] == sorted((-each.score, each.id) for each in found)

    @given(legs(), constants)
    def test_one_leg_alone_keeps_its_order(self, leg: list[Hit], k: float) -> None:
        assert [each.id for each in by_ranks(leg, [], k)] == [each.id for each in leg]


class TestScoreFusion:
    def test_a_small_example_worked_out_by_hand(self) -> None:
        found = by_scores(hits(("a", 0.8), ("b", 0.6), ("c", 0.4)), hits(("c", 10.0), ("d", 5.0)), 0.6)
        # dense: a 1, b .75, c .5, d as c; sparse: c 1, d .5, a and b as d; the last, d, is moved to 0
        raw = {"a": 0.6 + 0.2, "b": 0.45 + 0.2, "c": 0.3 + 0.4, "d": 0.3 + 0.2}
        assert [each.id for each in found] == ["a", "c", "b", "d"]
        assert {each.id: each.score for each in found} == pytest.approx({k: v - raw["d"] for k, v in raw.items()})

    def test_scores_without_any_spread_say_nothing(self) -> None:
        assert distributed_scores(hits(("a", 2.0), ("b", 2.0))) == [0.5, 0.5]
        assert relative_scores(hits(("a", -0.2), ("b", -0.4))) == [0.0, 0.0]

    def test_three_deviations_above_the_mean_are_worth_one(self) -> None:
        scores = distributed_scores(hits(("a", 3.0), ("b", 1.0)))  # mean 2, deviation 1
        assert scores == pytest.approx([0.5 + 1 / 6, 0.5 - 1 / 6])

    @given(kinds, legs(), legs(), st.floats(0, 1))
    def test_everything_that_was_found_is_ranked_once_best_first(
        self, kind: Fusion, one: list[Hit], other: list[Hit], weight: float
    ) -> None:
        found = ranked(fuse(kind, one, other, weight, 10), one, other)
        assert sorted(each.id for each in found) == sorted({each.id for each in [*one, *other]})
        assert [(-each.score, each.id) for each in found] == sorted((-each.score, each.id) for each in found)
        assert all(math.isfinite(each.score) and each.score >= 0 for each in found)

    @given(legs(), legs())
    def test_a_leg_without_weight_changes_no_order_among_the_other_leg_s_hits(
        self, one: list[Hit], other: list[Hit]
    ) -> None:
        ranking = by_scores(one, other, 1.0)
        scores = dict(zip([each.id for each in one], relative_scores(one), strict=True))
        found = [scores[each.id] for each in ranking if each.id in scores]
        assert found == sorted(found, reverse=True)


class TestRanked:
    @given(legs(), legs(), st.integers(0, 25))
    def test_the_best_few_are_the_first_of_all(self, one: list[Hit], other: list[Hit], count: int) -> None:
        scores = reciprocal_rank_fusion(one, other, 10)
        assert ranked(scores, one, other, count) == ranked(scores, one, other)[:count]


class TestDocumentEvidence:
    def test_a_passage_among_other_good_ones_of_its_document_is_raised(self) -> None:
        raised = with_document_evidence({chunk("lone"): 1.0, chunk("rich"): 0.9, chunk("rich", 1): 0.8}, 0.5)
        others = 0.5 * math.hypot(0.9, 0.8)
        assert raised == pytest.approx(
            {chunk("lone"): 1.5, chunk("rich"): 0.9 + others, chunk("rich", 1): 0.8 + others}
        )

    def test_without_weight_nothing_changes(self) -> None:
        scores = {chunk("one"): 0.03, chunk("two"): 0.02}
        assert with_document_evidence(scores, 0) == scores

    @given(st.lists(st.floats(0, 5), max_size=12), st.floats(0.1, 3))
    def test_documents_of_one_hit_each_keep_their_order(self, values: list[float], weight: float) -> None:
        scores = {chunk(f"{number:02}"): value for number, value in enumerate(sorted(values, reverse=True))}
        raised = with_document_evidence(scores, weight)
        assert list(raised) == list(scores)
        assert list(raised.values()) == sorted(raised.values(), reverse=True)


def chunk(document: str, ordinal: int = 0) -> str:
    return point_id(Document(document, "", "", "", ""), ordinal, "structure-2:96", Scope())
