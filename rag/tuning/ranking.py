"""How well held-out questions lead to their documents: nDCG@10 of documents ranked by their best passage."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from rag.encoders.interface import Vectors
from rag.tuning.pairs import HeldOut

CUTOFF = 10

# Unit vectors of texts, shape (len(texts), dimension).
Encode = Callable[[Sequence[str]], Vectors]


def ndcg(ranked: Sequence[str], relevant: Collection[str], cutoff: int = CUTOFF) -> float:
    """nDCG at the cutoff of a ranking without doubles, all relevant documents being equally so:
    sum over the relevant ranks r of 1 / log2(r + 1), over the same sum of an ideal ranking.

    Source: Järvelin and Kekäläinen, TOIS 2002.
    """
    gain = sum(1 / math.log2(rank + 1) for rank, each in enumerate(ranked[:cutoff], 1) if each in relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(cutoff, len(relevant)) + 1))
    return gain / ideal if ideal else 0.0


def by_best_passage(documents: Sequence[str], scores: Sequence[float]) -> list[str]:
    """Documents in the order of their best passages; ties by name."""
    best: dict[str, float] = {}
    for document, score in zip(documents, scores, strict=True):
        best[document] = max(score, best.get(document, -math.inf))
    return sorted(best, key=lambda each: (-best[each], each))


def encoder_scores(held_out: Sequence[HeldOut], queries: Encode, passages: Encode) -> list[float]:
    """nDCG@10 of each question, all questions' candidates being ranked for each."""
    pool = list({(each.document, each.text): None for question in held_out for each in question.candidates})
    asked = queries([each.query for each in held_out])
    found = passages([text for _, text in pool])
    cosines = np.asarray(asked) @ np.asarray(found).T
    documents = [document for document, _ in pool]
    return [
        ndcg(by_best_passage(documents, row.tolist()), question.relevant)
        for question, row in zip(held_out, cosines, strict=True)
    ]


def reranker_scores(held_out: Sequence[HeldOut], score: Callable[[str, Sequence[str]], Sequence[float]]) -> list[float]:
    """nDCG@10 of each question, its own candidates being ranked by `score(query, passages)`."""
    found = []
    for each in held_out:
        scores = score(each.query, [candidate.text for candidate in each.candidates])
        ranked = by_best_passage([candidate.document for candidate in each.candidates], scores)
        found.append(ndcg(ranked, each.relevant))
    return found
