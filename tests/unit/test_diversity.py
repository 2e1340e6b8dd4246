"""Maximal marginal relevance: in which order hits stand that say the same or something else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.diversity import diversified
from rag.fusion import Ranked

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]


def ranked(**scores: float) -> list[Ranked]:
    return [Ranked(name, score, None, None) for name, score in scores.items()]


def names(hits: list[Ranked]) -> str:
    return "".join(each.id for each in hits)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[Ranked], dict[str, list[float]]]:
    """Hits, best first, and unit vectors of some of them."""
    ids = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    scores = sorted(draw(st.lists(st.integers(0, 100), min_size=len(ids), max_size=len(ids))), reverse=True)
    angles = {each: draw(st.floats(0, 6.3)) for each in ids if draw(st.booleans())}
    vectors = {each: [float(np.cos(angle)), float(np.sin(angle))] for each, angle in angles.items()}
    return [Ranked(each, float(score), None, None) for each, score in zip(ids, scores, strict=True)], vectors


def test_what_says_the_same_again_comes_after_what_says_something_else() -> None:
    hits = ranked(a=1.0, b=0.9, c=0.8)
    vectors = {"a": EAST, "b": EAST, "c": NORTH}
    # after a: b has .5 * .9 - .5 * 1 = -.05, c has .5 * .8 - .5 * 0 = .4
    assert names(diversified(hits, vectors, 0.5)) == "acb"
    # .9 * .9 - .1 * 1 = .71 against .9 * .8 = .72
    assert names(diversified(hits, vectors, 0.1)) == "acb"
    assert names(diversified(hits, vectors, 0.05)) == "abc"


def test_what_counts_is_the_nearest_of_all_that_were_picked() -> None:
    hits = ranked(a=1.0, b=0.9, c=0.5, d=0.45)
    x, y, z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
    # what is like b, which is picked second, comes last
    assert names(diversified(hits, {"a": x, "b": y, "c": z, "d": y}, 0.5)) == "abcd"
    assert names(diversified(hits, {"a": x, "b": y, "c": y, "d": z}, 0.5)) == "abdc"


def test_scores_count_as_shares_of_the_best() -> None:
    vectors = {"a": EAST, "b": NORTH_EAST, "c": NORTH}
    small, large = ranked(a=0.01, b=0.009, c=0.008), ranked(a=100, b=90, c=80)
    assert names(diversified(small, vectors, 0.3)) == names(diversified(large, vectors, 0.3)) == "acb"


def test_a_hit_whose_vector_is_not_known_is_like_no_other() -> None:
    assert names(diversified(ranked(a=1.0, b=0.9, c=0.8), {"a": EAST, "b": EAST}, 0.5)) == "acb"
    assert names(diversified(ranked(a=1.0, b=0.9), {}, 0.5)) == "ab"


def test_nothing_has_an_order_of_its_own() -> None:
    assert diversified([], {}, 0.5) == []


@given(rankings())
def test_no_diversity_changes_nothing(drawn: tuple[list[Ranked], dict[str, list[float]]]) -> None:
    hits, vectors = drawn
    assert diversified(hits, vectors, 0) == hits


@given(rankings(), st.floats(0, 1))
def test_the_same_hits_come_out_and_the_best_one_stays_first(
    drawn: tuple[list[Ranked], dict[str, list[float]]], diversity: float
) -> None:
    hits, vectors = drawn
    found = diversified(hits, vectors, diversity)
    assert sorted(found) == sorted(hits)
    assert found[:1] == hits[:1]


@given(rankings(), st.floats(0, 1))
def test_each_is_the_best_of_those_left(drawn: tuple[list[Ranked], dict[str, list[float]]], diversity: float) -> None:
    hits, vectors = drawn
    found = diversified(hits, vectors, diversity)
    best = hits[0].score if hits else 0.0

    def marginal(hit: Ranked, before: list[Ranked]) -> float:
        own = vectors.get(hit.id, [0.0, 0.0])
        near = max((float(np.dot(own, vectors.get(each.id, [0.0, 0.0]))) for each in before), default=0.0)
        return (1 - diversity) * (hit.score / best if best else 0.0) - diversity * near

    for place in range(len(found)):
        before, left = found[:place], found[place:]
        assert marginal(found[place], before) == pytest.approx(max(marginal(each, before) for each in left))
