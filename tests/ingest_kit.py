"""What tests of ingestion share: an encoder that costs nothing, a source held in a dict, and what the index holds."""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import QdrantClient

from ingest.sources.interface import Found, Item, Unreadable
from rag.encoders import LocalEncoder, Vectors
from rag.encoders.tokens import load_token_counts
from rag.errors import SourceError
from rag.index.interface import Index
from rag.index.server import ServerIndex
from rag.schema import Scope

Points = dict[str, Mapping[str, Any]]
PREFIX = "test://docs/"


def memory_server() -> ServerIndex:
    """The server driver over qdrant-client's `:memory:` mode, which stands for a server: each call whole, as a server
    answers, since that mode's arrays are not made for many threads.
    """
    client = QdrantClient(":memory:")
    turn, engine = threading.RLock(), client._client
    for name in dir(engine):
        call = getattr(engine, name)
        if not name.startswith("_") and inspect.ismethod(call):
            setattr(engine, name, _in_turn(turn, call))
    return ServerIndex(client, "memory")


def _in_turn(turn: threading.RLock, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def called(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return call(*args, **kwargs)

    return called


class HashEncoder:
    """Stands for an encoder where its meaning is not the point: a vector is a hash of the text.

    It reads at most 32 of MiniLM's tokens, so that short texts make several chunks. `texts` holds what was encoded.
    """

    dimension = 8
    max_tokens = 32

    def __init__(self, name: str = "hash") -> None:
        self.name = name
        self.texts: list[str] = []
        self.tokenizer_file = LocalEncoder("minilm").tokenizer_file
        self._tokens = load_token_counts(self.tokenizer_file)

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"name": self.name, "sha256": hashlib.sha256(self.name.encode()).hexdigest()}

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        rows = [list(hashlib.sha256(each.encode()).digest()[:8]) for each in texts]
        return np.asarray(rows, dtype=np.float32).reshape(len(texts), 8) + 1

    def encode_query(self, text: str) -> Vectors:
        return np.asarray(list(hashlib.sha256(text.encode()).digest()[:8]), dtype=np.float32) + 1

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._tokens.token_counts(texts)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return self._tokens.token_offsets(text)


class DictSource:
    """A Source over a dict of path to bytes; `broken` paths are there and cannot be read. Counts what is read."""

    shown = "a dict"

    def __init__(self, documents: dict[str, bytes], broken: Sequence[str] = (), stamped: bool = True) -> None:
        self.documents = documents
        self.broken = list(broken)
        self.stamped = stamped
        self.fails_after: int | None = None
        self.reads: list[str] = []

    def owns(self, uri: str) -> bool:
        return uri.startswith(PREFIX)

    def items(self) -> Iterator[Found]:
        for number, (path, data) in enumerate(sorted(self.documents.items())):
            if number == self.fails_after:
                raise SourceError("the listing broke off.")
            stamp = hashlib.sha256(data).hexdigest()[:8] if self.stamped else ""
            yield Item(PREFIX + path, path, path, len(data), stamp)
        for path in self.broken:
            yield Unreadable(PREFIX + path, path, "it cannot be opened.")

    def read(self, item: Item, limit: int) -> bytes:
        self.reads.append(item.path)
        data = self.documents[item.path]
        if len(data) > limit:
            raise SourceError("it is too large.")
        return data

    def close(self) -> None:
        """Nothing is open."""


def stored(index: Index, collection: str = "documents", tenant: str = "default") -> Points:
    """Every point of a tenant, by id."""
    return {each.id: each.payload for each in index.scroll(collection, Scope.owner(tenant))}


def paths(points: Points) -> set[str]:
    """The documents that the points are of."""
    return {str(each["path"]) for each in points.values()}


def write_folder(folder: Path, documents: Mapping[str, str]) -> Path:
    """The documents as files."""
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
