"""How good a ranking is: ir-measures' measures (trec_eval's definitions), for each query and as a mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.judgements import Qrels
from eval.runs import Run, scores
from rag.errors import BadInput

# The first is the one that decides: others are shown beside it.
DEFAULT_METRICS = ("nDCG@10", "R@5", "R@20", "R@100", "RR@10", "Success@5", "AP")
# Documents that are ranked for each query: what R@100 needs.
DEPTH = 100


@dataclass(frozen=True, slots=True)
class Scores:
    """`per_query[metric][query]` in [0, 1], and each metric's mean over all queries."""

    per_query: Mapping[str, Mapping[str, float]]
    means: Mapping[str, float]


def measure(qrels: Qrels, run: Run, metrics: Sequence[str] = DEFAULT_METRICS) -> Scores:
    """Score a run over every query of the judgements: one that found nothing, or is not in the run, counts 0.

    Ties are broken as the run's order has it (see `eval.runs`). Raises BadInput for an unknown metric.
    """
    from ir_measures import iter_calc

    if not qrels:
        raise BadInput("there are no judged queries: nothing can be measured.")
    measures = {name: _parse(name) for name in metrics}
    names = {str(each): name for name, each in measures.items()}
    found: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in metrics}
    given = {query: each for query, each in scores(run).items() if query in qrels and each}
    judged = {query: dict(each) for query, each in qrels.items()}
    if given:
        for value in iter_calc(list(measures.values()), judged, given):
            found[names[str(value.measure)]][value.query_id] = round(float(value.value), 6)
    means = {name: round(sum(values.values()) / len(values), 6) for name, values in found.items()}
    return Scores(found, means)


def canonical(name: str) -> str:
    """A metric's name as ir-measures writes it, whatever its case (`ndcg@10`). Raises BadInput for an unknown one."""
    import ir_measures

    base, at, cutoff = name.strip().partition("@")
    known = {each.casefold(): each for each in ir_measures.measures.registry}
    spelled = known.get(base.casefold(), base) + at + cutoff
    return str(_parse(spelled))


def depth_of(metrics: Sequence[str]) -> int:
    """Documents that a ranking must hold for these metrics: the largest cutoff, and `DEPTH` at least."""
    cutoffs = [int(after) for name in metrics if (after := name.rpartition("@")[2]).isdigit()]
    return max([DEPTH, *cutoffs])


def _parse(name: str) -> Any:
    import ir_measures

    try:
        return ir_measures.parse_measure(name)
    except (NameError, ValueError, TypeError, SyntaxError) as error:
        raise BadInput(f"'{name}' is no metric ({error}); {', '.join(DEFAULT_METRICS)} are examples.") from None
