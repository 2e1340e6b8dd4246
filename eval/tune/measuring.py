"""What a training brought, as a card says it: means with intervals, and a paired test between before and after."""

from __future__ import annotations

from collections.abc import Sequence

from eval.statistics import bootstrap_interval, randomisation_test
from rag.tuning.card import Measured


def before_and_after(data: str, metric: str, before: Sequence[float], after: Sequence[float]) -> Measured:
    """The same questions' scores in [0, 1] before and after."""
    return Measured(
        data=data,
        metric=metric,
        count=len(after),
        after=_mean(after),
        after_interval=_rounded(bootstrap_interval(after)),
        before=_mean(before),
        before_interval=_rounded(bootstrap_interval(before)),
        p=round(randomisation_test([b - a for a, b in zip(before, after, strict=True)]), 6),
    )


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6)


def _rounded(interval: tuple[float, float]) -> tuple[float, float]:
    return round(interval[0], 6), round(interval[1], 6)
