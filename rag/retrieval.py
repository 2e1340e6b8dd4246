"""A query to ranked passages: encode, ask the index for both legs, fuse, weigh by document, fetch, rerank, join.

On the way, where the settings say so: a second dense search (PRF), and another order of the best (MMR).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from rag.collections import check_readable, fingerprint
from rag.diversity import DIVERSIFIED, diversified
from rag.encoders import DenseEncoder, SparseEncoder
from rag.errors import BadInput
from rag.evidence import with_document_evidence
from rag.fusion import Ranked, fuse, ranked
from rag.index.interface import AsyncIndex, DenseLeg, Hit, SparseLeg, Where
from rag.index.threaded import ThreadedIndex
from rag.passages import Chunks
from rag.reach import Reach
from rag.records import check_askable
from rag.relevance import Calibration, evidence
from rag.reranking import Reranker
from rag.reranking.passages import reranked
from rag.rocchio import moved_towards
from rag.schema import Scope, SearchResult
from rag.settings import Settings
from rag.ways import Way, in_one_thread, on_loop, run

MAX_QUERY_CHARACTERS = 20_000


class Retriever:
    """Hybrid search over one index with one pair of encoders."""

    def __init__(
        self,
        index: AsyncIndex,
        dense: DenseEncoder,
        sparse: SparseEncoder,
        settings: Settings,
        reranker: Reranker | None = None,
    ) -> None:
        self.index = index
        self._dense = dense
        self._sparse = sparse
        self._settings = settings
        self._reranker = reranker
        self._checked: set[tuple[str, str]] = set()
        self._calibrations: dict[str, Calibration] = {}  # by the collection's own name

    @property
    def encoders(self) -> tuple[DenseEncoder, SparseEncoder]:
        """The dense and the sparse encoder, for what else is done in this process: one model in memory."""
        return self._dense, self._sparse

    async def search(
        self,
        query: str,
        scope: Scope,
        *,
        collection: str | None = None,
        top_k: int | None = None,
        where: Where | None = None,
    ) -> SearchResult:
        """The best `top_k` passages that the scope sees.

        Raises BadInput for an empty or endless query, CollectionNotFound, FingerprintMismatch, IndexUnavailable.
        """
        if not query.strip():
            raise BadInput("the question is empty; ask something.")
        if len(query) > MAX_QUERY_CHARACTERS:
            raise BadInput(f"the question has {len(query)} characters; {MAX_QUERY_CHARACTERS} is the limit.")
        name, count = check_askable(collection or self._settings.collection), top_k or self._settings.top_k
        if isinstance(self.index, ThreadedIndex):
            way = in_one_thread(self.index.index)
            return await asyncio.to_thread(run, self._search(way, query, scope, name, count, where))
        return await self._search(on_loop(self.index), query, scope, name, count, where)

    async def _search(
        self, way: Way, query: str, scope: Scope, name: str, count: int, where: Where | None
    ) -> SearchResult:
        started = time.perf_counter()
        if not self._checked:  # a wrong name is said before seconds go into loading the encoder
            await self._check(way, name)
        own, legs = await way.together(self._check(way, name), way.apart(self._encode, query))
        encoded = time.perf_counter()
        dense, sparse = await way.index.query(name, legs, scope, where)
        nearest = dense[0].score if dense else None  # to the query as it was asked: what relevance is calibrated on
        if self._settings.prf_passages:
            dense = await self._searched_again(way, name, scope, where, legs[0], dense, sparse)
        found = time.perf_counter()
        hits = best = self._ranked(dense, sparse, count)
        chunks = Chunks(way.index, name, scope)
        reranking = {}
        if self._reranker:
            best, reranking["rerank"] = await self._reranked(way, self._reranker, query, hits, chunks)
        if self._settings.diversity:
            best = await self._diversified(way, name, scope, best)
        passages = await chunks.joined(best[: self._looked_at(count)], count, self._reach(dense))
        if chunks.lacks(hits) and await self._check(way, name) != own:
            # A re-index swapped the alias between two calls: the hits are of a collection that is gone.
            return await self._search(way, query, scope, name, count, where)
        done = time.perf_counter()
        seen = evidence(query, passages, nearest, self._terms)
        return SearchResult(
            query=query,
            collection=name,
            passages=passages,
            relevance=None if seen is None else self._calibrations[own].probability(seen.cosine, seen.coverage),
            evidence=seen,
            timings_ms={
                "encode": (encoded - started) * 1e3,
                "search": (found - encoded) * 1e3,
                "fetch": (done - found) * 1e3 - reranking.get("rerank", 0.0),
                **reranking,
            },
        )

    def warm_up(self) -> None:
        """Load the encoder and the reranker now, so that the first question does not wait for them."""
        self._encode("warm up")
        if self._reranker:
            self._reranker.warm_up()

    def _encode(self, query: str) -> tuple[DenseLeg, SparseLeg]:
        limit = self._settings.candidates
        return (
            DenseLeg(self._dense.encode_query(query).tolist(), limit),
            SparseLeg(self._sparse.encode_query(query), limit),
        )

    async def _searched_again(
        self,
        way: Way,
        name: str,
        scope: Scope,
        where: Where | None,
        leg: DenseLeg,
        dense: list[Hit],
        sparse: list[Hit],
    ) -> list[Hit]:
        """The dense leg once more, from where the best passages of both legs move it to."""
        best = self._ranked(dense, sparse, 1)[: self._settings.prf_passages]
        vectors = await way.index.vectors(name, [each.id for each in best], scope)
        if not vectors:
            return dense
        moved = moved_towards(leg.vector, list(vectors.values()), self._settings.prf_weight)
        return (await way.index.query(name, [DenseLeg(moved, leg.limit)], scope, where))[0]

    async def _diversified(self, way: Way, name: str, scope: Scope, hits: Sequence[Ranked]) -> list[Ranked]:
        """The best hits in the order of maximal marginal relevance, then the others."""
        head, rest = hits[:DIVERSIFIED], hits[DIVERSIFIED:]
        vectors = await way.index.vectors(name, [each.id for each in head], scope)
        return [*diversified(head, vectors, self._settings.diversity), *rest]

    async def _reranked(
        self, way: Way, reranker: Reranker, query: str, hits: Sequence[Ranked], chunks: Chunks
    ) -> tuple[list[Ranked], float]:
        """The hits in the reranker's order, and the milliseconds that it took."""
        await chunks.fetch(each.id for each in hits)
        fetched = time.perf_counter()
        passages, limit = chunks.passages(hits), self._settings.rerank_candidates
        head, rest = passages[:limit], passages[limit:]
        if head:
            head = await way.apart(reranked, query, head, reranker, self._settings.rerank_seconds)
        ordered = [Ranked(each.id, each.score, each.dense_score, each.sparse_score) for each in (*head, *rest)]
        return ordered, (time.perf_counter() - fetched) * 1e3

    def _looked_at(self, count: int) -> int:
        """How many hits may be needed for so many passages: others may fall into those of the first."""
        return count * (1 + self._settings.neighbours_before + self._settings.neighbours_after)

    def _terms(self, text: str) -> tuple[int, ...]:
        return self._sparse.terms(text)

    def _ranked(self, dense: Sequence[Hit], sparse: Sequence[Hit], count: int) -> list[Ranked]:
        """As many of both legs' hits, best first, as may be needed for `count` passages."""
        chosen = self._settings
        fused = fuse(chosen.fusion, dense, sparse, chosen.dense_weight, chosen.rrf_k)
        scores = with_document_evidence(fused, chosen.document_weight)
        needed = max(
            self._looked_at(count),
            chosen.rerank_candidates if self._reranker else 0,
            chosen.prf_passages,
            DIVERSIFIED if chosen.diversity else 0,
        )
        return ranked(scores, dense, sparse, needed)

    def _reach(self, dense: Sequence[Hit]) -> Reach:
        chosen = self._settings
        cosines = {each.id: each.score for each in dense}
        return Reach(chosen.neighbours_before, chosen.neighbours_after, chosen.neighbours_share, cosines)

    async def _check(self, way: Way, name: str) -> str:
        """The collection's own name. Refuses one of another encoder: each is checked once, and when the alias moves."""
        info = await way.index.resolve(name)
        self._calibrations[info.name] = Calibration.of(info.spec.metadata)  # each time: it may be fitted anew meanwhile
        if (name, info.name) not in self._checked:
            expected = await way.apart(fingerprint, self._dense, self._sparse)
            check_readable(info, expected)
            self._checked.add((name, info.name))
        return info.name
