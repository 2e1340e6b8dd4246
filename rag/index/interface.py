"""What Librarian asks of Qdrant, whichever way Qdrant runs.

Two drivers stand behind it: `embedded` (the engine in this process, one folder) and `server` (a Qdrant service,
sync and async). Callers see only this file. Every call that touches points takes a `Scope`; there is no call
without one, so no path can forget the filter.

Who sees what, in words: a point is visible to a scope when its `tenant` equals the scope's and (the scope's groups
are None, or the point has no groups, or the two share a group). A `where` narrows that further and can never
widen it: all conditions are joined by AND.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from rag.filters import Filter
from rag.schema import Scope, SparseVector

Payload = Mapping[str, Any]

# What narrows a call to some of the points that its scope sees. People give a Filter; `rag.filters` says what it means.
# A mapping is for callers within the project and may name any field: it keeps the points whose payload field (a dotted
# path) is one of the values, or is a list that holds one. No values: no point.
Where = Mapping[str, Sequence[str]] | Filter

DENSE = "dense"
SPARSE = "sparse"


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """What a collection is made for: its dense size and the facts (fingerprints) that readers must match."""

    dense_size: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def idf(self) -> bool:
        """Whether the index weighs sparse terms by rarity: yes, unless the `sparse` fact says `idf` False."""
        sparse = self.metadata.get(SPARSE)
        return not (isinstance(sparse, Mapping) and sparse.get("idf") is False)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection's own name, and what it is made for."""

    name: str
    spec: CollectionSpec


@dataclass(frozen=True, slots=True)
class CollectionInfo(Collection):
    """A collection as it is. `points` counts every tenant's."""

    points: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A point to write. `id` is a UUID. The scope given to `upsert` sets the payload's `tenant`.

    An empty `dense` or `sparse` means that the point has no such vector: that leg never finds it. The payload is
    plain JSON; its `groups`, where it has any, are a list of names.
    """

    id: str
    dense: Sequence[float]
    sparse: SparseVector
    payload: Payload


@dataclass(frozen=True, slots=True)
class DenseLeg:
    """Nearest by cosine: at most `limit` hits."""

    vector: Sequence[float]
    limit: int


@dataclass(frozen=True, slots=True)
class SparseLeg:
    """Highest dot product, terms weighed as the collection's `idf` says: at most `limit` hits."""

    vector: SparseVector
    limit: int


Leg = DenseLeg | SparseLeg


class Hit(NamedTuple):
    """A point that a leg found, with the fields of its payload that were asked for.

    A tuple, because a search makes hundreds: as a frozen dataclass each takes three times as long.
    """

    id: str
    score: float
    payload: Payload = MappingProxyType({})


class Stored(NamedTuple):
    """A point as stored, without its vectors. A tuple, since a re-run of a job makes one for each document."""

    id: str
    payload: Payload


class Index(Protocol):
    """Names of collections may be aliases everywhere but in `create`, `drop` and as the target of `set_alias`.

    Every method that takes a collection or alias raises `CollectionNotFound` for an unknown one, `BadInput` for
    what no engine can hold (names, ids, vectors, payloads), and `IndexUnavailable` where Qdrant cannot be reached.
    """

    @property
    def location(self) -> str:
        """Where the index is, for messages: a folder or a URL without credentials."""
        ...

    def announce(self, url: str) -> None:
        """Tell processes that find the index's folder held at which URL this one serves it. Nothing on a server."""
        ...

    def collections(self) -> list[CollectionInfo]:
        """Every collection, by name."""
        ...

    def aliases(self) -> dict[str, str]:
        """Every alias with the collection that it names. Opens no collection."""
        ...

    def describe(self, name: str) -> CollectionInfo:
        """The collection behind a name or alias."""
        ...

    def resolve(self, name: str) -> Collection:
        """The same without what takes time to count: for every search."""
        ...

    def create(self, name: str, spec: CollectionSpec) -> None:
        """Make an empty collection; raises CollectionExists where the name (or such an alias) is taken."""
        ...

    def drop(self, name: str) -> None:
        """Delete a collection, its points and the aliases that name it."""
        ...

    def set_metadata(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Put these fields into a collection's metadata; its other fields stay, and so does what is in it."""
        ...

    def set_alias(self, alias: str, name: str) -> None:
        """Make `alias` name the collection `name`, at once: a reader sees the old one or the new one.

        Raises CollectionExists where a collection has the alias's name.
        """
        ...

    def drop_alias(self, alias: str) -> None:
        """Forget an alias; the collection stays."""
        ...

    def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None:
        """Write points; on return they survive the process's death. The payload's tenant becomes the scope's.

        Nothing is written where one of them is malformed. Where the call fails on the way, a part may be written:
        writing the same points again is always right.
        """
        ...

    def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None:
        """Delete those of the ids that the scope sees; others are left alone, absent ones are no error."""
        ...

    def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        """Put these fields into the payload of those of the ids that the scope sees; their other fields stay.

        A field is replaced whole, with what is nested in it. A `tenant` among them is left out: points keep theirs.
        """
        ...

    def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        """For each leg, best first, the hits among the points that the scope sees. One round trip.

        Each hit has `fields` of its payload, as far as it has them.

        Inverse document frequencies are those of the whole collection, whatever the scope and `where`; engines may
        go on counting deleted points into them for a while.
        """
        ...

    def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        """Those of the ids that exist and the scope sees, each once, in the order asked for."""
        ...

    def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        """By id, the dense vectors, as unit vectors, of those of the ids that exist, have one and the scope sees."""
        ...

    def scroll(
        self,
        name: str,
        scope: Scope,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        start: str | None = None,
    ) -> Iterator[Stored]:
        """Every point that the scope sees, each once, with only `fields` of its payload (None: all).

        In the order of their ids; `start`: from this id on, whether or not there is such a point.
        """
        ...

    def records(self, name: str, scope: Scope) -> Iterator[Record]:
        """Every point that the scope sees, each once, as `upsert` takes it. Dense vectors come back as unit vectors."""
        ...

    def tenants(self, name: str) -> list[str]:
        """The tenants that have points in a collection: for jobs that maintain all of it, never for a reader."""
        ...

    def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        """How many points the scope sees, exactly."""
        ...

    def wasteful(self, name: str) -> bool:
        """Whether deleted points take up most of a collection and stay until `optimize`."""
        ...

    def optimize(self, name: str) -> None:
        """Build what makes queries fast, where that does not happen by itself. May take minutes, during which the
        embedded engine stops every other thread of its process: for jobs, never for a service.
        """
        ...

    def close(self) -> None:
        """Flush and let go. Calling it twice is no error."""
        ...


class AsyncIndex(Protocol):
    """The same index for callers on an event loop: each method as in `Index`, awaited."""

    @property
    def location(self) -> str: ...

    async def announce(self, url: str) -> None: ...

    async def collections(self) -> list[CollectionInfo]: ...

    async def aliases(self) -> dict[str, str]: ...

    async def describe(self, name: str) -> CollectionInfo: ...

    async def resolve(self, name: str) -> Collection: ...

    async def create(self, name: str, spec: CollectionSpec) -> None: ...

    async def drop(self, name: str) -> None: ...

    async def set_alias(self, alias: str, name: str) -> None: ...

    async def drop_alias(self, alias: str) -> None: ...

    async def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None: ...

    async def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None: ...

    async def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None: ...

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]: ...

    async def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]: ...

    async def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]: ...

    async def count(self, name: str, scope: Scope, where: Where | None = None) -> int: ...

    async def close(self) -> None: ...
