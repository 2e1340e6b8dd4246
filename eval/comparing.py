"""Is one configuration better than another, query by query, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from eval.result import Comparison, Result
from eval.statistics import bootstrap_interval, holm, randomisation_test

# Scores are rounded to six decimals: what differs less is the same.
TIE = 1e-6


def compare_all(results: Sequence[Result]) -> tuple[Comparison, ...]:
    """Every pair in every metric, the later one against the earlier.

    The p-values of one metric are corrected together: the question is which of the pairs differ in it. The first
    metric is the one to decide by; to pick whichever of several looks best would be another test for each of them.
    """
    found: list[Comparison] = []
    for metric in results[0].metrics if results else ():
        some = [
            compare(a.config.name, b.config.name, metric, a.per_query[metric], b.per_query[metric])
            for a, b in combinations(results, 2)
        ]
        corrected = holm([each.p for each in some])
        found += [replace(each, p_holm=round(p, 6)) for each, p in zip(some, corrected, strict=True)]
    return tuple(found)


def compare(a: str, b: str, metric: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> Comparison:
    """`theirs` (of b) against `ours` (of a) over the queries that both have; `p_holm` is p as long as it stands alone.

    Raises ValueError where they have no query in common.
    """
    differences = [theirs[query] - value for query, value in ours.items() if query in theirs]
    differences = [each if abs(each) > TIE else 0.0 for each in differences]
    low, high = bootstrap_interval(differences)
    p = round(randomisation_test(differences), 6)
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        difference=round(sum(differences) / len(differences), 6),
        interval=(round(low, 6), round(high, 6)),
        p=p,
        p_holm=p,
        wins=sum(each > 0 for each in differences),
        losses=sum(each < 0 for each in differences),
        ties=sum(each == 0 for each in differences),
    )
