"""How well one configuration answers a set of questions: by the documents that it ranks, or by what it supplies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from chunking_questions import GOLD, recall
from kubernetes_links import OWN

from eval.answers.hiding import HidingIndex
from eval.datasets import Dataset
from eval.indexing import Indexed
from eval.metrics import measure
from eval.runs import Ranked
from eval.searching import Searcher
from rag.encoders import DenseEncoder, SparseEncoder
from rag.index.interface import AsyncIndex
from rag.reranking import open_reranker
from rag.retrieval import Retriever
from rag.schema import Scope, SearchResult
from rag.settings import Settings

NDCG, RECALL = "nDCG@10", "recall of gold characters"
DEPTH = 10
CHUNKS = 60  # in which most questions' first DEPTH documents are

Scores = Mapping[str, float]  # by question
Search = Callable[[str], Awaitable[SearchResult]]


@dataclass(frozen=True, slots=True)
class Ready:
    """Settings, the encoders that they name, and the collection to ask."""

    settings: Settings
    encoders: tuple[DenseEncoder, SparseEncoder]
    indexed: Indexed

    def search(self, index: AsyncIndex, top_k: int | None = None, neighbours: bool = True) -> Search:
        """A whole search, as a service does it; without neighbours every chunk stands by itself."""
        none = {} if neighbours else {"neighbours_before": 0, "neighbours_after": 0}
        chosen = self.settings.model_copy(update=none)
        retriever = Retriever(index, *self.encoders, chosen, open_reranker(chosen))
        scope = Scope(chosen.tenant, frozenset(chosen.groups))

        def search(query: str) -> Awaitable[SearchResult]:
            return retriever.search(query, scope, collection=self.indexed.collection, top_k=top_k)

        return search


def metric_of(dataset: Dataset) -> str:
    """What a set of questions is scored by."""
    return RECALL if GOLD in dataset.queries[0].metadata else NDCG


async def scored(ready: Ready, index: AsyncIndex, dataset: Dataset) -> Scores:
    """Each question's score, by its id."""
    return await (_by_spans if metric_of(dataset) == RECALL else _by_documents)(ready, index, dataset)


async def _by_documents(ready: Ready, index: AsyncIndex, dataset: Dataset) -> Scores:
    """nDCG@10 of documents in the order of their best chunks; a question's own page is hidden from it."""
    hiding = HidingIndex(index)
    names = ready.indexed.names
    uris = {name: uri for uri, name in names.items()}
    searcher = Searcher(hiding.index, ready.encoders, ready.settings, ready.indexed.collection, names)
    search = ready.search(hiding.index, CHUNKS, neighbours=False)
    run = {}
    for query in dataset.queries:
        own = query.metadata.get(OWN)
        with hiding.without(frozenset({uris[own]} if own else ())):
            best: dict[str, Ranked] = {}
            for each in (await search(query.text)).passages:
                best.setdefault(names[each.uri], Ranked(names[each.uri], each.score))
            # What `Searcher` ranks, which asks for all chunks at once: few are enough for most questions.
            few = len(best) < DEPTH
            ranked = (await searcher.rank_documents(query.text, DEPTH)).documents if few else [*best.values()][:DEPTH]
        run[query.id] = ranked
    return measure(dataset.qrels, run, (NDCG,)).per_query[NDCG]


async def _by_spans(ready: Ready, index: AsyncIndex, dataset: Dataset) -> Scores:
    """The share of the gold characters in the passages that an answer is given by default."""
    search = ready.search(index)
    return {each.id: recall(each, (await search(each.text)).passages, ready.indexed.names) for each in dataset.queries}
