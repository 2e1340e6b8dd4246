"""May this go live? Conditions on an evaluation's numbers, for CI and for promotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval import words
from eval.comparing import compare
from eval.result import Evaluation, Result
from rag.errors import BadInput


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, whether it is met, and the numbers that say so."""

    met: bool
    text: str


def pick(evaluation: Evaluation, name: str | None, what: str) -> Result:
    """The run of that name, or the only one. Raises BadInput."""
    names = [each.config.name for each in evaluation.runs]
    if name is None and len(names) == 1:
        return evaluation.runs[0]
    if name not in names:
        raise BadInput(f"{what} has the runs {', '.join(names)}: choose one by its name.")
    return evaluation.runs[names.index(name)]


def minima(texts: Sequence[str]) -> dict[str, float]:
    """`ndcg@10=0.70` as a metric and its least value. Raises BadInput."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = float("nan")
        if not 0 <= least <= 1 or not name.strip():
            raise BadInput(f"--min takes METRIC=VALUE with a value from 0 to 1, not '{text}'.")
        found[name.strip()] = least
    return found


def check(
    run: Result,
    baseline: Result | None = None,
    least: Mapping[str, float] | None = None,
    no_worse_than: float | None = None,
    metrics: Sequence[str] = (),
) -> list[Condition]:
    """Every condition on a run.

    `least`: the value that each metric must reach. With a `baseline`, each of `metrics` (none named: the run's first)
    may be at most `no_worse_than` (None: 0) below it. Means are compared as they are: the p-value shown says how
    sure a difference is, and does not excuse it.

    Raises BadInput for no condition at all, an unknown metric, or a baseline of other queries or judgements.
    """
    if not least and baseline is None:
        raise BadInput("name a condition: --min METRIC=VALUE, or --baseline RUN.json with --no-worse-than.")
    if baseline is None and no_worse_than is not None:
        raise BadInput("--no-worse-than needs a run to be compared with: --baseline RUN.json.")
    conditions = [_at_least(run, _named(run, name), value) for name, value in (least or {}).items()]
    if baseline is not None:
        _check_same(run, baseline)
        chosen = [_named(run, each) for each in metrics] or [next(iter(run.metrics))]
        conditions += [_no_worse(run, baseline, metric, no_worse_than or 0.0) for metric in chosen]
    return conditions


def _at_least(run: Result, metric: str, least: float) -> Condition:
    value = run.metrics[metric]
    met = value >= least
    return Condition(met, f"{metric} is {value:.4f}, {'at least' if met else 'less than'} {least:.4f}")


def _no_worse(run: Result, baseline: Result, metric: str, allowed: float) -> Condition:
    if metric not in baseline.metrics:
        raise BadInput(f"the baseline has no {metric}; it has {', '.join(baseline.metrics)}.")
    value, before = run.metrics[metric], baseline.metrics[metric]
    difference = value - before
    met = difference >= -allowed - 1e-9
    text = f"{metric} is {value:.4f}, {difference:+.4f} to the baseline's {before:.4f}; {allowed:.4f} less is allowed"
    ours, theirs = run.per_query.get(metric), baseline.per_query.get(metric)
    if ours and theirs:
        found = compare("baseline", "run", metric, theirs, ours)
        text += f" ({words.p_value(found.p)}; {found.wins} queries better, {found.losses} worse)"
    return Condition(met, text)


def _check_same(run: Result, baseline: Result) -> None:
    ours, theirs = run.dataset, baseline.dataset
    if ours.hash != theirs.hash:
        raise BadInput(
            f"the run is of {ours.name} {ours.split} ({ours.hash[:12]}), the baseline of {theirs.name} {theirs.split} "
            f"({theirs.hash[:12]}): other queries or judgements cannot be compared."
        )


def _named(run: Result, name: str) -> str:
    known = {each.casefold(): each for each in run.metrics}
    found = known.get(name.strip().casefold())
    if found is None:
        raise BadInput(f"the run has no metric '{name}'; it has {', '.join(run.metrics)}.")
    return found
