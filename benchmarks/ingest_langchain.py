"""LangChain's plain path, as its documentation shows it: HuggingFaceEmbeddings and QdrantVectorStore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest_measuring import Rate
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models
from sentence_transformers import SentenceTransformer

_COLLECTION = "benchmark"


class HuggingFaceEmbeddings(Embeddings):
    """What langchain-huggingface 1.2.3 does: that package caps huggingface-hub, so it does not install beside ours.

    Line breaks become spaces, then one `SentenceTransformer.encode` with its defaults: fp32, 32 texts a batch, sorted
    by length among those of the call.
    """

    def __init__(self, model: str) -> None:
        self._client: Any = SentenceTransformer(model, device="cpu")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        flat = [each.replace("\n", " ") for each in texts]
        vectors: list[list[float]] = self._client.encode(flat, show_progress_bar=False).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class LangChainPath:
    """A store in a folder, with its model loaded."""

    def __init__(self, model: Path, folder: Path, size: int) -> None:
        self._client = QdrantClient(path=str(folder))
        vectors = models.VectorParams(size=size, distance=models.Distance.COSINE)
        self._client.create_collection(_COLLECTION, vectors_config=vectors)
        self._store = QdrantVectorStore(self._client, _COLLECTION, HuggingFaceEmbeddings(str(model)))
        self._store.add_texts(["warm"] * 8)
        self._client.delete(_COLLECTION, models.Filter())

    def add(self, texts: list[str], pages: list[str]) -> Rate:
        """`add_documents` with its defaults (64 a batch), timed."""
        documents = [
            Document(text, metadata={"source": page, "number": number})
            for number, (text, page) in enumerate(zip(texts, pages, strict=True))
        ]
        return Rate.of(len(documents), lambda: self._store.add_documents(documents))

    def search(self, text: str, count: int) -> list[str]:
        """The pages of the nearest chunks, best first."""
        return [str(each.metadata["source"]) for each in self._store.similarity_search(text, k=count)]

    def close(self) -> None:
        """Let go of the folder."""
        self._client.close()
