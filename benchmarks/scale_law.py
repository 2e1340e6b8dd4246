"""A power law through measured points: what scale.py extrapolates with, and how far it misses what it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = coefficient · n ** exponent. `miss`: by what factor, at most, a measured point lies off it (1: by none)."""

    coefficient: float
    exponent: float
    miss: float

    @classmethod
    def through(cls, sizes: Sequence[float], values: Sequence[float]) -> PowerLaw:
        """Least squares of the logarithms. Raises ValueError for fewer than two different sizes or what is not > 0."""
        if len(sizes) != len(values) or len(set(sizes)) < 2 or min(*sizes, *values) <= 0:
            raise ValueError("a power law takes values above 0 at two or more different sizes above 0")
        logs = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(values, dtype=float))
        exponent, constant = np.polyfit(*logs, 1)
        misses = np.abs(logs[1] - (constant + exponent * logs[0]))
        return cls(float(np.exp(constant)), float(exponent), float(np.exp(misses.max())))

    def at(self, size: float) -> float:
        """What the law says for a size."""
        return float(self.coefficient * size**self.exponent)
