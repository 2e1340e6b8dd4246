"""How two rankings become one, and what a document's other hits say for a passage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evidence import with_document_evidence
from rag.fusion import Fusion, Ranked, distributed_scores, fuse, reciprocal_rank_fusion, relative_scores, score_fusion
from rag.index.interface import Hit


def hits(*pairs: tuple[str, float]) -> list[Hit]:
    return [Hit(*pair) for pair in pairs]


@st.composite
def legs(draw: st.DrawFn) -> list[Hit]:
    """A ranking as an index gives it: each id once, best first."""
    ids = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10))
    scores = sorted(draw(st.lists(st.integers(-10, 500), min_size=len(ids), max_size=len(ids))), reverse=True)
    return [Hit(each, score / 10) for each, score in zip(ids, scores, strict=True)]


constants = st.floats(0.5, 100)
kinds = st.sampled_from(["weighted", "rrf", "dbsf"])


class TestReciprocalRankFusion:
    def test_a_small_example_worked_out_by_hand(self) -> None:
        ranked = reciprocal_rank_fusion(
            hits(("a", 0.9), ("b", 0.8), ("c", 0.1)), hits(("c", 12.0), ("a", 3.0), ("d", 1.0)), k=10
        )
        assert [each.id for each in ranked] == ["a", "c", "b", "d"]
        assert [each.score for each in ranked] == pytest.approx([1 / 11 + 1 / 12, 1 / 13 + 1 / 11, 1 / 12, 1 / 13])
        assert [(each.dense, each.sparse) for each in ranked] == [(0.9, 3.0), (0.1, 12.0), (0.8, None), (None, 1.0)]

    def test_equal_scores_stand_in_the_order_of_their_ids(self) -> None:
        ranked = reciprocal_rank_fusion(hits(("z", 1.0), ("b", 0.5)), hits(("a", 9.0), ("y", 3.0)), k=60)
        assert [each.id for each in ranked] == ["a", "z", "b", "y"]

    @given(legs(), legs(), constants)
    def test_neither_leg_is_preferred(self, one: list[Hit], other: list[Hit], k: float) -> None:
        forth, back = reciprocal_rank_fusion(one, other, k), reciprocal_rank_fusion(other, one, k)
        assert [(each.id, each.score, each.dense, each.sparse) for each in forth] == [
            (each.id, each.score, each.sparse, each.dense) for each in back
        ]

    @given(legs(), legs(), constants, st.floats(0.1, 9))
    def test_only_ranks_count(self, one: list[Hit], other: list[Hit], k: float, factor: float) -> None:
        scaled = [Hit(each.id, each.score * factor - 3) for each in one]
        forth, again = reciprocal_rank_fusion(one, other, k), reciprocal_rank_fusion(scaled, other, k)
        assert [(each.id, each.score) for each in forth] == [(each.id, each.score) for each in again]

    @given(legs(), legs(), constants)
    def test_everything_that_was_found_is_ranked_once_best_first(
        self, one: list[Hit], other: list[Hit], k: float
    ) -> None:
        ranked = reciprocal_rank_fusion(one, other, k)
        assert sorted(each.id for each in ranked) == sorted({each.id for each in [*one, *other]})
        assert [(-each.score, each.id) for each in ranked] == sorted((-each.score, each.id) for each in ranked)

    @given(legs(), constants)
    def test_one_leg_alone_keeps_its_order(self, leg: list[Hit], k: float) -> None:
        assert [each.id for each in reciprocal_rank_fusion(leg, [], k)] == [each.id for each in leg]


class TestScoreFusion:
    def test_a_small_example_worked_out_by_hand(self) -> None:
        ranked = score_fusion(
            hits(("a", 0.8), ("b", 0.6), ("c", 0.4)), hits(("c", 10.0), ("d", 5.0)), 0.6, relative_scores
        )
        # dense: a 1, b .75, c .5, d as c; sparse: c 1, d .5, a and b as d; the last, d, is moved to 0
        raw = {"a": 0.6 + 0.2, "b": 0.45 + 0.2, "c": 0.3 + 0.4, "d": 0.3 + 0.2}
        assert [each.id for each in ranked] == ["a", "c", "b", "d"]
        assert {each.id: each.score for each in ranked} == pytest.approx({k: v - raw["d"] for k, v in raw.items()})

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
        ranked = fuse(kind, one, other, weight, 10)
        assert sorted(each.id for each in ranked) == sorted({each.id for each in [*one, *other]})
        assert [(-each.score, each.id) for each in ranked] == sorted((-each.score, each.id) for each in ranked)
        assert all(math.isfinite(each.score) and each.score >= 0 for each in ranked)

    @given(legs(), legs())
    def test_a_leg_without_weight_changes_no_order_among_the_other_leg_s_hits(
        self, one: list[Hit], other: list[Hit]
    ) -> None:
        ranked = score_fusion(one, other, 1.0, relative_scores)
        scores = dict(zip([each.id for each in one], relative_scores(one), strict=True))
        found = [scores[each.id] for each in ranked if each.id in scores]
        assert found == sorted(found, reverse=True)


class TestDocumentEvidence:
    def test_a_passage_among_other_good_ones_of_its_document_is_raised(self) -> None:
        ranked = [ranked_as("a", 1.0, "lone"), ranked_as("b", 0.9, "rich"), ranked_as("c", 0.8, "rich")]
        raised = with_document_evidence(ranked, 0.5, "doc")
        assert [each.id for each in raised] == ["b", "a", "c"]
        assert {each.id: each.score for each in raised} == pytest.approx(
            {"a": 1.5, "b": 0.9 + 0.5 * math.hypot(0.9, 0.8), "c": 0.8 + 0.5 * math.hypot(0.9, 0.8)}
        )

    def test_without_weight_nothing_changes(self) -> None:
        ranked = [ranked_as("a", 0.03, "one"), ranked_as("b", 0.02, "two")]
        assert with_document_evidence(ranked, 0, "doc") == ranked

    @given(st.lists(st.floats(0, 5), max_size=12), st.floats(0.1, 3))
    def test_documents_of_one_hit_each_keep_their_order(self, scores: list[float], weight: float) -> None:
        ordered = sorted(scores, reverse=True)
        ranked = [ranked_as(f"{number:02}", score, f"d{number}") for number, score in enumerate(ordered)]
        assert [each.id for each in with_document_evidence(ranked, weight, "doc")] == [each.id for each in ranked]

    def test_hits_that_name_no_document_stand_alone(self) -> None:
        ranked = [Ranked("a", 1.0, None, None, {}), Ranked("b", 0.5, None, None, {})]
        assert [each.score for each in with_document_evidence(ranked, 1.0, "doc")] == [2.0, 1.0]


def ranked_as(identity: str, score: float, document: str) -> Ranked:
    return Ranked(identity, score, None, None, {"doc": document})
