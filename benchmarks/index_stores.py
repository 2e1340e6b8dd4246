"""The stores that index.py compares, behind one small interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

from corpus import DIMENSIONS, MAIN, Corpus, Query
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore, RetrievalMode
from langchain_qdrant.sparse_embeddings import SparseEmbeddings
from langchain_qdrant.sparse_embeddings import SparseVector as LangChainSparse
from qdrant_client import QdrantClient, models

from rag.fusion import ranked, reciprocal_rank_fusion
from rag.index import DENSE, SPARSE, CollectionSpec, DenseLeg, Leg, Record, SparseLeg
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope, SparseVector
from rag.settings import Settings

BATCH = 256
TOP = 10

_CANDIDATES = 100
_RRF_K = float(Settings.model_fields["rrf_k"].default)
_COLLECTION = "benchmark"


class Store(Protocol):
    """A store under test. Searches return the ids of the TOP points, best first, and have read the payloads."""

    def upsert(self, tenant: str, records: Sequence[Record]) -> None:
        """Write records that all are one tenant's."""

    def stop_syncing(self) -> None:
        """Load what follows as fast as can be: it is not measured."""

    def dense(self, query: Query, tenant: str | None) -> list[str]:
        """Search one tenant's points, or all."""

    def hybrid(self, query: Query) -> list[str]:
        """Search all points in both spaces and fuse."""

    def close(self) -> None:
        """Let go of the folder."""


class LibrarianStore:
    """EmbeddedIndex, with the calls that rag.retrieval makes."""

    def __init__(self, folder: Path) -> None:
        self.index = EmbeddedIndex(folder)
        self._everything = ("tenants", Scope(MAIN))

    @classmethod
    def create(cls, folder: Path) -> Self:
        """One with an empty collection; the constructor opens what is there."""
        store = cls(folder)
        store.index.create("tenants", CollectionSpec(DIMENSIONS))
        return store

    def upsert(self, tenant: str, records: Sequence[Record]) -> None:
        self.index.upsert("tenants", records, Scope(tenant))

    def stop_syncing(self) -> None:
        pass

    def load_as_one_tenant(self, corpus: Corpus) -> None:
        """A second collection with all points under one tenant: what unfiltered searches use from now on."""
        self._everything = ("whole", Scope("all"))
        self.index.create("whole", CollectionSpec(DIMENSIONS))
        for _, records in corpus.batches(BATCH):
            self.index.upsert("whole", records, Scope("all"))

    def dense(self, query: Query, tenant: str | None) -> list[str]:
        name, scope = ("tenants", Scope(tenant)) if tenant else self._everything
        (hits,) = self.index.query(name, [DenseLeg(query.dense, TOP)], scope)
        return [stored.id for stored in self.index.fetch(name, [hit.id for hit in hits], scope)]

    def hybrid(self, query: Query) -> list[str]:
        name, scope = self._everything
        legs: list[Leg] = [DenseLeg(query.dense, _CANDIDATES), SparseLeg(query.sparse, _CANDIDATES)]
        dense, sparse = self.index.query(name, legs, scope)
        best = ranked(reciprocal_rank_fusion(dense, sparse, _RRF_K), dense, sparse, TOP)
        return [stored.id for stored in self.index.fetch(name, [each.id for each in best], scope)]

    def close(self) -> None:
        self.index.close()


class SyncedLibrarianStore(LibrarianStore):
    """The same, with the engine's log on the disk when `upsert` returns."""

    def upsert(self, tenant: str, records: Sequence[Record]) -> None:
        super().upsert(tenant, records)
        for path in Path(self.index.location).glob("collections/*/shard/wal/*"):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class LocalStore:
    """qdrant-client's local mode, in a folder or (None) in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._client = QdrantClient(path=str(folder)) if folder else QdrantClient(":memory:")
        _create_collection(self._client)

    def upsert(self, tenant: str, records: Sequence[Record]) -> None:
        points = [
            models.PointStruct(
                id=record.id,
                vector={DENSE: record.dense, SPARSE: _sparse(record.sparse)},
                payload={**record.payload, "tenant": tenant},
            )
            for record in records
        ]
        self._client.upsert(_COLLECTION, points)

    def stop_syncing(self) -> None:
        _stop_syncing(self._client)

    def dense(self, query: Query, tenant: str | None) -> list[str]:
        found = self._client.query_points(
            _COLLECTION,
            query=query.dense,
            using=DENSE,
            query_filter=_tenant_filter("tenant", tenant),
            limit=TOP,
            with_payload=True,
        )
        return [str(point.id) for point in found.points]

    def hybrid(self, query: Query) -> list[str]:
        found = self._client.query_points(
            _COLLECTION,
            prefetch=[
                models.Prefetch(query=query.dense, using=DENSE, limit=_CANDIDATES),
                models.Prefetch(query=_sparse(query.sparse), using=SPARSE, limit=_CANDIDATES),
            ],
            query=_fusion(),
            limit=TOP,
            with_payload=True,
        )
        return [str(point.id) for point in found.points]

    def close(self) -> None:
        self._client.close()


class Lookup(Embeddings):
    """Stands in for an embedding model: finds the vector that belongs to a text."""

    def __init__(self) -> None:
        self.known: dict[str, list[float]] = {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.known[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.known[text]


class SparseLookup(SparseEmbeddings):
    """Stands in for a sparse model."""

    def __init__(self) -> None:
        self.known: dict[str, SparseVector] = {}

    def embed_documents(self, texts: list[str]) -> list[LangChainSparse]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> LangChainSparse:
        found = self.known[text]
        return LangChainSparse(indices=list(found.indices), values=list(found.values))


class LangChainStore:
    """langchain-qdrant's vector store over qdrant-client's local mode in a folder."""

    def __init__(self, folder: Path, queries: Sequence[Query]) -> None:
        self._client = QdrantClient(path=str(folder))
        _create_collection(self._client)
        self._dense, self._sparse = Lookup(), SparseLookup()
        self._know([query.text for query in queries], queries)
        self._hybrid_store = self._store(RetrievalMode.HYBRID)
        self._dense_store = self._store(RetrievalMode.DENSE)

    def upsert(self, tenant: str, records: Sequence[Record]) -> None:
        texts = [str(record.payload["text"]) for record in records]
        self._know(texts, records)
        metadata = [
            {**{key: value for key, value in record.payload.items() if key != "text"}, "tenant": tenant}
            for record in records
        ]
        self._hybrid_store.add_texts(texts, metadata, [record.id for record in records], batch_size=BATCH)
        for text in texts:  # 20,000 lists of floats would fill the memory
            del self._dense.known[text], self._sparse.known[text]

    def stop_syncing(self) -> None:
        _stop_syncing(self._client)

    def dense(self, query: Query, tenant: str | None) -> list[str]:
        found = self._dense_store.similarity_search_with_score(
            query.text, TOP, filter=_tenant_filter("metadata.tenant", tenant)
        )
        return [document.metadata["_id"] for document, _ in found]

    def hybrid(self, query: Query) -> list[str]:
        found = self._hybrid_store.similarity_search_with_score(
            query.text, _CANDIDATES, limit=TOP, hybrid_fusion=_fusion()
        )
        return [document.metadata["_id"] for document, _ in found]

    def close(self) -> None:
        self._client.close()

    def _know(self, texts: Sequence[str], vectors: Sequence[Record | Query]) -> None:
        for text, each in zip(texts, vectors, strict=True):
            self._dense.known[text] = each.dense
            self._sparse.known[text] = each.sparse

    def _store(self, mode: RetrievalMode) -> QdrantVectorStore:
        return QdrantVectorStore(
            client=self._client,
            collection_name=_COLLECTION,
            embedding=self._dense,
            sparse_embedding=self._sparse,
            retrieval_mode=mode,
            vector_name=DENSE,
            sparse_vector_name=SPARSE,
            validate_collection_config=False,  # it would embed a text that nobody knows
        )


def _create_collection(client: QdrantClient) -> None:
    client.create_collection(
        _COLLECTION,
        vectors_config={DENSE: models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)},
        sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )


def _stop_syncing(client: QdrantClient) -> None:
    local: Any = client._client  # no public way leads there
    with suppress(AttributeError, KeyError):  # where it has moved, the load merely takes longer
        connection = local.collections[_COLLECTION].storage.storage
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _tenant_filter(key: str, tenant: str | None) -> models.Filter | None:
    if tenant is None:
        return None
    return models.Filter(must=[models.FieldCondition(key=key, match=models.MatchValue(value=tenant))])


def _fusion() -> Any:
    # Qdrant counts ranks from 0, Librarian (as the paper) from 1. Any: langchain-qdrant passes it through untyped.
    return models.RrfQuery(rrf=models.Rrf(k=int(_RRF_K) + 1))
