"""Pseudo-relevance feedback on vectors: the best passages are taken for relevant, and the query moves towards them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def moved_towards(query: Sequence[float], passages: Sequence[Sequence[float]], weight: float) -> list[float]:
    """The unit vector in the direction of (1 - weight) q + weight * mean(passages), all of them unit vectors.

    q itself where there are no passages, or where the two cancel out. Sources: Rocchio, in The SMART Retrieval System,
    1971, without its negative part; on dense vectors: Li et al., TOIS 41(3), 2023.
    """
    if not len(passages) or weight == 0:
        return list(query)
    moved = (1 - weight) * np.asarray(query, np.float64) + weight * np.asarray(passages, np.float64).mean(axis=0)
    length = float(np.linalg.norm(moved))
    return list(query) if length < 1e-9 else [float(each) for each in moved / length]
