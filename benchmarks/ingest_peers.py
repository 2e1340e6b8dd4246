"""LlamaIndex's and Haystack's default way from chunks to Qdrant, timed. ingest.py runs it in the peers' environment.

    .venv-peers/bin/python benchmarks/ingest_peers.py llama-index|haystack MODEL TEXTS.json FOLDER

The model is loaded and has encoded a few texts before the clock starts. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_WARM = ["warm up"] * 8
_SIZE = 384


def llama_index(model: str, texts: list[str], folder: str) -> dict[str, Any]:
    """`VectorStoreIndex(nodes)`: HuggingFaceEmbedding, 10 texts a batch, into QdrantVectorStore."""
    from llama_index.core import StorageContext, VectorStoreIndex
    from llama_index.core.schema import TextNode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    encoder = HuggingFaceEmbedding(model_name=model, device="cpu")
    encoder.get_text_embedding_batch(_WARM)
    client = QdrantClient(path=folder)
    storage = StorageContext.from_defaults(vector_store=QdrantVectorStore("benchmark", client=client))
    nodes = [TextNode(text=each) for each in texts]
    started = time.perf_counter()
    VectorStoreIndex(nodes, storage_context=storage, embed_model=encoder)
    took = time.perf_counter() - started
    return {
        "seconds": took,
        "stored": client.count("benchmark").count,
        "title": f"LlamaIndex {version('llama-index-core')}: VectorStoreIndex, batches of {encoder.embed_batch_size}",
    }


def haystack(model: str, texts: list[str], folder: str) -> dict[str, Any]:
    """A pipeline of SentenceTransformersDocumentEmbedder, 32 texts a batch, and DocumentWriter."""
    from haystack import Document, Pipeline
    from haystack.components.writers import DocumentWriter
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder
    from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

    store = QdrantDocumentStore(path=folder, index="benchmark", embedding_dim=_SIZE)
    embedder = SentenceTransformersDocumentEmbedder(
        model=model, device=ComponentDevice.from_str("cpu"), progress_bar=False
    )
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder", "writer")
    embedder.warm_up()
    embedder.run([Document(content=each) for each in _WARM])
    store.count_documents()
    # Equal texts would be one document: its id is a hash of what it holds.
    documents = [Document(content=each, meta={"number": number}) for number, each in enumerate(texts)]
    started = time.perf_counter()
    pipeline.run({"embedder": {"documents": documents}})
    took = time.perf_counter() - started
    return {
        "seconds": took,
        "stored": store.count_documents(),
        "title": f"Haystack {version('haystack-ai')}: embedder and writer, batches of {embedder.batch_size}",
    }


def main(arguments: list[str]) -> int:
    """Run the one that is asked for."""
    os.environ.update(HF_HUB_OFFLINE="1", HAYSTACK_TELEMETRY_ENABLED="False", TOKENIZERS_PARALLELISM="true")
    framework, model, given, folder = arguments
    texts = json.loads(Path(given).read_text(encoding="utf-8"))
    run = {"llama-index": llama_index, "haystack": haystack}[framework]
    print(json.dumps(run(model, texts, folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
