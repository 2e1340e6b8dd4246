"""Every query through the retriever: ranked documents for quality, and whole searches for their latency."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eval.datasets import Query
from eval.progress import Show
from eval.result import Latency, Throughput
from eval.runs import Ranked
from rag.encoders import DenseEncoder, SparseEncoder
from rag.index.interface import AsyncIndex
from rag.reranking import open_reranker
from rag.retrieval import Retriever
from rag.schema import Scope, SearchResult
from rag.settings import Settings

CHUNKS_A_DOCUMENT = 5
MAX_CHUNKS = 50_000
# Enough for a p99 that holds still; more would only take longer.
MAX_TIMED = 1000
WARM_UP = 3
AT_ONCE = 4
# Characters of a document's best chunk that a report shows.
SNIPPET = 240


@dataclass(frozen=True, slots=True)
class RankedDocuments:
    """A query's documents, best first, each once; `titles` and `snippets`, the heads of their best chunks, by
    document; `relevance` is the first search's."""

    documents: tuple[Ranked, ...]
    titles: Mapping[str, str]
    relevance: float | None
    snippets: Mapping[str, str] = field(default_factory=dict)


class Searcher:
    """Asks one collection with one configuration."""

    def __init__(
        self,
        index: AsyncIndex,
        encoders: tuple[DenseEncoder, SparseEncoder],
        settings: Settings,
        collection: str,
        names: Mapping[str, str],
    ) -> None:
        self._index = index
        self._encoders = encoders
        self._settings = settings
        self._collection = collection
        self._names = names
        self._scope = Scope(settings.tenant, frozenset(settings.groups))
        self._reranker = open_reranker(settings)
        self._retriever = Retriever(index, *encoders, settings, self._reranker)
        self._deep: dict[int, Retriever] = {}

    async def time(self, queries: Sequence[Query], show: Show) -> tuple[Latency, float]:
        """Latency of whole searches as a service would do them, one after the other, and how many a second that makes.

        The first few searches, which load and warm what is used, are done once before and not counted.
        """
        for each in queries[:WARM_UP]:
            await self._search(each)
        timed = queries[:MAX_TIMED]
        taken: list[float] = []
        stages: dict[str, list[float]] = defaultdict(list)
        started = time.perf_counter()
        for number, each in enumerate(timed):
            show("Timing", number, len(timed), "searches")
            began = time.perf_counter()
            result = await self._search(each)
            taken.append((time.perf_counter() - began) * 1e3)
            for stage, value in result.timings_ms.items():
                stages[stage].append(value)
        return _latency(taken, stages), len(taken) / (time.perf_counter() - started)

    async def throughput(self, queries: Sequence[Query], concurrency: int, show: Show) -> Throughput:
        """Searches a second with `concurrency` of them at once."""
        show("Timing", 0, len(queries), f"searches, {concurrency} at once")
        gate = asyncio.Semaphore(concurrency)

        async def one(query: Query) -> None:
            async with gate:
                await self._search(query)

        started = time.perf_counter()
        await asyncio.gather(*(one(each) for each in queries))
        return Throughput(concurrency, round(len(queries) / (time.perf_counter() - started), 2))

    async def rank(self, queries: Sequence[Query], depth: int, show: Show) -> dict[str, RankedDocuments]:
        """The best `depth` documents for each query, by its id, or as many as anything leads to."""
        gate = asyncio.Semaphore(AT_ONCE)
        found: dict[str, RankedDocuments] = {}

        async def one(query: Query) -> None:
            async with gate:
                found[query.id] = await self.rank_documents(query.text, depth)
                show("Searching", len(found), len(queries), "queries")

        await asyncio.gather(*(one(each) for each in queries))
        return {each.id: found[each.id] for each in queries}

    async def rank_documents(self, query: str, depth: int) -> RankedDocuments:
        """Documents in the order of their best chunks.

        First all that the configured search ranks. Where these are fewer than `depth`, the chunks of a deeper search
        follow, so that a metric at 100 has 100 documents to look at and no metric sees another order than people do.
        """
        candidates = self._settings.candidates
        result = await self._chunks(query, candidates)
        documents: dict[str, Ranked] = {}
        titles: dict[str, str] = {}
        snippets: dict[str, str] = {}
        self._add(result, documents, titles, snippets)
        relevance = result.relevance
        chunks = CHUNKS_A_DOCUMENT * depth
        while len(documents) < depth:
            before = len(result.passages)
            result = await self._chunks(query, chunks)
            self._add(result, documents, titles, snippets)
            if chunks >= MAX_CHUNKS or (chunks > candidates and len(result.passages) == before < chunks):
                break
            chunks *= 2
        return RankedDocuments(tuple(documents.values())[:depth], titles, relevance, snippets)

    async def _chunks(self, query: str, candidates: int) -> SearchResult:
        """All chunks that a search with so many candidates from each leg ranks."""
        retriever = self._deep.get(candidates)
        if retriever is None:
            changed = {"candidates": candidates, "neighbours_before": 0, "neighbours_after": 0}
            # Only the first, which ranks what people see, is worth the reranker's time.
            reranker = self._reranker if candidates == self._settings.candidates else None
            chosen = self._settings.model_copy(update=changed)
            retriever = Retriever(self._index, *self._encoders, chosen, reranker)
            self._deep[candidates] = retriever
        return await retriever.search(query, self._scope, collection=self._collection, top_k=2 * candidates)

    def _add(
        self, result: SearchResult, documents: dict[str, Ranked], titles: dict[str, str], snippets: dict[str, str]
    ) -> None:
        for passage in result.passages:
            name = self._names.get(passage.uri, passage.uri)
            if name not in documents:
                documents[name] = Ranked(name, passage.score)
                titles[name] = passage.title
                snippets[name] = passage.text[:SNIPPET]

    async def _search(self, query: Query) -> SearchResult:
        return await self._retriever.search(query.text, self._scope, collection=self._collection)


def _latency(taken: Sequence[float], stages: Mapping[str, Sequence[float]]) -> Latency:
    import numpy as np

    p50, p95, p99 = (round(float(each), 3) for each in np.percentile(taken, [50, 95, 99]))
    medians = {stage: round(float(np.median(each)), 3) for stage, each in stages.items()}
    return Latency(p50, p95, p99, round(float(np.mean(taken)), 3), len(taken), medians)
