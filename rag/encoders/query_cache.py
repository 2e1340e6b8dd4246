"""Vectors of the queries asked last. Only vectors: what a query finds depends on who asks, and is never kept."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict

from rag.encoders.interface import DenseEncoder, Vectors
from rag.encoders.wrapped import WrappedEncoder


class CachedEncoder(WrappedEncoder):
    """Encodes a query once as long as it is among the `entries` asked last. Thread-safe; documents pass through.

    An entry is found by a SHA-256 of the encoder's fingerprint and the query's exact text, so no text is kept, and
    another model behind the same name finds nothing. The prompt before queries is the encoder's, and part of what its
    fingerprint names. An entry takes 4 bytes a dimension and about 300 more. Errors are not kept.
    """

    def __init__(self, inner: DenseEncoder, entries: int) -> None:
        super().__init__(inner)
        self._entries = entries
        self._turn = threading.Lock()
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()
        self._hits = self._misses = 0

    @property
    def hits(self) -> int:
        """Queries that were answered from memory."""
        return self._hits

    @property
    def misses(self) -> int:
        """Queries that the encoder was asked for."""
        return self._misses

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        key = self._key(text)
        with self._turn:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                self._hits += 1
                return found.copy()
            self._misses += 1
        vector = self.inner.encode_query(text)
        kept = vector.copy()  # callers may write into what they are given
        with self._turn:
            self._known[key] = kept
            self._known.move_to_end(key)
            while len(self._known) > self._entries:
                self._known.popitem(last=False)
        return vector

    def _key(self, text: str) -> bytes:
        encoder = json.dumps(dict(self.inner.fingerprint), sort_keys=True)
        return hashlib.sha256(json.dumps([encoder, text]).encode()).digest()


def cache_within(encoder: DenseEncoder) -> CachedEncoder | None:
    """The memory in an encoder that may be wrapped; None where it remembers nothing."""
    while isinstance(encoder, WrappedEncoder) and not isinstance(encoder, CachedEncoder):
        encoder = encoder.inner
    return encoder if isinstance(encoder, CachedEncoder) else None
