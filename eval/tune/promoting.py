"""May a tuned model go into service? Only if it is better beyond the noise, and no worse on every guard set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.configurations import Configuration
from eval.datasets import Dataset
from eval.evaluation import Asked, evaluate
from eval.gate import Condition
from eval.indexing import OpenIngestor
from eval.progress import Show
from eval.result import Comparison, Evaluation, Result
from eval.words import LEVEL, p_value
from rag.errors import BadInput
from rag.settings import PROMOTED
from rag.tuning.artefacts import Artefact, write_card
from rag.tuning.card import Measured
from rag.tuning.in_service import SETTINGS

if TYPE_CHECKING:
    from rag.settings import Settings

IN_SERVICE, CANDIDATE = "in service", "candidate"
# What of the settings would have a promoted model of each kind not used.
_INSTEAD = {"encoder": "encoder_url"}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a candidate is tried on. `metric` decides on `target`, and on each of `guards`, where it may be lower by
    `tolerance` of what is in service at most."""

    target: Dataset
    guards: Sequence[Dataset]
    metric: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every condition, whether it is met, and the numbers for the card."""

    conditions: tuple[Condition, ...]
    measured: tuple[Measured, ...]

    @property
    def passed(self) -> bool:
        """Whether the candidate may go into service."""
        return all(each.met for each in self.conditions)


def check_decides(kind: str, settings: Settings, sources: Mapping[str, str]) -> None:
    """Raise BadInput where something stronger than a promotion says which model of this kind is used."""
    name = SETTINGS[kind]
    source = sources.get(name)
    if source not in (None, PROMOTED):
        raise BadInput(
            f"{name} is set by {source} ({getattr(settings, name)}), which is stronger than a promotion: take it out "
            "there first. What is promoted is used wherever nothing else is set."
        )
    if kind == "adapter" and settings.llm_model:
        raise BadInput(
            f"llm_model is set ({settings.llm_model}), so that model is asked whatever is promoted: take it out first."
        )
    instead = _INSTEAD.get(kind)
    if instead and getattr(settings, instead):
        raise BadInput(f"{instead} is set, so a server encodes: let that serve the tuned folder, and reindex.")


def tried(artefact: Artefact, settings: Settings, trial: Trial, open_ingestor: OpenIngestor, show: Show) -> Verdict:
    """Evaluate the artefact against what the settings use now, in the whole search as it is configured."""
    candidate = with_model(settings, artefact.card.kind, artefact.folder)
    both = [Configuration(IN_SERVICE, settings), Configuration(CANDIDATE, candidate)]
    conditions: list[Condition] = []
    numbers: list[Measured] = []
    for number, dataset in enumerate((trial.target, *trial.guards)):
        found = evaluate(Asked(dataset, both, (trial.metric,)), open_ingestor, show).evaluation
        if number == 0:
            conditions.append(better(dataset, found, trial.metric))
        else:
            conditions.append(no_worse(dataset, found, trial.metric, trial.tolerance))
        numbers.append(measured(dataset, found, trial.metric, "whole search"))
    return Verdict(tuple(conditions), tuple(numbers))


def with_model(settings: Settings, kind: str, folder: Path) -> Settings:
    """The settings with the model in a folder."""
    return settings.model_copy(update={kind: str(folder)})


def remember(artefact: Artefact, verdict: Verdict) -> Artefact:
    """Write a trial's numbers into the artefact's card, in place of earlier ones on the same data."""
    known = {(each.data, each.metric): each for each in (*artefact.card.metrics, *verdict.measured)}
    return write_card(Artefact(artefact.folder, replace(artefact.card, metrics=tuple(known.values()))))


def better(dataset: Dataset, found: Evaluation, metric: str) -> Condition:
    """Whether the candidate's mean is higher, beyond the noise."""
    each = _comparison(found, metric)
    met = each.difference > 0 and each.p < LEVEL
    verdict = "better" if met else "not better beyond the noise"
    return Condition(met, f"{_shown(dataset, found, each)}: {verdict}")


def no_worse(dataset: Dataset, found: Evaluation, metric: str, tolerance: float) -> Condition:
    """Whether its mean is lower by `tolerance` of what is in service at most."""
    before, each = _of(found, IN_SERVICE).metrics[metric], _comparison(found, metric)
    met = each.difference >= -tolerance * before - 1e-9
    verdict = "no worse" if met else f"worse than by the {tolerance:.1%} that are allowed"
    return Condition(met, f"{_shown(dataset, found, each)}: {verdict}")


def measured(dataset: Dataset, found: Evaluation, metric: str, through: str) -> Measured:
    """The numbers for the card."""
    each = _comparison(found, metric)
    before, after = _of(found, IN_SERVICE), _of(found, CANDIDATE)
    return Measured(
        data=f"{dataset.name} {dataset.split}, {through}",
        metric=metric,
        count=_asked(dataset, found, metric),
        after=after.metrics[metric],
        after_interval=after.intervals[metric],
        before=before.metrics[metric],
        before_interval=before.intervals[metric],
        p=each.p,
    )


def _shown(dataset: Dataset, found: Evaluation, each: Comparison) -> str:
    before, after = (_of(found, name).metrics[each.metric] for name in (IN_SERVICE, CANDIDATE))
    low, high = each.interval
    asked = _asked(dataset, found, each.metric)
    return (
        f"{dataset.name} {dataset.split}, {asked} queries: {each.metric} {before:.4f} in service, "
        f"{after:.4f} the candidate ({each.difference:+.4f} [{low:+.4f}, {high:+.4f}], {p_value(each.p)})"
    )


def _asked(dataset: Dataset, found: Evaluation, metric: str) -> int:
    """How many questions the candidate has this metric of: a trial may ask fewer than the dataset holds."""
    return len(_of(found, CANDIDATE).per_query.get(metric, ())) or len(dataset.queries)


def _comparison(found: Evaluation, metric: str) -> Comparison:
    named = next((each for each in found.comparisons if each.metric == metric), None)
    if named is None:
        known = ", ".join(sorted({each.metric for each in found.comparisons})) or "none"
        raise BadInput(f"{metric} cannot be compared on these questions (--metric): {known} can.")
    return named


def _of(found: Evaluation, name: str) -> Result:
    return next(each for each in found.runs if each.config.name == name)
