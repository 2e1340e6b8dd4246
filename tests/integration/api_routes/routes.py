"""The API's routes, a small library to search, and the shape of an error."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import numpy as np

from rag.collections import fingerprint
from rag.encoders import Bm25Encoder, DenseEncoder, Vectors
from rag.errors import IndexUnavailable
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.payload import to_payload
from rag.schema import Chunk, Document, Scope
from tests.fake_model import FakeModel
from tests.integration.api_server import ApiServer, ask

KEY = "a-key-that-nobody-guesses"
ROUTES = (
    ("POST", "/v1/chat/completions", ask()),
    ("POST", "/v1/search", {"query": "pods"}),
    ("POST", "/v1/context", {"query": "pods"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/collections", None),
)

# What names one thing: with a key it is tried where that thing is.
ROUTES_OF_ONE = (("GET", "/v1/collections/{name}", None), ("GET", "/v1/models/{model}", None))

# What needs the ingestion engine beside them: with a key they are tried in test_api_documents.py and its neighbours.
FEEDING_ROUTES = (
    ("POST", "/v1/documents", {"documents": []}),
    ("GET", "/v1/documents", None),
    ("DELETE", "/v1/documents", {"uris": ["upload:a"]}),
    ("GET", "/v1/documents/text", None),
    ("GET", "/v1/jobs", None),
    ("GET", "/v1/jobs/{identity}", None),
    ("DELETE", "/v1/jobs/{identity}", None),
    ("POST", "/v1/keys", {"name": "alice"}),
    ("GET", "/v1/keys", None),
    ("DELETE", "/v1/keys/{identity}", None),
    ("POST", "/v1/feedback", {"answer_id": "chatcmpl-1", "rating": "up"}),
    ("GET", "/v1/feedback", None),
)


TEXTS = (
    "Kubernetes runs containers in pods on the nodes of a cluster.",
    "A readiness probe keeps traffic from a pod that is not ready.",
    "Kueue admits jobs when there is quota for them.",
    "A quota limits what the pods of a namespace may ask for.",
)


class HashEncoder:
    """Stands for a DenseEncoder: a bag of hashed words, so that texts that share words are near. Knows no meaning."""

    max_tokens = 256
    dimension = 256

    def __init__(self, name: str = "hash") -> None:
        self._name = name

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"name": self._name, "sha256": self._name * 8}

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.encode_query(each) for each in texts])

    def encode_query(self, text: str) -> Vectors:
        vector = np.full(self.dimension, 1e-3, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            vector[hashlib.sha256(word.encode()).digest()[0] % self.dimension] += 1
        return vector / np.linalg.norm(vector)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(each.split()) for each in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def fill(index: EmbeddedIndex, alias: str, dense: DenseEncoder, sparse: Bm25Encoder) -> None:
    """A collection behind an alias, one document a text."""
    index.create(f"{alias}-1a2b3c4d", CollectionSpec(dense.dimension, fingerprint(dense, sparse)))
    index.set_alias(alias, f"{alias}-1a2b3c4d")
    records = []
    for number, text in enumerate(TEXTS, start=1):
        document = Document(f"file:///docs/{number}.md", f"docs/{number}.md", f"Document {number}", text, "hash")
        payload = to_payload(document, Chunk(0, text, 0, len(text)), 1)
        identifier = f"00000000-0000-0000-0000-{number:012d}"
        records.append(Record(identifier, dense.encode_query(text).tolist(), sparse.encode_document(text), payload))
    index.upsert(alias, records, Scope())


def assert_error(response: httpx2.Response, status: int, kind: str, code: str) -> dict[str, Any]:
    """An error in OpenAI's shape, carrying the request's id."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() == {"message", "type", "code", "param", "request_id"}
    assert (error["type"], error["code"]) == (kind, code)
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    return error


def break_both(api: ApiServer, model: FakeModel) -> None:
    api.retriever.index.failure = IndexUnavailable("http://qdrant.internal:6333 cannot be reached")
    model.fail = {"models": 500}
