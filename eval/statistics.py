"""How sure a number is: bootstrap intervals, a paired randomisation test, and Holm's correction for many tests.

All draw from a seeded generator: the same values give the same interval and the same p.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

RESAMPLES = 10_000
FLIPS = 10_000
CONFIDENCE = 0.95
SEED = 20_070_612
# Cells of a matrix of draws that are held at once: 32 MB.
_CELLS = 4_000_000


def bootstrap_interval(
    values: Sequence[float], resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = SEED
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean: the middle `confidence` of the means of `resamples` samples of
    the queries, drawn with replacement.

    Raises ValueError for no values. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13;
    for retrieval: Sakai, SIGIR 2006.
    """
    import numpy as np

    each = np.asarray(values, dtype=np.float64)
    if each.ndim != 1 or not each.size:
        raise ValueError("an interval needs at least one value")
    draw = np.random.default_rng(seed)
    means = np.empty(resamples)
    block = max(1, _CELLS // each.size)
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        means[start : start + count] = each[draw.integers(0, each.size, (count, each.size))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def randomisation_test(differences: Sequence[float], flips: int = FLIPS, seed: int = SEED) -> float:
    """The two-sided p-value of the paired randomisation test: how often chance alone would make a mean difference as
    large as the one seen, if each query's two scores might as well have been the other's.

    Every assignment of signs is tried where there are no more than `flips`; else `flips` random ones, and
    p = (1 + as large) / (1 + flips), which is never 0. 1.0 where nothing differs.

    Sources: Fisher, The Design of Experiments, 1935; Smucker, Allan and Carterette, CIKM 2007; the added one: Phipson
    and Smyth, SAGMB 2010.
    """
    import numpy as np

    each = np.asarray(differences, dtype=np.float64)
    each = each[each != 0]  # a sign does not change them
    if not each.size:
        return 1.0
    # Sums of the same numbers in another order differ in their last bits: that is no difference.
    seen = abs(each.sum()) - 1e-9 * np.abs(each).sum()
    if each.size < 63 and 2**each.size <= flips:
        bits = np.arange(2**each.size)[:, None] >> np.arange(each.size) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ each) >= seen))
    draw = np.random.default_rng(seed)
    as_large = 0
    block = max(1, _CELLS // each.size)
    for start in range(0, flips, block):
        signs = draw.integers(0, 2, (min(block, flips - start), each.size), dtype=np.int8)
        as_large += int(np.count_nonzero(np.abs(_signed_sums(signs, each)) >= seen))
    return (1 + as_large) / (1 + flips)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value adjusted so that, over all of them, the chance of one false finding stays below the level:
    the k-th smallest (from 0) of m becomes max over j <= k of min(1, (m - j) * p_j).

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda each: p_values[each])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _signed_sums(signs: Any, values: Any) -> Any:
    """Sums of `values` (n) with the sign that each row of `signs` (rows, n; 0 or 1) gives them."""
    return values.sum() - 2.0 * (signs @ values)
