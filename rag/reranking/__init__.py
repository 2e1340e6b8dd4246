"""A cross-encoder reads the question and a passage together, and puts the best hits of a search in a better order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.reranking.interface import Reranker
from rag.reranking.local import LocalReranker
from rag.reranking.order import rerank

if TYPE_CHECKING:
    from rag.settings import Settings

__all__ = ["LocalReranker", "Reranker", "open_reranker", "rerank"]


def open_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name, None where they name none; nothing is loaded or looked for yet.

    It runs where the encoder does (`encoder_device`, `encoder_threads`).
    """
    if settings.reranker is None:
        return None
    return LocalReranker(
        settings.reranker, settings.encoder_device, settings.reranker_backend, settings.encoder_threads
    )
