"""Maximal marginal relevance: a passage that says what an earlier one says already has to wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rag.fusion import Ranked

# Best hits that are put into another order; those behind them stay as they are. As many as LangChain's retrievers take.
DIVERSIFIED = 20


def diversified(hits: Sequence[Ranked], vectors: Mapping[str, Sequence[float]], diversity: float) -> list[Ranked]:
    """The hits in the order in which they are picked, one after the other, each time the one with the highest

        (1 - diversity) * score / best score - diversity * (cosine with the nearest of those picked before)

    Equal ones keep their order, so a diversity of 0 changes nothing where scores descend. `vectors` are unit vectors by
    id; a hit without one is like no other. Scores are above or equal to 0. Source: Carbonell and Goldstein, SIGIR 1998,
    where lambda is 1 - diversity.
    """
    best = max((each.score for each in hits), default=0.0)
    relevance = np.array([each.score / best if best > 0 else 0.0 for each in hits])
    cosines = _cosines([vectors.get(each.id, ()) for each in hits])
    nearest = np.zeros(len(hits))
    left = np.ones(len(hits), dtype=bool)
    order: list[Ranked] = []
    for number in range(len(hits)):
        marginal = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        picked = int(np.argmax(marginal))
        order.append(hits[picked])
        left[picked] = False
        nearest = cosines[picked] if number == 0 else np.maximum(nearest, cosines[picked])
    return order


def _cosines(vectors: Sequence[Sequence[float]]) -> np.ndarray:
    """Each with each, shape (len(vectors), len(vectors)); 0 where one of the two is empty."""
    length = max((len(each) for each in vectors), default=0)
    table = np.array([each if len(each) else [0.0] * length for each in vectors], np.float64)
    return table @ table.T if length else np.zeros((len(vectors), len(vectors)))
