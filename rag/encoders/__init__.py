"""Text to vectors: dense (an embedding model, here or behind a URL) and sparse (Qdrant's BM25, or a learned encoder).

Loading a model takes seconds, so nothing is loaded before the first text must be encoded: a fingerprint or a re-run
with nothing to do costs a file hash, not a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.encoders.batching import BatchedEncoder
from rag.encoders.bm25 import Bm25Encoder
from rag.encoders.fingerprints import describe, identity, same_encoder
from rag.encoders.interface import MAX_CHUNK_TOKENS, DenseEncoder, Fields, SparseEncoder, Vectors
from rag.encoders.local import LocalEncoder
from rag.encoders.prefixed import PrefixedEncoder
from rag.encoders.query_cache import CachedEncoder, cache_within
from rag.encoders.tokens import TokenCounter, load_token_counts

if TYPE_CHECKING:
    from rag.encoders.remote import RemoteEncoder
    from rag.settings import Settings

BM25 = "bm25"

__all__ = [
    "BM25",
    "MAX_CHUNK_TOKENS",
    "Bm25Encoder",
    "CachedEncoder",
    "DenseEncoder",
    "Fields",
    "LocalEncoder",
    "PrefixedEncoder",
    "SparseEncoder",
    "TokenCounter",
    "Vectors",
    "cache_within",
    "dense_encoder",
    "describe",
    "identity",
    "load_token_counts",
    "query_encoder",
    "same_encoder",
    "sparse_encoder",
]


def dense_encoder(settings: Settings) -> DenseEncoder:
    """The encoder that the settings name; nothing is loaded, nobody asked yet."""
    return _prefixed(_encoder(settings), settings)


def query_encoder(settings: Settings) -> DenseEncoder:
    """The same for a service: queries share calls and are remembered, as the settings say; no vector differs."""
    if settings.encoder_url and settings.query_batch_wait_ms:
        encoder: DenseEncoder = BatchedEncoder(_remote_encoder(settings), settings.query_batch_wait_ms)
    else:
        encoder = _encoder(settings)
    return _prefixed(CachedEncoder(encoder, settings.query_cache) if settings.query_cache else encoder, settings)


def sparse_encoder(settings: Settings) -> SparseEncoder:
    """The sparse encoder that the settings name; nothing is loaded yet."""
    bm25 = Bm25Encoder(settings.bm25_language, settings.bm25_title_weight, settings.bm25_heading_weight)
    if settings.sparse_encoder == BM25:
        return bm25
    from rag.encoders.learned import LearnedSparseEncoder

    return LearnedSparseEncoder(settings.sparse_encoder, bm25, settings.encoder_device, settings.encoder_threads)


def _encoder(settings: Settings) -> DenseEncoder:
    if settings.encoder_url:
        return _remote_encoder(settings)
    return LocalEncoder(
        settings.encoder,
        settings.encoder_device,
        settings.encoder_backend,
        settings.encoder_batch_size,
        settings.encoder_threads,
    )


def _prefixed(encoder: DenseEncoder, settings: Settings) -> DenseEncoder:
    return PrefixedEncoder(encoder, settings.query_prefix) if settings.query_prefix else encoder


def _remote_encoder(settings: Settings) -> RemoteEncoder:
    from rag.encoders.remote import RemoteEncoder

    return RemoteEncoder(settings)
