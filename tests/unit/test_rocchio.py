"""Pseudo-relevance feedback: where the query's vector goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.rocchio import moved_towards

DIMENSION = 4


@st.composite
def units(draw: st.DrawFn) -> list[float]:
    """A unit vector."""
    drawn = draw(arrays(np.float64, DIMENSION, elements=st.floats(-1, 1, width=32)))
    length = float(np.linalg.norm(drawn))
    assume(length > 0.1)
    return [float(each) for each in drawn / length]


weights = st.floats(0, 1)


def test_a_small_example_worked_out_by_hand() -> None:
    # .5 (1, 0) + .5 (0, 1), made as long as 1
    assert moved_towards([1.0, 0.0], [[0.0, 1.0]], 0.5) == pytest.approx([0.5**0.5, 0.5**0.5])
    # .8 (1, 0) + .2 mean((0, 1), (1, 0)) = (.9, .1)
    assert moved_towards([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]], 0.2) == pytest.approx([0.99388, 0.11043], abs=1e-5)


def test_opposites_that_cancel_out_leave_the_query() -> None:
    assert moved_towards([1.0, 0.0], [[-1.0, 0.0]], 0.5) == [1.0, 0.0]


@given(units(), st.lists(units(), max_size=5))
def test_no_weight_moves_nothing_and_neither_do_no_passages(query: list[float], passages: list[list[float]]) -> None:
    assert moved_towards(query, passages, 0) == query
    assert moved_towards(query, [], 0.5) == query


@given(units(), st.lists(units(), min_size=1, max_size=5), weights)
def test_it_stays_a_unit_vector(query: list[float], passages: list[list[float]], weight: float) -> None:
    assert np.linalg.norm(moved_towards(query, passages, weight)) == pytest.approx(1)


@given(units(), st.lists(units(), min_size=1, max_size=5), weights, weights)
def test_the_greater_the_weight_the_nearer_the_passages(
    query: list[float], passages: list[list[float]], one: float, other: float
) -> None:
    mean = np.mean(passages, axis=0)
    less, more = (float(np.dot(moved_towards(query, passages, each), mean)) for each in sorted((one, other)))
    assume(np.linalg.norm(mean) > 0.1)
    assume(np.dot(query, mean) / np.linalg.norm(mean) > -0.9)  # near to its opposite the direction is anybody's
    assert more >= less - 1e-9
