"""The one place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rag.answering import Librarian
from rag.encoders import query_encoder, sparse_encoder
from rag.generation import ChatModel
from rag.index import AsyncIndex, open_async_index
from rag.reranking import open_reranker
from rag.retrieval import Retriever
from rag.settings import Settings


def build_retriever(settings: Settings, index: AsyncIndex) -> Retriever:
    """Hybrid retrieval over an open index. Nothing is loaded before the first query."""
    return Retriever(index, query_encoder(settings), sparse_encoder(settings), settings, open_reranker(settings))


@asynccontextmanager
async def open_librarian(settings: Settings, tokenizer_folder: Path | None = None) -> AsyncIterator[Librarian]:
    """A Librarian over the settings' index and chat model; both are let go at the end.

    `tokenizer_folder` holds the served model's tokenizer where the caller knows it. Raises IndexLocked or
    IndexUnavailable; the chat model is not asked before the first answer.
    """
    index = open_async_index(settings)
    model = ChatModel(settings, tokenizer_folder)
    try:
        yield Librarian(build_retriever(settings, index), model, settings)
    finally:
        await model.aclose()
        await index.close()
