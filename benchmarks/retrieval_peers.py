"""LangChain's hybrid search as its documentation shows it, timed. retrieval.py runs it in the peers' environment.

    .venv-peers/bin/python benchmarks/retrieval_peers.py MODEL FOLDER CALLERS

The folder holds chunks.json ([id, document, text] each), vectors.npy and queries.json. The last line of its output is
JSON: milliseconds by number of callers, those of its parts, and the chunks found, best first.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

TOP = 10

_COLLECTION = "benchmark"
_WARM_UP = 3


def main(arguments: list[str]) -> int:
    """Load the chunks, ask the queries, say what came of it."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true")
    model, given, callers = arguments
    folder = Path(given)
    queries = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
    started = time.perf_counter()
    embeddings, words, vectors, ensemble = _retrievers(model, folder)
    loaded = time.perf_counter() - started
    for query in queries[:_WARM_UP]:
        ensemble.invoke(query)
    answers = {query: ensemble.invoke(query)[:TOP] for query in queries}
    parts: dict[str, Callable[[str], object]] = {
        "encode": embeddings.embed_query,
        "bm25": words.invoke,
        "dense": vectors.invoke,
    }
    stages = {name: statistics.median(_ask(part, queries, 1)[0]) for name, part in parts.items()}
    runs = {number: _ask(ensemble.invoke, queries, int(number)) for number in callers.split(",")}
    packages = ("langchain-qdrant", "langchain-community", "langchain-classic", "rank-bm25", "qdrant-client")
    report = {
        "versions": {each: version(each) for each in packages},
        "load_s": loaded,
        "runs": {number: {"times_ms": times, "wall_s": wall} for number, (times, wall) in runs.items()},
        "stages_ms": stages,
        "chunks": [[each.metadata["chunk"] for each in answers[query]] for query in queries],
        "documents": [[each.metadata["document"] for each in answers[query]] for query in queries],
        "dense": [[each.metadata["chunk"] for each in vectors.invoke(query)] for query in queries],
    }
    print(json.dumps(report))
    return 0


def _retrievers(model: str, folder: Path) -> tuple[Any, Any, Any, Any]:
    """The embeddings, both retrievers and their ensemble, over the folder's chunks."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_core.documents import Document
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    chunks = json.loads((folder / "chunks.json").read_text(encoding="utf-8"))
    known = np.load(folder / "vectors.npy")
    documents = [
        Document(page_content=text, metadata={"chunk": chunk, "document": document}) for chunk, document, text in chunks
    ]
    embeddings = _embeddings(model, {text: known[row] for row, (_, _, text) in enumerate(chunks)})
    client = QdrantClient(":memory:")
    client.create_collection(
        _COLLECTION, vectors_config=models.VectorParams(size=known.shape[1], distance=models.Distance.COSINE)
    )
    store = QdrantVectorStore(client, _COLLECTION, embeddings)
    store.add_documents(documents, ids=[chunk for chunk, _, _ in chunks])
    vectors = store.as_retriever(search_kwargs={"k": TOP})
    words = BM25Retriever.from_documents(documents, k=TOP)
    return embeddings, words, vectors, EnsembleRetriever(retrievers=[words, vectors], weights=[0.5, 0.5])


def _embeddings(model: str, known: dict[str, Any]) -> Any:
    """Queries as langchain-huggingface encodes them; documents have their vectors already."""
    from langchain_core.embeddings import Embeddings
    from sentence_transformers import SentenceTransformer

    client = SentenceTransformer(model, device="cpu")

    class MiniLm(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [known[each].tolist() if each in known else self.embed_query(each) for each in texts]

        def embed_query(self, text: str) -> list[float]:
            vectors: list[list[float]] = client.encode([text.replace("\n", " ")], show_progress_bar=False).tolist()
            return vectors[0]

    return MiniLm()


def _ask(ask: Callable[[str], object], queries: list[str], callers: int) -> tuple[list[float], float]:
    """Each query's milliseconds and the seconds of all; a single caller is this thread."""
    waiting, times = deque(queries), list[float]()

    def caller() -> None:
        while True:
            try:
                query = waiting.popleft()
            except IndexError:
                return
            started = time.perf_counter()
            ask(query)
            times.append((time.perf_counter() - started) * 1e3)

    threads = [threading.Thread(target=caller) for _ in range(callers)] if callers > 1 else []
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not threads:
        caller()
    if len(times) < len(queries):
        raise RuntimeError(f"{len(queries) - len(times)} of {len(queries)} queries failed")
    return times, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
