"""Reranking's arithmetic: the order that scores make, and how much of a ranking fits into a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import RerankerError
from rag.reranking import open_reranker, rerank
from rag.reranking.budget import score_within
from rag.reranking.passages import reranked
from rag.settings import Settings
from tests.conftest import make_passage

rankings = st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=30)
a_score = st.sampled_from([0.0, 0.25, 0.5, 1.0])


class TestOrder:
    def test_what_was_scored_comes_first_by_score_and_the_rest_keeps_its_order(self) -> None:
        assert rerank(["d", "a", "c", "b"], [0.1, 0.9]) == ["a", "d", "c", "b"]

    def test_equal_scores_go_by_id(self) -> None:
        assert rerank(["b", "c", "a", "z"], [0.5, 0.5, 0.5]) == ["a", "b", "c", "z"]

    def test_no_scores_change_nothing(self) -> None:
        assert rerank(["b", "a"], []) == ["b", "a"]

    def test_more_scores_than_ids_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 scores for 1 ids"):
            rerank(["a"], [1, 2])

    @given(rankings, st.data())
    def test_no_id_is_lost_or_made_and_the_rest_stays_behind(self, ids: list[str], data: st.DataObject) -> None:
        scores = data.draw(st.lists(a_score, max_size=len(ids)))
        found = rerank(ids, scores)
        assert sorted(found) == sorted(ids)
        assert found[len(scores) :] == ids[len(scores) :]
        by_id = dict(zip(ids, scores, strict=False))
        head = [by_id[each] for each in found[: len(scores)]]
        assert head == sorted(head, reverse=True)

    @given(rankings, st.data())
    def test_the_order_of_a_wholly_scored_ranking_does_not_matter(self, ids: list[str], data: st.DataObject) -> None:
        by_id = {each: data.draw(a_score) for each in ids}
        other = data.draw(st.permutations(ids))
        assert rerank(ids, [by_id[each] for each in ids]) == rerank(other, [by_id[each] for each in other])


class Clock:
    """Stands for the time: scoring an item takes `pace` times its cost in seconds."""

    def __init__(self, costs: list[float], pace: float) -> None:
        self.now = 100.0
        self._costs = costs
        self._pace = pace
        self.groups: list[range] = []

    def __call__(self) -> float:
        return self.now

    def score(self, places: range) -> list[float]:
        self.groups.append(places)
        self.now += self._pace * sum(self._costs[each] for each in places)
        return [float(each) for each in places]


def within(costs: list[float], group: int, seconds: float, pace: float = 1.0) -> tuple[list[float], Clock]:
    clock = Clock(costs, pace)
    return score_within(costs, group, seconds, clock.score, clock), clock


costs_of = st.lists(st.integers(1, 500).map(float), max_size=60)


class TestBudget:
    def test_with_time_to_spare_all_are_scored_in_groups(self) -> None:
        found, clock = within([1.0] * 20, 8, 1000)
        assert found == [float(each) for each in range(20)]
        assert clock.groups == [range(8), range(8, 16), range(16, 20)]

    def test_the_first_group_is_scored_however_long_it_takes(self) -> None:
        found, _ = within([1.0] * 20, 8, 0.001)
        assert len(found) == 8

    def test_a_group_that_just_fits_is_scored(self) -> None:
        assert len(within([1.0] * 40, 8, 16)[0]) == 16
        assert len(within([1.0] * 40, 8, 15.9)[0]) == 8

    def test_a_group_of_long_ones_is_left_where_one_of_short_ones_would_fit(self) -> None:
        assert len(within([1.0] * 8 + [1.0] * 8, 8, 20)[0]) == 16
        assert len(within([1.0] * 8 + [9.0] * 8, 8, 20)[0]) == 8

    def test_nothing_takes_nothing(self) -> None:
        found, clock = within([], 8, 1)
        assert (found, clock.groups) == ([], [])

    @given(costs_of, st.integers(1, 16), st.integers(1, 5000), st.sampled_from([0.25, 1.0, 4.0]))
    def test_a_head_is_scored_in_order_and_only_the_first_group_passes_the_time(
        self, costs: list[float], group: int, seconds: int, pace: float
    ) -> None:
        found, clock = within(costs, group, seconds, pace)
        assert found == [float(each) for each in range(len(found))]
        assert len(found) >= min(group, len(costs))
        assert len(clock.groups) <= 1 or clock.now - 100 <= seconds * (1 + 1e-9)

    @given(costs_of, st.integers(1, 16), st.integers(1, 5000), st.integers(0, 5000))
    def test_more_time_never_scores_fewer(self, costs: list[float], group: int, seconds: int, more: int) -> None:
        assert len(within(costs, group, seconds + more)[0]) >= len(within(costs, group, seconds)[0])


class TestOpening:
    def test_none_is_opened_where_none_is_set(self, settings: Callable[..., Settings]) -> None:
        assert open_reranker(settings()) is None

    def test_nothing_is_looked_for_before_it_is_used(self, settings: Callable[..., Settings], tmp_path: Path) -> None:
        reranker = open_reranker(settings(reranker=str(tmp_path / "nowhere")))
        assert reranker is not None
        assert reranker.scores("a question", [], 1) == []
        with pytest.raises(RerankerError, match=r"nowhere' does not exist; set LIBRARIAN_RERANKER"):
            reranker.scores("a question", ["a passage"], 1)


class InAHurry:
    """Stands for a reranker that has time for some passages only, and has its own scores for them."""

    def __init__(self, scores: list[float]) -> None:
        self._scores = scores

    def scores(self, query: str, passages: Sequence[str], seconds: float) -> list[float]:
        return self._scores[: len(passages)]


class TestPassages:
    @given(st.lists(a_score, max_size=12), st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0]), max_size=12))
    def test_none_is_lost_what_was_not_scored_keeps_its_order_and_scores_descend(
        self, given: list[float], ranks: list[float]
    ) -> None:
        ranking = [
            make_passage(f"text {number}", number + 1, score=score)
            for number, score in enumerate(sorted(ranks, reverse=True))
        ]
        found = reranked("a question", ranking, InAHurry(given), 1)  # type: ignore[arg-type]
        ids = [each.id for each in ranking]
        assert sorted(each.id for each in found) == sorted(ids)
        assert [each.id for each in found[len(given) :]] == ids[len(given) :]
        scores = [each.score for each in found]
        assert scores == sorted(scores, reverse=True)
        assert {each.text for each in found} == {each.text for each in ranking}
