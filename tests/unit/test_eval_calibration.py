"""A calibration fitted on searches that found an answer and searches that could not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.calibration.fitting import fit, threshold
from rag.schema import Evidence

unit = st.floats(0, 1)


def drawn(count: int, cosine: float, coverage: float, seed: int) -> list[Evidence]:
    chance = random.Random(seed)
    return [Evidence(chance.gauss(cosine, 0.1), min(1.0, max(0.0, chance.gauss(coverage, 0.2)))) for _ in range(count)]


def test_what_speaks_for_an_answer_gets_the_weight() -> None:
    found = fit(drawn(300, 0.7, 0.8, 1), drawn(300, 0.4, 0.3, 2))
    assert found.cosine > 0
    assert found.coverage > 0
    assert found.probability(0.7, 0.8) > 0.8
    assert found.probability(0.4, 0.3) < 0.2


def test_both_kinds_count_the_same_however_many_there_are() -> None:
    found = fit(drawn(900, 0.6, 0.5, 1), drawn(90, 0.5, 0.5, 2))
    assert found.probability(0.55, 0.5) == pytest.approx(0.5, abs=0.1)


def test_the_fit_is_that_of_a_known_model() -> None:
    chance = random.Random(3)
    kinds: dict[bool, list[Evidence]] = {True: [], False: []}
    for _ in range(20_000):
        cosine, coverage = chance.random(), chance.random()
        likely = 1 / (1 + 2.718281828 ** -(-3 + 3 * cosine + 3 * coverage))
        kinds[chance.random() < likely].append(Evidence(cosine, coverage))
    found = fit(kinds[True], kinds[False])
    assert (found.cosine, found.coverage) == (pytest.approx(3, abs=0.25), pytest.approx(3, abs=0.25))


@given(st.lists(st.builds(Evidence, unit, unit), min_size=1), st.lists(st.builds(Evidence, unit, unit), min_size=1))
def test_weights_are_finite_whatever_was_found(answerable: list[Evidence], hidden: list[Evidence]) -> None:
    found = fit(answerable, hidden)
    assert all(abs(each) < 1e4 for each in (found.bias, found.cosine, found.coverage))


def test_without_one_of_the_kinds_there_is_no_fit() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        fit([], [Evidence(0.5, 0.5)])


@given(st.lists(unit, min_size=1, max_size=200), st.floats(0, 0.9))
def test_no_more_than_the_allowed_share_lies_below_the_threshold(relevances: list[float], refused: float) -> None:
    assert sum(each < threshold(relevances, refused) for each in relevances) <= refused * len(relevances)
