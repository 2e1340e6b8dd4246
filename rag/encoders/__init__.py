"""Text to vectors: dense (an embedding model, here or behind a URL) and sparse (Qdrant's BM25).

Loading a model takes seconds, so nothing is loaded before the first text must be encoded: a fingerprint or a re-run
with nothing to do costs a file hash, not a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.encoders.bm25 import Bm25Encoder
from rag.encoders.fingerprints import describe, identity, same_encoder
from rag.encoders.interface import MAX_CHUNK_TOKENS, DenseEncoder, Vectors
from rag.encoders.local import LocalEncoder
from rag.encoders.tokens import TokenCounter, load_token_counts

if TYPE_CHECKING:
    from rag.settings import Settings

__all__ = [
    "MAX_CHUNK_TOKENS",
    "Bm25Encoder",
    "DenseEncoder",
    "LocalEncoder",
    "TokenCounter",
    "Vectors",
    "dense_encoder",
    "describe",
    "identity",
    "load_token_counts",
    "same_encoder",
    "sparse_encoder",
]


def dense_encoder(settings: Settings) -> DenseEncoder:
    """The encoder that the settings name; nothing is loaded, nobody asked yet."""
    if settings.encoder_url:
        from rag.encoders.remote import RemoteEncoder

        return RemoteEncoder(settings)
    return LocalEncoder(
        settings.encoder,
        settings.encoder_device,
        settings.encoder_backend,
        settings.encoder_batch_size,
        settings.encoder_threads,
    )


def sparse_encoder(settings: Settings) -> Bm25Encoder:
    """The keyword encoder that the settings name."""
    return Bm25Encoder(settings.bm25_language)
