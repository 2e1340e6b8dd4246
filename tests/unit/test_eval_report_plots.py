"""The plots show the numbers: scales, curves, differences and counts."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report import quality_latency, recall_curve, score_distributions, svg, wins_losses, worst
from eval.report.scales import Scale, decades, label, ticks
from eval.report.style import CSS
from tests.report_kit import QUERIES, evaluation, result

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda each: round(each, 3))


@given(finite, finite, st.integers(min_value=1, max_value=12))
def test_ticks_are_even_and_hold_the_values(one: float, other: float, count: int) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high, count)
    assert found[0] <= low + 1e-6
    assert found[-1] >= high - 1e-6
    assert 2 <= len(found) <= 2 * count + 3
    steps = {round(b - a, 6) for a, b in pairwise(found)}
    assert max(steps) - min(steps) <= 1e-5


@given(finite, finite, finite)
def test_a_scale_keeps_order_and_stays_within_its_ends(low: float, a: float, b: float) -> None:
    scale = Scale(low, low + 10, 0, 100)
    assert 0 <= scale(a) <= 100
    if a <= b:
        assert scale(a) <= scale(b)


def test_a_logarithmic_scale_gives_each_factor_the_same_room() -> None:
    scale = Scale(1, 100, 0, 2, logarithmic=True)
    assert [scale(each) for each in (1, 10, 100)] == pytest.approx([0, 1, 2])


def test_numbers_of_an_axis_have_the_decimals_that_tell_them_apart() -> None:
    assert [label(each, 0.25) for each in (0.0, 0.25, -0.5)] == ["0.00", "0.25", "−0.50"]
    assert label(20.0, 5.0) == "20"
    assert decades(1, 100) == [1, 2, 5, 10, 20, 50, 100]


def test_the_recall_curve_goes_through_the_measured_recalls() -> None:
    run = result()
    curve = recall_curve.recall(run)
    assert len(curve) == run.depth
    assert all(a <= b + 1e-12 for a, b in pairwise(curve))
    for cutoff in (5, 20, 100):
        assert curve[cutoff - 1] == pytest.approx(run.metrics[f"R@{cutoff}"], abs=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3, 100, 130, 1000])
def test_a_recall_curve_of_any_depth_ends_at_its_depth(depth: int) -> None:
    run = replace(result(), depth=depth)
    assert recall_curve._cutoffs(depth)[-1] == depth
    assert "<svg" in recall_curve.section([run])


def test_differences_are_sorted_and_counted_as_the_comparison_counts_them() -> None:
    made = evaluation()
    a, b = made.runs
    found = wins_losses.differences(a.per_query["nDCG@10"], b.per_query["nDCG@10"])
    assert [value for value, _ in found] == sorted((value for value, _ in found), reverse=True)
    comparison = made.comparisons[0]
    assert sum(value > 0 for value, _ in found) == comparison.wins
    drawn = wins_losses.plot(svg.WIDE, found, {}, "x")
    assert drawn.count('class="gain"') == comparison.wins
    assert drawn.count('class="loss"') == comparison.losses
    assert f"{comparison.wins} queries better, {comparison.losses} worse" in drawn


def test_many_configurations_stand_against_the_first() -> None:
    made = evaluation(*(result(f"c{step}", step) for step in (2, 3, 5, 7)))
    pairs = [(each.a, each.b) for each in wins_losses.shown_pairs(made.comparisons, "nDCG@10")]
    assert pairs == [("c2", "c3"), ("c2", "c5"), ("c2", "c7")]


@given(st.lists(st.floats(0, 1), min_size=1))
def test_every_score_is_counted_once(values: list[float]) -> None:
    assert sum(score_distributions.counts(values, 0, 1)) == len(values)


def test_scores_are_told_apart_by_what_people_judged() -> None:
    kept, first, relevance = score_distributions.spreads(result())
    assert len(kept.upper) + len(kept.lower) == 10 * QUERIES
    assert len(first.upper) + len(first.lower) == len(relevance.upper) + len(relevance.lower) == QUERIES
    assert kept.upper
    assert "not judged relevant" in score_distributions.plot(svg.NARROW, kept, 0)


def test_scores_that_are_all_the_same_can_be_drawn() -> None:
    spread = score_distributions.Spread("t", "score", "a", "b", (0.5, 0.5), ())
    assert "2 a, median 0.5; 0 b, median –" in score_distributions.plot(svg.NARROW, spread, 0)


def test_the_worst_queries_are_those_with_the_lowest_scores_and_the_latest_finds() -> None:
    run = result()
    found = worst.worst(run, "nDCG@10")
    scores = run.per_query["nDCG@10"]
    assert len(found) == 10
    assert max(scores[each] for each in found) <= min(scores[each] for each in scores if each not in found)
    zero = [min(run.queries[each].ranks.values()) for each in found if scores[each] == 0]
    assert zero == sorted(zero, reverse=True)


def test_a_perfect_query_is_none_of_the_worst() -> None:
    run = result()
    perfect = replace(run, per_query={"nDCG@10": dict.fromkeys(run.queries, 1.0)})
    assert worst.worst(perfect, "nDCG@10") == []


def test_every_mark_has_a_name_for_those_who_do_not_see_it() -> None:
    runs = evaluation().runs
    drawn = quality_latency.plot(svg.NARROW, runs, "nDCG@10")
    assert 'role="img"' in drawn
    assert "<title>nDCG@10 against the latency of a search</title>" in drawn
    assert all(f"<desc>{runs[0].config.name}: nDCG@10" in drawn for _ in runs)


@pytest.mark.parametrize("start", [":root { color-scheme", "(prefers-color-scheme: dark) { :root"])
def test_colours_can_be_told_from_the_page(start: str) -> None:
    rules = CSS[CSS.index(start) :].split("}")[0]
    colours = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", rules))
    page = luminance(colours["--page"])
    for name in ("--ink", "--soft"):
        assert contrast(luminance(colours[name]), page) >= 4.5
    for name in (*(f"--c{each}" for each in range(svg.COLOURS)), "--gain", "--loss"):
        assert contrast(luminance(colours[name]), page) >= 3, name


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[each : each + 2], 16) / 255 for each in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    """WCAG 2.2, contrast ratio."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
