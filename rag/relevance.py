"""How likely it is that what was found answers the question: a number in [0, 1], so that "nothing relevant" is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rag.schema import Passage

# A question's answer need not stand in the very best passage.
LOOKED_AT = 3

Terms = Callable[[str], Collection[int]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """relevance = 1 / (1 + exp(-(bias + cosine * c + coverage * t))), c and t as in `relevance`. A logistic regression.

    The values that stand here were fitted on the 809 claims of SciFact's train split, each once with its abstract in
    the index (relevant) and once without (not).
    """

    bias: float = -4.05
    cosine: float = 3.33
    coverage: float = 3.31

    def probability(self, cosine: float, coverage: float) -> float:
        """The probability that these two speak for."""
        return 1 / (1 + math.exp(-(self.bias + self.cosine * cosine + self.coverage * coverage)))


def relevance(
    query: str, passages: Sequence[Passage], best_cosine: float | None, terms: Terms, calibration: Calibration
) -> float | None:
    """The probability that the passages, best first, answer the query; None where there are none.

    c is the highest cosine that the dense leg saw, t the largest share of the query's terms (stemmed, without stop
    words) that one of the first three passages holds, with its title and headings. A query without such terms is judged
    by its cosine alone, with a share of one half.
    """
    if not passages or best_cosine is None:
        return None
    asked = set(terms(query))
    if not asked:
        return calibration.probability(best_cosine, 0.5)
    held = (asked & set(terms("\n".join((each.title, *each.heading_path, each.text)))) for each in passages[:LOOKED_AT])
    return calibration.probability(best_cosine, max(len(each) for each in held) / len(asked))
