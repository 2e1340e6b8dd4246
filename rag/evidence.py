"""What a document's other passages say for a passage: one that stands in a fitting document is likelier to be right."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from rag.point_ids import document_part


def with_document_evidence(scores: Mapping[str, float], weight: float) -> Mapping[str, float]:
    """Add to each score, as a share of the best, `weight` times the length of its document's vector of such scores.

    score'(p) = s(p) / s_max + weight * sqrt(sum over the passages q of p's document of (s(q) / s_max)^2)

    A document with one hit gains nothing on another such; one with many good hits does. Scores go by the passages' ids,
    which tell whose they are. Source of passage evidence for documents: Callan, SIGIR 1994; the Euclidean length lies
    between the best passage and the sum of all.
    """
    best = max(scores.values(), default=0.0)
    if weight == 0 or best <= 0:
        return scores
    shares = [(passage, document_part(passage), score / best) for passage, score in scores.items()]
    squares: defaultdict[str, float] = defaultdict(float)
    for _, document, share in shares:
        squares[document] += share * share
    added = {document: weight * math.sqrt(square) for document, square in squares.items()}
    return {passage: share + added[document] for passage, document, share in shares}
