"""A whole evaluation of answers: index, ask, measure, judge, compare."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.answers.asking import ask_all, check_model
from eval.answers.hiding import HidingIndex
from eval.answers.journal import Given, Journal
from eval.answers.judging import Judge, Label, judge_agreement, lexical_agreement
from eval.answers.questions import Asked, Questions
from eval.answers.scoring import Scored, score
from eval.answers.text import statements
from eval.comparing import compare_all
from eval.configurations import Configuration, differences
from eval.evaluation import machine, versions
from eval.indexing import Indexed, OpenIngestor, bring_in, existing, own_index
from eval.progress import Show
from eval.result import Config, DatasetFacts, Evaluation, Latency, Result
from eval.statistics import bootstrap_interval
from rag.encoders import dense_encoder, sparse_encoder
from rag.generation import ChatModel
from rag.index import open_async_index, open_index
from rag.settings import Settings

NOT_VALIDATED = "judge not validated"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to evaluate, and how. `judge`: settings with a judging model, if one judges; `labels`: people's verdicts."""

    questions: Questions
    configurations: Sequence[Configuration]
    folder: Path
    collection: str | None = None
    retrieval_only: bool = False
    concurrency: int = 1
    judge: Settings | None = None
    labels: Sequence[Label] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """Results that can be compared and gated on, and for each configuration by name what else was found."""

    evaluation: Evaluation
    details: Mapping[str, Mapping[str, Any]]
    warnings: Sequence[str] = field(default_factory=list)


def evaluate_answers(wanted: Wanted, open_ingestor: OpenIngestor, show: Show) -> Answered:
    """Evaluate every configuration, one after the other. Raises LibrarianError as the parts do; what was answered
    before stays in the folder's `answers.jsonl`, and the same call goes on there."""
    results: list[Result] = []
    details: dict[str, Mapping[str, Any]] = {}
    warnings: list[str] = []
    for each in wanted.configurations:
        model = None if wanted.retrieval_only else asyncio.run(check_model(each.settings))
        where, indexed = _indexed(wanted, each.settings, open_ingestor, show)
        warnings += [text for text in indexed.warnings if text not in warnings]
        journal = Journal(_answers_file(wanted, each), _facts_of_run(wanted, each, model))
        asyncio.run(_ask(wanted, where, indexed, journal, show))
        scored = score(wanted.questions.asked, journal.answers, wanted.retrieval_only)
        judged = asyncio.run(_judged(wanted, journal.answers, show))
        results.append(_result(wanted, each, indexed, scored, journal.answers))
        details[each.name] = {"model": model, **scored.facts, "judge": judged, "times_ms": _times(journal.answers)}
    return Answered(Evaluation(tuple(results), compare_all(_comparable(results))), details, warnings)


def _indexed(wanted: Wanted, settings: Settings, open_ingestor: OpenIngestor, show: Show) -> tuple[Settings, Indexed]:
    where = settings if wanted.collection else own_index(settings)
    dataset = wanted.questions.dataset
    with closing(open_index(where)) as index:
        if wanted.collection:
            return where, existing(index, where, dataset, wanted.collection)
        encoders = (dense_encoder(where), sparse_encoder(where))
        return where, bring_in(index, where, dataset, encoders, open_ingestor, show)


async def _ask(wanted: Wanted, where: Settings, indexed: Indexed, journal: Journal, show: Show) -> None:
    index = open_async_index(where)
    try:
        await ask_all(
            wanted.questions.asked,
            journal,
            where,
            HidingIndex(index),
            indexed.collection,
            indexed.names,
            show,
            retrieval_only=wanted.retrieval_only,
            concurrency=wanted.concurrency,
        )
    finally:
        await index.close()


def _answers_file(wanted: Wanted, configuration: Configuration) -> Path:
    several = len(wanted.configurations) > 1
    return wanted.folder / (f"answers-{configuration.name}.jsonl" if several else "answers.jsonl")


def _facts_of_run(wanted: Wanted, configuration: Configuration, model: str | None) -> dict[str, Any]:
    """What must be the same for answers to be one evaluation's: the model may come up elsewhere."""
    found = differences(configuration.settings)
    return {
        "questions": wanted.questions.hash,
        "settings": {key: value for key, value in found.items() if key not in {"llm_url", "llm_timeout"}},
        "model": model,
        "collection": wanted.collection,
        "retrieval_only": wanted.retrieval_only,
    }


async def _judged(wanted: Wanted, answers: Mapping[str, Given], show: Show) -> dict[str, Any] | None:
    """The judge's groundedness and citation recall with intervals, and its agreement with people."""
    labels = wanted.labels
    lexical = asdict(lexical_agreement(labels)) if labels else None
    if wanted.judge is None:
        return {"lexical_agreement": lexical} if labels else None
    model = ChatModel(wanted.judge)
    try:
        judge = Judge(model, wanted.folder / "judge.jsonl")
        grounded: dict[str, float] = {}
        recall: dict[str, float] = {}
        for number, each in enumerate(wanted.questions.asked):
            show("Judging", number, len(wanted.questions.asked), "answers")
            await _judge_one(judge, each, answers[each.id], grounded, recall)
        errors = judge.errors
        validation = asdict(await judge_agreement(judge, labels)) if labels else NOT_VALIDATED
        found: dict[str, Any] = {"model": (await model.facts()).name, "url": model.shown, "errors": errors}
        for name, values in (("Grounded", grounded), ("CitationRecall", recall)):
            if values:
                mean = sum(values.values()) / len(values)
                interval = [round(bound, 6) for bound in bootstrap_interval(list(values.values()))]
                found[name] = {"mean": round(mean, 6), "interval": interval, "answers": len(values)}
        return {**found, "validation": validation, "lexical_agreement": lexical}
    finally:
        await model.aclose()


async def _judge_one(
    judge: Judge, asked: Asked, answer: Given, grounded: dict[str, float], recall: dict[str, float]
) -> None:
    """The shares of an answer's sentences that all passages, and the cited ones, support; without those that got no
    verdict. A sentence without citation is not recalled; an answer with a cited one that got no verdict is left out."""
    passages = [each.text for each in answer.sources]
    supported: list[bool] = []
    recalled: list[bool | None] = []
    for each in statements(answer.text, answer.citations) if passages else ():
        cited = [passages[number - 1] for number in each.cited if 1 <= number <= len(passages)]
        whole = await judge.supports(each.text, passages)
        by_cited = await judge.supports(each.text, cited) if cited else False
        supported += [] if whole is None else [whole]
        recalled.append(by_cited)
    if supported:
        grounded[asked.id] = sum(supported) / len(supported)
    if supported and None not in recalled:
        recall[asked.id] = sum(each is True for each in recalled) / len(recalled)


def _times(answers: Mapping[str, Given]) -> dict[str, dict[str, float]]:
    """p50 and p95 in milliseconds: `first_text` from the question to the answer's first piece, `total` to its last
    (answers that a model gave), and `abstained`, whole."""
    found: dict[str, list[float]] = {"first_text": [], "total": [], "abstained": []}
    for each in answers.values():
        times = each.timings_ms
        if each.abstained:
            found["abstained"].append(times.get("total", sum(times.values())))
        elif "total" in times:
            found["first_text"].append(sum(times.get(name, 0.0) for name in ("retrieve", "assemble", "first_token")))
            found["total"].append(times["total"])
    return {name: _quantiles(values) for name, values in found.items() if values}


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    import numpy as np

    p50, p95, p99 = (round(float(each), 3) for each in np.percentile(values, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99, "mean": round(float(np.mean(values)), 3), "answers": len(values)}


def _result(
    wanted: Wanted, configuration: Configuration, indexed: Indexed, scored: Scored, answers: Mapping[str, Given]
) -> Result:
    dataset = wanted.questions.dataset
    times = _times(answers)
    whole = times.get("total") or times["abstained"] if times else {"p50": 0, "p95": 0, "p99": 0, "mean": 0}
    stages = {f"{name}_p50": each["p50"] for name, each in times.items()}
    return Result(
        dataset=DatasetFacts(
            name=dataset.name,
            split=dataset.split,
            hash=wanted.questions.hash,
            synthetic=dataset.synthetic,
            documents=len(indexed.names),
            chunks=indexed.chunks,
            queries=len(wanted.questions.asked),
            judgements=dataset.judgements,
            missing=len(indexed.missing),
        ),
        config=Config(configuration.name, differences(configuration.settings), indexed.built_with),
        metrics=scored.metrics,
        intervals=scored.intervals,
        latency_ms=Latency(whole["p50"], whole["p95"], whole["p99"], whole["mean"], len(answers), stages),
        queries_per_s=round(1e3 / whole["mean"], 3) if whole["mean"] else 0.0,
        per_query=scored.per_query,
        depth=configuration.settings.top_k,
        versions=versions(),
        machine=machine(),
    )


def _comparable(results: Sequence[Result]) -> list[Result]:
    """The same with the metrics that every run has values of by question, for some question that all of them have."""
    names = [
        name
        for name in results[0].metrics
        if set[str].intersection(*(set(each.per_query.get(name, {})) for each in results))
    ]
    return [replace(each, metrics={name: each.metrics[name] for name in names}) for each in results]
