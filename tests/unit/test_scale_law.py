"""The law that the scale benchmark extrapolates with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from scale_law import PowerLaw

SIZES = (1_000, 10_000, 100_000)


@given(st.floats(1e-6, 1e3), st.floats(-0.5, 2))
def test_a_law_is_found_again_in_what_it_makes(coefficient: float, exponent: float) -> None:
    law = PowerLaw.through(SIZES, [coefficient * size**exponent for size in SIZES])
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.at(10**6) == pytest.approx(coefficient * 10 ** (6 * exponent), rel=1e-4)
    assert law.miss == pytest.approx(1, abs=1e-6)


def test_what_it_misses_is_told() -> None:
    law = PowerLaw.through(SIZES, [1, 4, 1])
    assert law.exponent == pytest.approx(0)
    assert law.miss == pytest.approx(4 ** (2 / 3))


@pytest.mark.parametrize(("sizes", "values"), [((10,), (1,)), ((10, 10), (1, 2)), ((10, 20), (1, 0)), ((10, 20), (1,))])
def test_what_has_no_law_is_refused(sizes: tuple[int, ...], values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="power law"):
        PowerLaw.through(sizes, values)
