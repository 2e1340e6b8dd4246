"""The drivers of the index that the contract is tried on, and the words its tests are written in.

The in-memory mode of qdrant_client stands for a Qdrant server: it takes the same calls as the server's HTTP API and
answers in the same shapes, without the transport. Where LIBRARIAN_TEST_QDRANT_URL names a real server, the same
tests run on that too.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qdrant_client import AsyncQdrantClient, QdrantClient

from rag.index import AsyncIndex, CollectionSpec, DenseLeg, Index, Record, SparseLeg, Where
from rag.index.async_server import AsyncServerIndex
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.index.threaded import ThreadedIndex
from rag.schema import Scope, SparseVector
from rag.settings import Settings

SERVER = os.environ.get("LIBRARIAN_TEST_QDRANT_URL")
DRIVERS = ["embedded", "threaded", "memory", "async-memory", *(["server", "async-server"] if SERVER else [])]
SYNC_DRIVERS = [driver for driver in DRIVERS if driver in ("embedded", "memory", "server")]
SIZE = 4
SPEC = CollectionSpec(SIZE, {"encoder": {"name": "minilm", "hash": "ab12"}, "chunker": 3, "tags": ["x", None]})
OWNER = Scope.owner("acme")
READER = Scope("acme")
NO_SPARSE = SparseVector((), ())


class Shim:
    """Calls an AsyncIndex as if it were sync: each method runs to its end on one event loop."""

    def __init__(self, make: Callable[[], AsyncIndex]) -> None:
        self._runner = asyncio.Runner()
        self._index = self._runner.run(self._made(make))

    @staticmethod
    async def _made(make: Callable[[], AsyncIndex]) -> AsyncIndex:
        return make()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._index, name)
        if not callable(attribute):
            return attribute
        return lambda *args, **kwargs: self._runner.run(attribute(*args, **kwargs))

    def finish(self) -> None:
        self._runner.run(self._index.close())
        self._runner.close()


class Names:
    """Unique names for collections and aliases, so that tests can share a server."""

    def __init__(self) -> None:
        self._suffix = uuid.uuid4().hex[:8]

    def __getattr__(self, name: str) -> str:
        return f"{name}-{self._suffix}"


def opened(driver: str, folder: Path) -> Any:
    if driver == "embedded":
        return EmbeddedIndex(folder / "index")
    if driver == "threaded":
        return Shim(lambda: ThreadedIndex(EmbeddedIndex(folder / "index")))
    if driver == "memory":
        return ServerIndex(QdrantClient(":memory:"), "http://memory:6333")
    if driver == "async-memory":
        return Shim(lambda: AsyncServerIndex(AsyncQdrantClient(":memory:"), "http://memory:6333"))
    config = Settings(qdrant_url=SERVER, qdrant_api_key=os.environ.get("LIBRARIAN_TEST_QDRANT_API_KEY"))
    if driver == "server":
        return ServerIndex.connect(config)
    return Shim(lambda: AsyncServerIndex.connect(config))


def lent(driver: str, folder: Path, names: Names) -> Iterator[Index]:
    made = opened(driver, folder)
    yield made
    if driver.endswith("server"):
        for known in made.collections():
            if known.name.endswith(names._suffix):
                made.drop(known.name)
    made.finish() if isinstance(made, Shim) else made.close()


def point(number: int) -> str:
    return str(uuid.UUID(int=number))


def record(
    number: int,
    payload: Mapping[str, Any] | None = None,
    dense: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    sparse: SparseVector = NO_SPARSE,
) -> Record:
    return Record(point(number), dense, sparse, payload or {})


def dense(*vector: float, limit: int = 100) -> DenseLeg:
    return DenseLeg(vector or (1.0, 0.0, 0.0, 0.0), limit)


def sparse(*indices: int, limit: int = 100) -> SparseLeg:
    return SparseLeg(SparseVector(indices, (1.0,) * len(indices)), limit)


def seen(index: Index, name: str, scope: Scope, where: Where | None = None) -> list[int]:
    """What `query` finds, as numbers, in order of id."""
    (hits,) = index.query(name, [dense(limit=1000)], scope, where)
    return sorted(uuid.UUID(hit.id).int for hit in hits)


def visible_everywhere(index: Index, name: str, scope: Scope, where: Where | None = None) -> list[int]:
    """What the scope sees, which every way of reading must agree on."""
    found = seen(index, name, scope, where)
    assert index.count(name, scope, where) == len(found)
    if where is None:
        everything = [point(number) for number in range(100)]
        assert [uuid.UUID(stored.id).int for stored in index.fetch(name, everything, scope)] == found
    if not isinstance(index, Shim):
        assert sorted(uuid.UUID(stored.id).int for stored in index.scroll(name, scope, where=where)) == found
    return found
