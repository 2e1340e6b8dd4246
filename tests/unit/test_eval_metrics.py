"""Metrics by hand: small rankings whose values anyone can work out."""

from __future__ import annotations

from math import log2

import pytest

from eval.metrics import DEFAULT_METRICS, canonical, depth_of, measure
from eval.runs import Ranked
from rag.errors import BadInput


def ranking(*documents: str) -> list[Ranked]:
    return [Ranked(each, 1.0 / place) for place, each in enumerate(documents, 1)]


def test_a_ranking_scores_what_the_formulas_say() -> None:
    # Of three relevant documents two are found, at ranks 2 and 4; the better one second.
    qrels = {"q": {"a": 2, "b": 1, "c": 1, "x": 0}}
    found = measure(qrels, {"q": ranking("x", "b", "y", "a", "z")}).per_query
    ideal = 2 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert found["nDCG@10"]["q"] == pytest.approx((1 / log2(3) + 2 / log2(5)) / ideal, abs=1e-6)
    assert found["R@5"]["q"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["RR@10"]["q"] == 0.5
    assert found["Success@5"]["q"] == 1.0
    assert found["AP"]["q"] == pytest.approx((1 / 2 + 2 / 4) / 3, abs=1e-6)


def test_a_query_without_results_counts_nothing_found() -> None:
    qrels = {"found": {"a": 1}, "empty": {"a": 1}, "absent": {"b": 1}}
    scores = measure(qrels, {"found": ranking("a"), "empty": []})
    for metric in DEFAULT_METRICS:
        assert scores.per_query[metric] == {"found": 1.0, "empty": 0.0, "absent": 0.0}
        assert scores.means[metric] == pytest.approx(1 / 3, abs=1e-6)


def test_an_answer_below_the_cutoff_does_not_count() -> None:
    scores = measure({"q": {"last": 1}}, {"q": ranking(*"abcdefghij", "last")}).means
    assert (scores["nDCG@10"], scores["RR@10"], scores["R@5"]) == (0.0, 0.0, 0.0)
    assert scores["R@20"] == 1.0
    assert scores["AP"] == pytest.approx(1 / 11, abs=1e-6)


def test_the_order_of_equal_scores_is_the_order_given() -> None:
    run = {"q": [Ranked("a", 0.5), Ranked("z", 0.5)]}
    assert measure({"q": {"a": 1}}, run).means["RR@10"] == 1.0
    assert measure({"q": {"z": 1}}, run).means["RR@10"] == 0.5


def test_queries_of_a_run_that_nobody_judged_are_left_out() -> None:
    scores = measure({"q": {"a": 1}}, {"q": ranking("a"), "other": ranking("b")})
    assert scores.per_query["AP"] == {"q": 1.0}


@pytest.mark.parametrize(
    ("given", "name"),
    [("ndcg@10", "nDCG@10"), ("SUCCESS@5", "Success@5"), ("recall@7", "R@7"), ("mrr@10", "RR@10"), ("p@3", "P@3")],
)
def test_a_metric_is_known_whatever_its_case(given: str, name: str) -> None:
    assert canonical(given) == name


@pytest.mark.parametrize("name", ["", "good@10", "nDCG@", "nDCG@x", "__import__('os')"])
def test_what_is_no_metric_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BadInput, match="is no metric") as raised:
        canonical(name)
    assert "\n" not in str(raised.value)


def test_the_ranking_is_as_deep_as_the_largest_cutoff() -> None:
    assert depth_of(("AP", "R@5")) == 100
    assert depth_of(("R@5", "R@1000")) == 1000


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(BadInput, match="no judged queries"):
        measure({}, {})
