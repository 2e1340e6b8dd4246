"""May an adapter go into service? The whole service answers the same questions with what is in service and with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from eval.answers.evaluation import Wanted, evaluate_answers
from eval.answers.questions import Questions
from eval.configurations import Configuration
from eval.gate import Condition
from eval.indexing import OpenIngestor
from eval.progress import Show
from eval.result import Evaluation
from eval.tune.promoting import CANDIDATE, IN_SERVICE, Verdict, better, measured, no_worse
from rag.settings import Settings
from rag.tuning.artefacts import Artefact

# Serves what is in service and the adapter in a folder, and gives the settings of each: handed in by the command, since
# this package does not import the engine.
Serving = Callable[[Settings, Path, Callable[[str], None]], AbstractContextManager[tuple[Settings, Settings]]]

METRIC = "F1"
# What must not get worse for it: an adapter that answers always may well have the higher F1, and one that answers next
# to never the higher precision. Where a refused question counts nothing in the metric itself, that is price enough.
KEPT = ("Refused", "Answered", "CitationPrecision")
COUNTS_REFUSALS = frozenset(["F1", "EM", "Contains"])


@dataclass(frozen=True, slots=True)
class AnswerTrial:
    """What an adapter is tried on. `metric` decides on `target`, where none of KEPT may be lower by more than
    `tolerance`; on each of `guards` the metric may not. `folder` keeps the answers: a trial that was killed goes on.
    So many questions are asked at once as `concurrency` says."""

    target: Questions
    guards: Sequence[Questions]
    metric: str
    tolerance: float
    folder: Path
    concurrency: int = 1


def tried(
    artefact: Artefact,
    settings: Settings,
    trial: AnswerTrial,
    serving: Serving,
    open_ingestor: OpenIngestor,
    show: Show,
) -> Verdict:
    """Ask all questions twice. Raises what the engine, the index and the model raise."""
    conditions: list[Condition] = []
    numbers = []
    with serving(settings, artefact.folder, lambda line: show(line, 0, None, "")) as (now, candidate):
        both = [Configuration(IN_SERVICE, now), Configuration(CANDIDATE, candidate)]
        for number, questions in enumerate((trial.target, *trial.guards)):
            folder = trial.folder / f"{number}-{questions.hash[:12]}"
            wanted = Wanted(questions, both, folder, concurrency=trial.concurrency)
            found = evaluate_answers(wanted, open_ingestor, show).evaluation
            dataset = questions.dataset
            if number == 0:
                conditions.append(better(dataset, found, trial.metric))
                kept = [name for name in KEPT if name != trial.metric and _compared(found, name)]
                priced = {"Answered"} if trial.metric in COUNTS_REFUSALS else set()
                conditions += [no_worse(dataset, found, each, trial.tolerance) for each in kept if each not in priced]
                numbers += [measured(dataset, found, name, "whole service") for name in (trial.metric, *kept)]
            else:
                conditions.append(no_worse(dataset, found, trial.metric, trial.tolerance))
                numbers.append(measured(dataset, found, trial.metric, "whole service"))
    return Verdict(tuple(conditions), tuple(numbers))


def _compared(found: Evaluation, metric: str) -> bool:
    return any(each.metric == metric for each in found.comparisons)
