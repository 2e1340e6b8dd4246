"""A query to ranked passages: encode, ask the index for both legs, fuse, weigh by document, fetch, rerank, join."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from rag.collections import check_readable, fingerprint
from rag.encoders import Bm25Encoder, DenseEncoder
from rag.errors import BadInput
from rag.evidence import with_document_evidence
from rag.fusion import Ranked, fuse
from rag.index.interface import AsyncIndex, DenseLeg, Hit, Leg, Payload, SparseLeg, Stored, Where
from rag.neighbours import joined, windows
from rag.payload import DOCUMENT, to_passage
from rag.reach import Reach
from rag.relevance import Calibration, evidence
from rag.reranking import Reranker
from rag.reranking.passages import reranked
from rag.schema import Passage, Scope, SearchResult
from rag.settings import Settings

MAX_QUERY_CHARACTERS = 20_000


class Retriever:
    """Hybrid search over one index with one pair of encoders."""

    def __init__(
        self,
        index: AsyncIndex,
        dense: DenseEncoder,
        sparse: Bm25Encoder,
        settings: Settings,
        reranker: Reranker | None = None,
    ) -> None:
        self.index = index
        self._dense = dense
        self._sparse = sparse
        self._settings = settings
        self._reranker = reranker
        self._checked: set[tuple[str, str]] = set()
        self._chunkers: dict[str, str] = {}  # by the collection's own name
        self._calibrations: dict[str, Calibration] = {}  # the same

    @property
    def encoders(self) -> tuple[DenseEncoder, Bm25Encoder]:
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
        name = collection or self._settings.collection
        started = time.perf_counter()
        if not self._checked:  # a wrong name is said before seconds go into loading the encoder
            await self._check(name)
        own, legs = await asyncio.gather(self._check(name), asyncio.to_thread(self._encode, query))
        encoded = time.perf_counter()
        dense, sparse = await self.index.query(name, legs, scope, where, self._fields())
        found = time.perf_counter()
        count = top_k or self._settings.top_k
        before, after = self._settings.neighbours_before, self._settings.neighbours_after
        wanted = count * (1 + before + after)
        ranked = self._ranked(dense, sparse)[: max(wanted, self._settings.rerank_candidates if self._reranker else 0)]
        stored = await self.index.fetch(name, [each.id for each in ranked], scope)
        if len(stored) < len(ranked) and await self._check(name) != own:
            # A re-index swapped the alias between the two calls: the hits are of a collection that is gone.
            return await self.search(query, scope, collection=collection, top_k=top_k, where=where)
        hits = _passages(ranked, stored)
        fetched = time.perf_counter()
        if self._reranker and hits:
            hits = await asyncio.to_thread(self._reranked, self._reranker, query, hits)
        reordered = time.perf_counter()
        passages = await self._joined(name, own, hits[:wanted], count, self._reach(dense), scope)
        done = time.perf_counter()
        seen = evidence(query, passages, dense[0].score if dense else None, self._terms)
        reranking = {"rerank": (reordered - fetched) * 1e3} if self._reranker else {}
        return SearchResult(
            query=query,
            collection=name,
            passages=passages,
            relevance=None if seen is None else self._calibrations[own].probability(seen.cosine, seen.coverage),
            evidence=seen,
            timings_ms={
                "encode": (encoded - started) * 1e3,
                "search": (found - encoded) * 1e3,
                "fetch": (done - reordered + fetched - found) * 1e3,
                **reranking,
            },
        )

    def warm_up(self) -> None:
        """Load the encoder and the reranker now, so that the first question does not wait for them."""
        self._encode("warm up")
        if self._reranker:
            self._reranker.warm_up()

    def _encode(self, query: str) -> list[Leg]:
        limit = self._settings.candidates
        return [
            DenseLeg(self._dense.encode_query(query).tolist(), limit),
            SparseLeg(self._sparse.encode_query(query), limit),
        ]

    def _reranked(
        self, reranker: Reranker, query: str, hits: Sequence[tuple[Passage, Payload]]
    ) -> list[tuple[Passage, Payload]]:
        head, rest = hits[: self._settings.rerank_candidates], hits[self._settings.rerank_candidates :]
        payloads = {passage.id: payload for passage, payload in head}
        found = reranked(query, [passage for passage, _ in head], reranker, self._settings.rerank_seconds)
        return [(passage, payloads[passage.id]) for passage in found] + list(rest)

    def _terms(self, text: str) -> tuple[int, ...]:
        return self._sparse.encode_document(text).indices

    def _fields(self) -> tuple[str, ...]:
        """What of the hits' payload the ranking needs."""
        return (DOCUMENT,) if self._settings.document_weight else ()

    def _ranked(self, dense: Sequence[Hit], sparse: Sequence[Hit]) -> list[Ranked]:
        """All hits of both legs, best first."""
        chosen = self._settings
        fused = fuse(chosen.fusion, dense, sparse, chosen.dense_weight, chosen.rrf_k)
        return with_document_evidence(fused, chosen.document_weight, DOCUMENT)

    def _reach(self, dense: Sequence[Hit]) -> Reach:
        chosen = self._settings
        cosines = {each.id: each.score for each in dense}
        return Reach(chosen.neighbours_before, chosen.neighbours_after, chosen.neighbours_share, cosines)

    async def _joined(
        self, name: str, own: str, hits: Sequence[tuple[Passage, Payload]], count: int, reach: Reach, scope: Scope
    ) -> tuple[Passage, ...]:
        """The best `count` hits, each with the neighbours that are within its reach."""
        chunker = self._chunkers.get(own)
        if chunker is None or not (reach.before or reach.after):
            return tuple(passage for passage, _ in hits[:count])
        found = windows(hits, count, reach, chunker, scope)
        beside = [identity for each in found for identity in (*each.before, *each.after)]
        payloads = {each.id: each.payload for each in await self.index.fetch(name, beside, scope)} if beside else {}
        return tuple(joined(each, payloads) for each in found)

    async def _check(self, name: str) -> str:
        """The collection's own name. Refuses one of another encoder: each is checked once, and when the alias moves."""
        info = await self.index.describe(name)
        self._calibrations[info.name] = Calibration.of(info.spec.metadata)  # each time: it may be fitted anew meanwhile
        if (name, info.name) not in self._checked:
            expected = await asyncio.to_thread(fingerprint, self._dense, self._sparse)
            check_readable(info, expected)
            self._checked.add((name, info.name))
            if isinstance(chunker := info.spec.metadata.get("chunker"), str):
                self._chunkers[info.name] = chunker
        return info.name


def _passages(ranked: Sequence[Ranked], stored: Sequence[Stored]) -> list[tuple[Passage, Payload]]:
    payloads = {each.id: each.payload for each in stored}
    return [
        (to_passage(each.id, payloads[each.id], each.score, each.dense, each.sparse), payloads[each.id])
        for each in ranked
        if each.id in payloads  # deleted between the two calls
    ]
