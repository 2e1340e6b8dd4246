"""How likely it is that what was found answers the question: a number in [0, 1], so that "nothing relevant" is one.

A collection may carry a calibration of its own in its metadata (`librarian eval calibrate`); without one, that of
`Calibration` holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.schema import Evidence, Passage

# A question's answer need not stand in the very best passage.
LOOKED_AT = 3

# Where a collection's metadata holds its calibration.
METADATA = "relevance"
# A weight beyond this is no fit but a mistake, and could overflow.
LARGEST = 100.0

Terms = Callable[[str], Collection[int]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """relevance = 1 / (1 + exp(-(bias + cosine * c + coverage * t))), c and t as in `evidence`: logistic regression.

    The values that stand here were fitted on the 809 claims of SciFact's train split, each once with its abstract in
    the index (relevant) and once without (not).
    """

    bias: float = -4.05
    cosine: float = 3.33
    coverage: float = 3.31

    def probability(self, cosine: float, coverage: float) -> float:
        """The probability that these two speak for."""
        return 1 / (1 + math.exp(-(self.bias + self.cosine * cosine + self.coverage * coverage)))

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Calibration:
        """The one that a collection's metadata holds; this service's own where it holds none that can be read."""
        found = metadata.get(METADATA)
        values = [found.get(each) for each in ("bias", "cosine", "coverage")] if isinstance(found, dict) else []
        numbers = [float(each) for each in values if isinstance(each, int | float) and abs(each) <= LARGEST]
        return cls(*numbers) if len(numbers) == 3 else cls()


def evidence(query: str, passages: Sequence[Passage], best_cosine: float | None, terms: Terms) -> Evidence | None:
    """What the passages, best first, say for an answer to the query; None where there are none.

    The cosine is the highest that the dense leg saw, the coverage the largest share of the query's terms (stemmed,
    without stop words) that one of the first three passages holds, with its title and headings. A query without such
    terms is judged by its cosine alone, with a share of one half.
    """
    if not passages or best_cosine is None:
        return None
    asked = set(terms(query))
    if not asked:
        return Evidence(best_cosine, 0.5)
    held = (asked & set(terms("\n".join((each.title, *each.heading_path, each.text)))) for each in passages[:LOOKED_AT])
    return Evidence(best_cosine, max(len(each) for each in held) / len(asked))


def relevance(
    query: str, passages: Sequence[Passage], best_cosine: float | None, terms: Terms, calibration: Calibration
) -> float | None:
    """The probability that the passages, best first, answer the query; None where there are none."""
    seen = evidence(query, passages, best_cosine, terms)
    return None if seen is None else calibration.probability(seen.cosine, seen.coverage)
