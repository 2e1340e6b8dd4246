"""A new order from the scores of a ranking's head."""

from __future__ import annotations

from collections.abc import Sequence


def rerank(ranked_ids: Sequence[str], scores: Sequence[float]) -> list[str]:
    """The ids with those first that have a score, best first, equal ones by id; the rest follow in their old order.

    `scores` are of the first len(scores) ids. What was not scored stays behind what was: it was ranked lower before,
    and nothing is known that would lift it. Raises ValueError where there are more scores than ids.
    """
    if len(scores) > len(ranked_ids):
        raise ValueError(f"{len(scores)} scores for {len(ranked_ids)} ids")
    scored = sorted(zip(ranked_ids, scores, strict=False), key=lambda each: (-each[1], each[0]))
    return [identity for identity, _ in scored] + list(ranked_ids[len(scores) :])
