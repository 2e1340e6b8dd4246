"""What the tests of re-indexing share: a cheap encoder, a collection to start from, an index that kills its process.

`HashEncoder` stands for a model: equal words have equal vectors, and different `name`s make different ones. It loads
nothing, so a re-index takes milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ingest.chunking import chunk, chunker_name
from ingest.pipeline import encoded
from ingest.rebuild import paged
from ingest.reindex import Reindex, Reindexed
from ingest.writer import Part, Writer
from rag.collections import fingerprint, make
from rag.encoders import Bm25Encoder, Vectors
from rag.index import Index
from rag.index.embedded import EmbeddedIndex
from rag.schema import Document, Scope
from rag.settings import Settings

SIZE = 8
TENANTS = ("acme", "default")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class HashEncoder:
    """A DenseEncoder of words: unit vectors from hashes."""

    def __init__(self, name: str = "first", max_tokens: int = 64) -> None:
        self.name = name
        self.max_tokens = max_tokens
        self.dimension = SIZE
        self.encoded: list[str] = []

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"name": self.name, "sha256": hashlib.sha256(self.name.encode()).hexdigest()}

    @property
    def tokenizer_file(self) -> Path:
        raise AssertionError("nothing here starts a worker process")

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        return np.stack([self.encode_query(each) for each in texts])

    def encode_query(self, text: str) -> Vectors:
        digest = hashlib.sha256(f"{self.name}\0{text.split()}".encode()).digest()[:SIZE]
        vector = np.frombuffer(digest, dtype=np.uint8).astype(np.float32) + 1
        return vector / np.linalg.norm(vector)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(_TOKEN.findall(each)) + 2 for each in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _TOKEN.finditer(text)]


def settings(folder: Path, **values: Any) -> Settings:
    return Settings(data_dir=folder, **values)


def document(number: int, version: int = 1, paragraphs: int = 4) -> Document:
    words = " ".join(f"word{number}x{each}" for each in range(25))
    text = f"# Part {number}\n\n" + "\n\n".join(
        f"Version {version} of paragraph {each} of document {number}. {words}." for each in range(paragraphs)
    )
    pages = tuple(range(0, len(text), 300)) if number % 2 else ()
    return Document(
        uri=f"file:///docs/{number}.md",
        path=f"docs/{number}.md",
        title=f"Document {number}",
        text=text,
        content_hash=f"hash of {number} in version {version}",
        groups=("staff",) if number % 3 == 0 else (),
        metadata={"number": str(number)},
        pages=pages,
    )


def part(document: Document, encoder: HashEncoder, tokens: int, replaces: bool = True) -> Part:
    chunks = paged(chunk(document, encoder, tokens), document.pages)
    return Part(document, chunks, len(chunks), f"stamp of {document.uri}", replaces, last=True)


def write(index: Index, name: str, documents: Sequence[Document], encoder: HashEncoder, tenant: str) -> None:
    """Write the documents as a job does."""
    tokens = min(256, encoder.max_tokens)
    writer = Writer(index, name, Scope.owner(tenant), Bm25Encoder(), chunker_name(tokens))
    for window in encoded([[part(each, encoder, tokens)] for each in documents], encoder):
        writer.write(window)


def fill(index: Index, encoder: HashEncoder, documents: int = 8) -> str:
    """A collection "documents" of two tenants, built with the encoder; its own name."""
    tokens = min(256, encoder.max_tokens)
    expected = {**fingerprint(encoder, Bm25Encoder()), "chunker": chunker_name(tokens)}
    name = make(index, "documents", expected, encoder.dimension)
    for tenant in TENANTS:
        write(index, name, [document(each) for each in range(documents)], encoder, tenant)
    return name


def reindex(index: Index, encoder: HashEncoder, folder: Path, keep_old: bool = False, **options: Any) -> Reindexed:
    given = {key: options.pop(key) for key in ("chunk_tokens", "qdrant_url", "collection") if key in options}
    return Reindex(index, encoder, Bm25Encoder(), settings(folder, **given), batch=8, **options).run(keep_old)


def state(index: Index) -> dict[str, Any]:
    """All there is: collections with their aliases, and every point's payload and vectors by id."""
    found: dict[str, Any] = {}
    for info in index.collections():
        points = {
            record.id: [
                dict(record.payload),
                [round(value, 3) for value in record.dense],
                sorted(zip(record.sparse.indices, (round(each, 3) for each in record.sparse.values), strict=True)),
            ]
            for tenant in index.tenants(info.name)
            for record in index.records(info.name, Scope.owner(tenant))
        }
        found[info.name] = {"aliases": list(info.aliases), "points": points}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def loosely(found: dict[str, Any]) -> dict[str, Any]:
    """A state without what cutting a document anew may change: white space where a chunk ended, and pages."""
    for collection in found.values():
        for payload, *_ in collection["points"].values():
            payload["text"] = payload["text"].split()
            del payload["page"]
    return found


class KillingIndex:
    """An Index whose process is killed (SIGKILL) before its n-th call that writes."""

    WRITES = frozenset({"create", "drop", "set_alias", "drop_alias", "upsert", "delete", "set_payload"})

    def __init__(self, index: Index, kill_at: int = 0) -> None:
        self._index = index
        self._kill_at = kill_at
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._index, name)
        return self._counted(method) if name in self.WRITES else method

    def _counted(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.writes += 1
            if self.writes == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*args, **kwargs)

        return call


def in_a_process_that_is_killed(folder: str, kill_at: int) -> None:
    """Re-index the folder's collection, up to the n-th write."""
    index = EmbeddedIndex(Path(folder) / "index")
    reindex(KillingIndex(index, kill_at), HashEncoder("second", 40), Path(folder))  # type: ignore[arg-type]
