"""Hits in the order that a reranker gives them, with scores that descend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.embedded import embedded_text
from rag.reranking.interface import Reranker
from rag.reranking.order import rerank
from rag.schema import Passage


def reranked(query: str, passages: Sequence[Passage], reranker: Reranker, seconds: float) -> list[Passage]:
    """As many of the passages, best first, as fit into the time, in the reranker's order; then the others.

    A passage is read with its title and headings, as it was encoded. Its score becomes the reranker's, in [0, 1]; that
    of the others the lowest of these times their share of the best score among them, so that the list descends.
    Blocks: for a thread. Raises RerankerError.
    """
    scores = reranker.scores(
        query, [embedded_text(each.title, each.heading_path, each.text) for each in passages], seconds
    )
    by_id = {each.id: each for each in passages}
    new = dict(zip(by_id, scores, strict=False))
    rest = [each.score for each in passages[len(scores) :]]
    best, lowest = max(rest, default=0.0) or 1.0, min(scores, default=0.0)
    order = rerank(list(by_id), scores)
    return [
        replace(by_id[each], score=new[each] if each in new else lowest * max(by_id[each].score, 0.0) / best)
        for each in order
    ]
