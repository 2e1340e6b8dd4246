"""Every question of a split twice: with the documents that answer it, and with them hidden."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from eval.answers.hiding import HidingIndex
from eval.calibration.fitting import fit, threshold
from eval.datasets import Dataset
from eval.errors import DatasetError
from eval.indexing import Indexed, OpenIngestor, bring_in, collection_name, existing, own_index
from eval.progress import Show
from rag.encoders import DenseEncoder, SparseEncoder, dense_encoder, sparse_encoder
from rag.index import open_async_index, open_index
from rag.relevance import METADATA, Calibration
from rag.retrieval import Retriever
from rag.schema import Evidence, Scope
from rag.settings import Settings

# Fewer questions fit noise.
MIN_QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A fit, what it came from, and what it does at its threshold: shares of the questions that would be refused."""

    collection: str
    calibration: Calibration
    split: str
    questions: int
    threshold: float
    answerable_refused: float
    hidden_refused: float
    before: Calibration

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def calibrate(
    dataset: Dataset,
    settings: Settings,
    collection: str | None,
    refused: float,
    open_ingestor: OpenIngestor,
    show: Show,
    keep: bool = True,
) -> Calibrated:
    """Fit relevance on the dataset's questions and, with `keep`, store it in the collection's metadata.

    `collection` None: the dataset's own evaluation index. Raises DatasetError for fewer than 20 questions that found
    anything, and what the index and the encoders raise.
    """
    encoders = (dense_encoder(settings), sparse_encoder(settings))
    where = settings if collection else own_index(settings)
    name = collection or collection_name(dataset, where, *encoders)
    with closing(open_index(where)) as index:
        if collection:
            indexed = existing(index, where, dataset, name)
        else:
            indexed = bring_in(index, where, dataset, encoders, open_ingestor, show)
        before = Calibration.of(index.describe(indexed.collection).spec.metadata)
    answerable, hidden = asyncio.run(_seen(dataset, where, indexed, encoders, show))
    if min(len(answerable), len(hidden)) < MIN_QUESTIONS:
        raise DatasetError(
            f"{dataset.folder}: {len(answerable)} questions of its split '{dataset.split}' found anything; a fit needs "
            f"{MIN_QUESTIONS} at least."
        )
    found = fit(answerable, hidden)
    sure = [found.probability(each.cosine, each.coverage) for each in answerable]
    without = [found.probability(each.cosine, each.coverage) for each in hidden]
    limit = threshold(sure, refused)
    done = Calibrated(
        collection=indexed.collection,
        calibration=found,
        split=dataset.split,
        questions=len(answerable),
        threshold=limit,
        answerable_refused=_below(sure, limit),
        hidden_refused=_below(without, limit),
        before=before,
    )
    if keep:
        fitted = {**asdict(found), "dataset": dataset.name, "split": dataset.split, "questions": len(answerable)}
        with closing(open_index(where)) as index:
            index.set_metadata(indexed.collection, {METADATA: fitted})
    return done


async def _seen(
    dataset: Dataset,
    settings: Settings,
    indexed: Indexed,
    encoders: tuple[DenseEncoder, SparseEncoder],
    show: Show,
) -> tuple[list[Evidence], list[Evidence]]:
    """What each question's search says, with its relevant documents and without them."""
    uris = _by_name(indexed.names)
    scope = Scope(settings.tenant, frozenset(settings.groups))
    opened = open_async_index(settings)
    try:
        index = HidingIndex(opened)
        retriever = Retriever(index.index, *encoders, settings)
        answerable: list[Evidence] = []
        hidden: list[Evidence] = []
        for number, query in enumerate(dataset.queries):
            show("Asking", number, len(dataset.queries), "questions, each with its documents and without")
            relevant = [name for name, grade in dataset.qrels[query.id].items() if grade > 0]
            answers = frozenset[str]().union(*(uris.get(name, set()) for name in relevant))
            if not answers:  # the judged documents are not indexed: it would count as answerable and is not
                continue
            for left_out, kind in ((frozenset[str](), answerable), (answers, hidden)):
                with index.without(left_out):
                    result = await retriever.search(query.text, scope, collection=indexed.collection)
                if result.evidence is not None:
                    kind.append(result.evidence)
        return answerable, hidden
    finally:
        await opened.close()


def _by_name(names: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for uri, name in names.items():
        found.setdefault(name, set()).add(uri)
    return found


def _below(values: list[float], limit: float) -> float:
    return round(sum(each < limit for each in values) / len(values), 4)
