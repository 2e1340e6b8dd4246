"""From values to places, and where an axis has its ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` onto places from `start` to `end`; evenly, or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, kept within the ends."""
        low, high, value = (self._even(each) for each in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def _even(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.logarithmic else value


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values, the first at or below `low`, the last at or above `high`; 1, 2, 2.5 or 5 times a
    power of ten apart."""
    if not high > low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(each * step, 12) for each in range(first, last + 1)]


def decades(low: int, high: int, each: Sequence[int] = (1, 2, 5)) -> list[int]:
    """1, 2, 5, 10, 20, … between two whole numbers, and both of them: ticks of a logarithmic axis."""
    power, found = 1, {low, high}
    while power <= high:
        found |= {one * power for one in each if low <= one * power <= high}
        power *= 10
    return sorted(found)


def label(value: float, step: float = 0.0) -> str:
    """A tick's text, with as many decimals as the step between ticks needs."""
    decimals = 0
    while decimals < 6 and abs(round(step, decimals) - step) > 1e-9:
        decimals += 1
    return f"{value:.{decimals}f}".replace("-", "−")
