"""Intervals, p-values and their correction behave as statistics say they must."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.statistics import bootstrap_interval, holm, randomisation_test

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)
p_values = st.lists(st.floats(0, 1), max_size=12)


@given(scores)
def test_an_interval_lies_within_the_values_and_holds_their_mean(values: list[float]) -> None:
    low, high = bootstrap_interval(values, resamples=2000)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    if len(values) >= 20 and len(set(values)) > 10:
        assert low - 0.02 <= sum(values) / len(values) <= high + 0.02


def test_values_that_are_all_the_same_have_no_interval() -> None:
    assert bootstrap_interval([0.5] * 10) == (0.5, 0.5)


def test_an_interval_is_as_wide_as_the_normal_one_for_many_queries() -> None:
    values = [float(each % 2) for each in range(1000)]  # standard error of the mean: sqrt(.25 / 1000)
    low, high = bootstrap_interval(values)
    assert (high - low) / 2 == pytest.approx(1.96 * (0.25 / 1000) ** 0.5, rel=0.05)


def test_the_same_values_give_the_same_interval_and_p() -> None:
    values = [random.Random(each).random() - 0.4 for each in range(60)]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert randomisation_test(values) == randomisation_test(values)


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])


@given(st.lists(st.integers(-5, 5), max_size=9))
def test_few_differences_are_tested_exactly(values: list[int]) -> None:
    seen = abs(sum(values))
    every = [
        abs(sum(sign * each for sign, each in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    assert randomisation_test(values) == pytest.approx(sum(each >= seen for each in every) / len(every))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_p_is_a_probability_and_does_not_depend_on_the_direction(values: list[float]) -> None:
    p = randomisation_test(values, flips=500)
    assert 0 < p <= 1
    assert randomisation_test([-each for each in values], flips=500) == pytest.approx(p)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.integers(0, 20))
def test_queries_without_a_difference_do_not_change_p(values: list[float], same: int) -> None:
    assert randomisation_test([*values, *[0.0] * same]) == randomisation_test(values)


def test_what_is_always_better_is_significant_and_never_certain() -> None:
    assert randomisation_test([0.1] * 300) == pytest.approx(1 / 10_001)
    assert randomisation_test([0.1] * 10) == pytest.approx(2 / 2**10)


def test_random_flips_come_near_the_exact_p() -> None:
    dice = random.Random(7)
    values = [dice.gauss(0.2, 0.5) for _ in range(13)]
    exact = randomisation_test(values)
    assert randomisation_test(values, flips=2**13 - 1) == pytest.approx(exact, abs=0.02)


def test_of_many_tests_without_a_difference_few_are_significant() -> None:
    dice = random.Random(11)
    found = [randomisation_test([dice.gauss(0, 1) for _ in range(20)], flips=400) for _ in range(200)]
    assert sum(each < 0.05 for each in found) <= 20  # 10 expected; 20 or more with a chance of 0.2%


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p_values)
def test_a_corrected_p_is_larger_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=lambda each: values[each])
    assert all(corrected[a] <= corrected[b] for a, b in itertools.pairwise(order))


@given(p_values)
def test_holm_is_never_stricter_than_bonferroni(values: list[float]) -> None:
    bounds = [min(1.0, each * len(values)) for each in values]
    assert all(each <= bound + 1e-12 for each, bound in zip(holm(values), bounds, strict=True))
