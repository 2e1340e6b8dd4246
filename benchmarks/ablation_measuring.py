"""One row's nDCG@10 on one set of questions, and its milliseconds beside the default's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ablation_rows import DEFAULT, Row
from ingest_measuring import say
from kept_vectors import KeptEncoder, KeptVectors
from kubernetes_links import OWN
from remembered_legs import RememberedLegs

from eval.answers.hiding import HidingIndex
from eval.datasets import Dataset, Query
from eval.indexing import Indexed, bring_in, collection_name, own_index
from eval.metrics import measure
from eval.progress import Show
from eval.runs import Ranked
from eval.searching import Searcher
from librarian import open_ingestor
from rag.encoders import Bm25Encoder, CachedEncoder, DenseEncoder, LocalEncoder, PrefixedEncoder, sparse_encoder
from rag.index import open_async_index, open_index
from rag.index.interface import AsyncIndex, Hit
from rag.reranking import open_reranker
from rag.retrieval import Retriever
from rag.schema import Scope, SearchResult
from rag.settings import Settings

METRIC = "nDCG@10"
DEPTH = 10
CHUNKS = 60  # in which most questions' first DEPTH documents are
WARM_UP = 5
AT_ONCE = 4
_Encoders = tuple[DenseEncoder, Bm25Encoder]


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """Of whole searches, a row's and the default's by turns: medians, and that of the differences query by query."""

    own: float
    default: float
    difference: float


class Bench:
    """The sets' collections in a folder of their own; every document is encoded once, every index made once."""

    def __init__(self, keep: Path, local: LocalEncoder, show: Show) -> None:
        self._keep, self._local, self._show = keep, local, show
        self._remembering = CachedEncoder(local, 100_000)  # every row asks the same questions
        self._kept = KeptVectors(keep, local)
        self._legs: dict[Hashable, list[list[Hit]]] = {}
        self._ready: dict[str, Indexed] = {}

    def quality(self, row: Row, dataset: Dataset) -> dict[str, float]:
        """nDCG@10 of each question, by its id."""
        return asyncio.run(_quality(*self._indexed(row, dataset, self._remembering), dataset, self._legs))

    def milliseconds(self, row: Row, dataset: Dataset, queries: Sequence[Query], rounds: int) -> Milliseconds:
        """Each query in each round asked of both, the one after the other, the first of them by turns."""
        pair = [self._indexed(each, dataset, self._local) for each in (DEFAULT, row)]
        return asyncio.run(_milliseconds(pair, [each.text for each in queries], rounds))

    def _indexed(self, row: Row, dataset: Dataset, encoder: DenseEncoder) -> tuple[Settings, _Encoders, Indexed]:
        settings = own_index(Settings(data_dir=self._keep, **row.changes))
        inner: DenseEncoder = KeptEncoder(encoder, self._kept)
        dense = PrefixedEncoder(inner, settings.query_prefix) if settings.query_prefix else inner
        encoders = (dense, sparse_encoder(settings))
        name = collection_name(dataset, settings, *encoders)
        if name not in self._ready:
            say(f"bringing {name} in line with {dataset.source}")
            with closing(open_index(settings)) as index:
                self._ready[name] = bring_in(index, settings, dataset, encoders, open_ingestor, self._show)
            self._kept.save()
        return settings, encoders, self._ready[name]


async def _quality(
    settings: Settings,
    encoders: _Encoders,
    indexed: Indexed,
    dataset: Dataset,
    legs: dict[Hashable, list[list[Hit]]],
) -> dict[str, float]:
    index = open_async_index(settings)
    hiding = HidingIndex(RememberedLegs(index, legs).index)
    uris = {name: uri for uri, name in indexed.names.items()}
    searcher = Searcher(hiding.index, encoders, settings, indexed.collection, indexed.names)
    alone = settings.model_copy(update={"neighbours_before": 0, "neighbours_after": 0})
    search = _search(hiding.index, alone, encoders, indexed, CHUNKS)
    run: dict[str, Sequence[Ranked]] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(query: Query) -> None:
        own = query.metadata.get(OWN)
        async with gate:
            with hiding.without(frozenset({uris[own]} if own else ())):
                # What `Searcher` ranks, which asks for all chunks at once: few are enough for most questions.
                run[query.id] = (
                    _documents(await search(query.text), indexed)
                    or (await searcher.rank_documents(query.text, DEPTH)).documents
                )

    try:
        await asyncio.gather(*(one(each) for each in dataset.queries))
    finally:
        await index.close()
    return dict(measure(dataset.qrels, run, (METRIC,)).per_query[METRIC])


def _documents(found: SearchResult, indexed: Indexed) -> list[Ranked]:
    """The first documents of a search, by the name and score of their best chunk; none where they are too few."""
    best: dict[str, Ranked] = {}
    for each in found.passages:
        name = indexed.names[each.uri]
        best.setdefault(name, Ranked(name, each.score))
    return list(best.values())[:DEPTH] if len(best) >= DEPTH else []


async def _milliseconds(
    pair: Sequence[tuple[Settings, _Encoders, Indexed]], queries: Sequence[str], rounds: int
) -> Milliseconds:
    index = open_async_index(pair[0][0])
    try:
        searches = [_search(index, *each) for each in pair]
        for query in queries[:WARM_UP]:
            for search in searches:
                await search(query)
        taken = np.empty((rounds * len(queries), len(pair)))
        for number in range(len(taken)):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                started = time.perf_counter()
                await searches[which](queries[number % len(queries)])
                taken[number, which] = (time.perf_counter() - started) * 1e3
    finally:
        await index.close()
    default, own = np.median(taken, axis=0)
    return Milliseconds(float(own), float(default), float(np.median(taken[:, 1] - taken[:, 0])))


def _search(
    index: AsyncIndex, settings: Settings, encoders: _Encoders, indexed: Indexed, top_k: int | None = None
) -> Callable[[str], Awaitable[SearchResult]]:
    retriever = Retriever(index, *encoders, settings, open_reranker(settings))
    scope = Scope(settings.tenant, frozenset(settings.groups))

    def search(query: str) -> Awaitable[SearchResult]:
        return retriever.search(query, scope, collection=indexed.collection, top_k=top_k)

    return search
