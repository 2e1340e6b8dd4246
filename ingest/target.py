"""The collection that a job writes, and everything that follows from the settings for writing it."""

from __future__ import annotations

import os

from ingest.chunking import DEFAULT_CHUNK_TOKENS, chunker_name
from ingest.loading.interface import Limits
from ingest.pool import PreparePool, WorkerSpec
from ingest.writer import Writer
from rag.collections import find_for_writing, fingerprint, make
from rag.encoders import DenseEncoder, SparseEncoder
from rag.index.interface import Index
from rag.records import check_not_reserved
from rag.schema import Scope
from rag.settings import Settings


class Target:
    """One collection: checked at once, made only when there is a first document to write.

    `name` is its own name (not the alias), None while there is none.
    """

    def __init__(self, index: Index, settings: Settings, dense: DenseEncoder, sparse: SparseEncoder) -> None:
        """Raises FingerprintMismatch where there is one that was built with something else, BadInput for a bad name."""
        check_not_reserved(settings.collection)
        self.dense = dense
        self.scope = Scope.owner(settings.tenant)
        self.tokens = min(settings.chunk_tokens or DEFAULT_CHUNK_TOKENS, dense.max_tokens)
        self._index = index
        self._sparse = sparse
        self._settings = settings
        self._chunker = chunker_name(self.tokens)
        self._expected = {**fingerprint(dense, sparse), "chunker": self._chunker}
        self.name = find_for_writing(index, settings.collection, self._expected)
        self._named = self.name is not None and settings.collection in (
            self.name,
            *index.describe(self.name).aliases,
        )

    def writer(self) -> Writer:
        """Writes to the collection; makes it where there is none yet."""
        if not self._named:
            self.name = make(self._index, self._settings.collection, self._expected, self.dense.dimension)
            self._named = True
        assert self.name is not None  # noqa: S101 — a collection that is named is one
        return Writer(self._index, self.name, self.scope, self._sparse, self._chunker)

    def pool(self) -> PreparePool:
        """The processes that turn bytes into chunks for it."""
        settings = self._settings
        spec = WorkerSpec(
            tokenizer_file=self.dense.tokenizer_file,
            chunk_tokens=self.tokens,
            limits=Limits(settings.max_document_pages, settings.max_document_characters, settings.max_expansion),
            seconds=settings.max_document_seconds,
            memory=settings.max_document_memory,
        )
        return PreparePool(settings.ingest_workers or _workers(), spec)


def _workers() -> int:
    """One process keeps an encoder busy that has a few cores; more only where cores are many."""
    return max(1, min(4, (os.cpu_count() or 1) // 4))
