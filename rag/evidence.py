"""What a document's other passages say for a passage: one that stands in a fitting document is likelier to be right."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from rag.fusion import Ranked


def with_document_evidence(ranked: Sequence[Ranked], weight: float, field: str) -> list[Ranked]:
    """Add to each score, as a share of the best, `weight` times the length of its document's vector of such scores.

    score'(p) = s(p) / s_max + weight * sqrt(sum over the passages q of p's document of (s(q) / s_max)^2)

    A document with one hit gains nothing on another such; one with many good hits does. `field` of the payload names
    the document; a hit without it is a document of its own. Best first, ties by id. Source of passage evidence for
    documents: Callan, SIGIR 1994; the Euclidean length lies between the best passage and the sum of all.
    """
    best = max((each.score for each in ranked), default=0.0)
    if weight == 0 or best <= 0:
        return list(ranked)
    squares: dict[str, float] = defaultdict(float)
    for each in ranked:
        squares[_document(each, field)] += (each.score / best) ** 2
    raised = [
        replace(each, score=each.score / best + weight * math.sqrt(squares[_document(each, field)])) for each in ranked
    ]
    return sorted(raised, key=lambda each: (-each.score, each.id))


def _document(ranked: Ranked, field: str) -> str:
    return str(ranked.payload.get(field, ranked.id))
