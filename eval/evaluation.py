"""A whole evaluation: index, search, measure, compare."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from eval.comparing import compare_all
from eval.configurations import Configuration, differences
from eval.datasets import Dataset
from eval.indexing import Indexed, OpenIngestor, bring_in, collection_name, drop, existing, own_index
from eval.metrics import DEFAULT_METRICS, Scores, depth_of, measure
from eval.progress import Show
from eval.result import Config, DatasetFacts, Evaluation, Found, Latency, QueryReport, Result, Throughput
from eval.runs import Run
from eval.searching import RankedDocuments, Searcher
from eval.statistics import bootstrap_interval
from eval.turns import Turns, as_searched
from rag.encoders import DenseEncoder, SparseEncoder, dense_encoder, sparse_encoder
from rag.index import open_async_index, open_index
from rag.setting_rooms.encoding import Encoding
from rag.settings import Settings

SHOWN_DOCUMENTS = 10
_PACKAGES = ("librarian-rag", "qdrant-edge-py", "qdrant-client", "onnxruntime", "torch", "ir_measures", "numpy")


@dataclass(frozen=True, slots=True)
class Asked:
    """What to evaluate, and how. `collection`: one that is there already, instead of the dataset's documents.

    `concurrency` above 1 measures throughput too; without `keep` the index is deleted at the end.
    """

    dataset: Dataset
    configurations: Sequence[Configuration]
    metrics: Sequence[str] = DEFAULT_METRICS
    collection: str | None = None
    keep: bool = True
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The result, each configuration's whole run by its name, and what people should be told."""

    evaluation: Evaluation
    runs: Mapping[str, Run]
    warnings: Sequence[str] = field(default_factory=list)


def evaluate(asked: Asked, open_ingestor: OpenIngestor, show: Show) -> Evaluated:
    """Evaluate every configuration on the dataset, one after the other.

    Raises what the index, the encoders and the ingestion raise: LibrarianError all of them.
    """
    loaded = _Encoders()
    results: list[Result] = []
    runs: dict[str, Run] = {}
    warnings: list[str] = []
    made: dict[str, tuple[Settings, Indexed]] = {}
    for each in asked.configurations:
        encoders = loaded.of(each.settings)
        where = each.settings if asked.collection else own_index(each.settings)
        name = asked.collection or collection_name(asked.dataset, where, *encoders)
        key = repr((name, where.data_dir, where.qdrant_url, where.tenant))
        if key not in made:
            with closing(open_index(where)) as index:
                if asked.collection:
                    indexed = existing(index, where, asked.dataset, name)
                else:
                    indexed = bring_in(index, where, asked.dataset, encoders, open_ingestor, show)
            made[key] = (where, indexed)
        indexed = made[key][1]
        warnings += [text for text in indexed.warnings if text not in warnings]
        result, run = asyncio.run(_measured(asked, each, where, indexed, encoders, show))
        results.append(result)
        runs[each.name] = run
    if not asked.keep and not asked.collection:
        for where, indexed in made.values():
            with closing(open_index(where)) as index:
                drop(index, indexed.collection)
    return Evaluated(Evaluation(tuple(results), compare_all(results)), runs, warnings)


async def _measured(
    asked: Asked,
    configuration: Configuration,
    where: Settings,
    indexed: Indexed,
    encoders: tuple[DenseEncoder, SparseEncoder],
    show: Show,
) -> tuple[Result, Run]:
    queries = await as_searched(asked.dataset.queries, configuration.turns, configuration.settings)
    depth = depth_of(asked.metrics)
    index = open_async_index(where)
    try:
        searcher = Searcher(index, encoders, where, indexed.collection, indexed.names)
        # Before the ranking: whatever a query leaves in a cache would make its search look quicker than it is.
        latency, rate = await searcher.time(queries, show)
        throughput = await searcher.throughput(queries, asked.concurrency, show) if asked.concurrency > 1 else None
        ranked = await searcher.rank(queries, depth, show)
    finally:
        await index.close()
    run = {query: each.documents for query, each in ranked.items()}
    scores = measure(asked.dataset.qrels, run, asked.metrics)
    facts = (latency, rate, throughput)
    return _result(asked.dataset, configuration, indexed, scores, ranked, depth, facts), run


def _result(
    dataset: Dataset,
    configuration: Configuration,
    indexed: Indexed,
    scores: Scores,
    ranked: Mapping[str, RankedDocuments],
    depth: int,
    speed: tuple[Latency, float, Throughput | None],
) -> Result:
    latency, rate, throughput = speed
    intervals = {name: bootstrap_interval(list(values.values())) for name, values in scores.per_query.items()}
    return Result(
        dataset=DatasetFacts(
            name=dataset.name,
            split=dataset.split,
            hash=dataset.hash,
            synthetic=dataset.synthetic,
            documents=len(indexed.names),
            chunks=indexed.chunks,
            queries=len(dataset.queries),
            judgements=dataset.judgements,
            missing=len(indexed.missing),
        ),
        config=Config(configuration.name, _changed(configuration), indexed.built_with),
        metrics=scores.means,
        intervals={name: (round(low, 6), round(high, 6)) for name, (low, high) in intervals.items()},
        latency_ms=latency,
        queries_per_s=round(rate, 2),
        per_query=scores.per_query,
        depth=depth,
        versions=versions(),
        machine=machine(),
        throughput=throughput,
        queries=_reports(dataset, ranked),
    )


def _changed(configuration: Configuration) -> dict[str, Any]:
    changed = differences(configuration.settings)
    return changed if configuration.turns is Turns.LAST else {**changed, "turns": configuration.turns.value}


def _reports(dataset: Dataset, ranked: Mapping[str, RankedDocuments]) -> dict[str, QueryReport]:
    reports = {}
    for query in dataset.queries:
        judged, found = dataset.qrels[query.id], ranked[query.id]
        relevant = {document: grade for document, grade in judged.items() if grade > 0}
        ranks = {each.document: rank for rank, each in enumerate(found.documents, 1) if each.document in relevant}
        shown = tuple(
            Found(
                each.document,
                found.titles[each.document],
                each.score,
                judged.get(each.document),
                found.snippets.get(each.document, ""),
            )
            for each in found.documents[:SHOWN_DOCUMENTS]
        )
        reports[query.id] = QueryReport(query.text, relevant, ranks, shown, found.relevance)
    return reports


class _Encoders:
    """One encoder in memory for all configurations that agree on it."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[DenseEncoder, SparseEncoder]] = {}

    def of(self, settings: Settings) -> tuple[DenseEncoder, SparseEncoder]:
        # Chunks are cut beside the encoder: sizes of them share one.
        key = repr([(name, getattr(settings, name)) for name in Encoding.model_fields if name != "chunk_tokens"])
        if key not in self._made:
            self._made[key] = (dense_encoder(settings), sparse_encoder(settings))
        return self._made[key]


def versions() -> dict[str, str]:
    """What this was measured with: Python and the packages that decide."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What this was measured on."""
    return {"cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}
