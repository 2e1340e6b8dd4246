"""Two rankings into one: by ranks, by scores relative to each leg's best, or by how the scores are distributed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from rag.index.interface import Hit

Fusion = Literal["rrf", "weighted", "dbsf"]


class Ranked(NamedTuple):
    """A fused hit: its score, and what each leg gave it (None: that leg did not find it)."""

    id: str
    score: float
    dense: float | None
    sparse: float | None


def fuse(kind: Fusion, dense: Sequence[Hit], sparse: Sequence[Hit], dense_weight: float, k: float) -> dict[str, float]:
    """One score for each hit of either leg, in the way named; each leg comes best first.

    `k` is for "rrf", the weight for the two others.
    """
    if kind == "rrf":
        return reciprocal_rank_fusion(dense, sparse, k)
    return score_fusion(dense, sparse, dense_weight, relative_scores if kind == "weighted" else distributed_scores)


def ranked(
    scores: Mapping[str, float], dense: Sequence[Hit], sparse: Sequence[Hit], count: int | None = None
) -> list[Ranked]:
    """The best `count` hits of two legs by these scores; None: all of them.

    Best first; equal scores in the order of their ids, so that every driver gives the same list.
    """
    near = {hit.id: hit.score for hit in dense}
    words = {hit.id: hit.score for hit in sparse}
    best = heapq.nsmallest(len(scores) if count is None else count, scores, key=lambda each: (-scores[each], each))
    return [Ranked(each, scores[each], near.get(each), words.get(each)) for each in best]


def reciprocal_rank_fusion(dense: Sequence[Hit], sparse: Sequence[Hit], k: float) -> dict[str, float]:
    """Join two rankings: score(d) = sum over the legs of 1 / (k + rank of d), ranks from 1.

    Source: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    scores: dict[str, float] = {}
    for leg in (dense, sparse):
        for rank, hit in enumerate(leg, start=1):
            scores[hit.id] = scores.get(hit.id, 0.0) + 1.0 / (k + rank)
    return scores


def score_fusion(
    dense: Sequence[Hit],
    sparse: Sequence[Hit],
    dense_weight: float,
    scaled: Callable[[Sequence[Hit]], list[float]],
) -> dict[str, float]:
    """Join two rankings: score(d) = w s_dense(d) + (1 - w) s_sparse(d) over scaled scores, moved so that the last is 0.

    What a leg did not find stands there like the last that it did find: it can be no better, and how much worse is not
    known. Source of convex combination: Bruch, Gai and Ingber, TOIS 2023.
    """
    near, far = _weighted(dense, dense_weight, scaled)
    words, few = _weighted(sparse, 1 - dense_weight, scaled)
    scores = {each: near.get(each, far) + words.get(each, few) for each in (*near, *words)}
    lowest = min(scores.values(), default=0.0)
    return {each: score - lowest for each, score in scores.items()}


def relative_scores(leg: Sequence[Hit]) -> list[float]:
    """Each score over the leg's best one; all 0 where that is not above 0."""
    best = leg[0].score if leg else 0.0
    return [hit.score / best if best > 0 else 0.0 for hit in leg]


def distributed_scores(leg: Sequence[Hit]) -> list[float]:
    """Where each score lies between three standard deviations below the leg's mean (0) and above it (1).

    Source: distribution-based score fusion, Mazzeschi 2023, as Qdrant has it, without cutting at 0 and 1.
    """
    if not leg:
        return []
    mean = math.fsum(hit.score for hit in leg) / len(leg)
    deviation = math.sqrt(math.fsum((hit.score - mean) ** 2 for hit in leg) / len(leg))
    return [0.5 + (hit.score - mean) / (6 * deviation) if deviation > 1e-9 else 0.5 for hit in leg]


def _weighted(
    leg: Sequence[Hit], weight: float, scaled: Callable[[Sequence[Hit]], list[float]]
) -> tuple[dict[str, float], float]:
    """The leg's share of each hit's score, by id, and of the score of what it did not find."""
    shares = {hit.id: weight * value for hit, value in zip(leg, scaled(leg), strict=True)}
    return shares, shares[leg[-1].id] if leg else 0.0
