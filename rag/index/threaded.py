"""Any Index for callers on an event loop: each call runs in a worker thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rag.index.interface import (
    Collection,
    CollectionInfo,
    CollectionSpec,
    Hit,
    Index,
    Leg,
    Payload,
    Record,
    Stored,
    Where,
)
from rag.schema import Scope


class ThreadedIndex:
    """An AsyncIndex over a sync `index` that many threads may call; `index` is that one, for what must stay sync."""

    def __init__(self, index: Index) -> None:
        self.index = index

    @property
    def location(self) -> str:
        return self.index.location

    async def announce(self, url: str) -> None:
        await asyncio.to_thread(self.index.announce, url)

    async def collections(self) -> list[CollectionInfo]:
        return await asyncio.to_thread(self.index.collections)

    async def aliases(self) -> dict[str, str]:
        return await asyncio.to_thread(self.index.aliases)

    async def describe(self, name: str) -> CollectionInfo:
        return await asyncio.to_thread(self.index.describe, name)

    async def resolve(self, name: str) -> Collection:
        return await asyncio.to_thread(self.index.resolve, name)

    async def create(self, name: str, spec: CollectionSpec) -> None:
        await asyncio.to_thread(self.index.create, name, spec)

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self.index.drop, name)

    async def set_alias(self, alias: str, name: str) -> None:
        await asyncio.to_thread(self.index.set_alias, alias, name)

    async def drop_alias(self, alias: str) -> None:
        await asyncio.to_thread(self.index.drop_alias, alias)

    async def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None:
        await asyncio.to_thread(self.index.upsert, name, records, scope)

    async def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None:
        await asyncio.to_thread(self.index.delete, name, ids, scope)

    async def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        await asyncio.to_thread(self.index.set_payload, name, ids, payload, scope)

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        return await asyncio.to_thread(self.index.query, name, legs, scope, where, fields)

    async def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        return await asyncio.to_thread(self.index.fetch, name, ids, scope)

    async def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        return await asyncio.to_thread(self.index.vectors, name, ids, scope)

    async def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        return await asyncio.to_thread(self.index.count, name, scope, where)

    async def close(self) -> None:
        await asyncio.to_thread(self.index.close)
