"""A Qdrant server, called from an event loop. Each method is as in `server`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from qdrant_client import AsyncQdrantClient
from qdrant_client.http.models import KeywordIndexParams

from rag.errors import CollectionNotFound, IndexUnavailable
from rag.index import translate
from rag.index.checks import batches, check_fields, check_name, check_spec, not_found, point_ids, taken
from rag.index.interface import Collection, CollectionInfo, CollectionSpec, Hit, Leg, Payload, Record, Stored, Where
from rag.index.spread import Spread
from rag.schema import Scope
from rag.settings import Settings


class AsyncServerIndex:
    """An AsyncIndex over an AsyncQdrantClient, for one event loop. `location` is what messages show."""

    def __init__(self, client: AsyncQdrantClient, location: str, spread: Spread | None = None) -> None:
        self._client = client
        self._location = location
        self._spread = spread or Spread()
        self._closed = False

    @classmethod
    def connect(cls, settings: Settings) -> AsyncServerIndex:
        """An index at `settings.qdrant_url`. Nothing is sent yet."""
        options = translate.client_options(settings)
        return cls(AsyncQdrantClient(**options), translate.shown_url(options["url"]), Spread.of(settings))

    @property
    def location(self) -> str:
        return self._location

    async def announce(self, url: str) -> None:
        """As in Index: a server needs no telling."""

    async def collections(self) -> list[CollectionInfo]:
        async with self._asking():
            names, aliases = await self._names(), await self._aliases()
        found = []
        for name in sorted(names):
            with suppress(CollectionNotFound):  # dropped since it was listed
                found.append(await self._info(name, aliases))
        return found

    async def aliases(self) -> dict[str, str]:
        async with self._asking():
            return await self._aliases()

    async def describe(self, name: str) -> CollectionInfo:
        return await self._found(name, counted=True)

    async def resolve(self, name: str) -> Collection:
        found = await self._found(name, counted=False)
        return Collection(found.name, found.spec)

    async def create(self, name: str, spec: CollectionSpec) -> None:
        check_name(name)
        spec = check_spec(spec)
        async with self._asking(name):
            if name in await self._aliases():
                raise taken(name, self._location, "alias")
            exists = name in await self._names()
            if exists and (await self._info(name, {})).spec != spec:
                raise taken(name, self._location)
            if not exists:
                await self._client.create_collection(name, **translate.collection_options(spec, self._spread))
            # Of one that exists, too: its maker may have been killed before it had made them all.
            for field, schema in (await self._missing_indexes(name)).items():
                await self._client.create_payload_index(name, field, schema, wait=True)
            if exists:
                raise taken(name, self._location)

    async def drop(self, name: str) -> None:
        check_name(name)
        async with self._asking(name):
            if name not in await self._names():  # an alias, too: the server would answer "nothing deleted"
                raise CollectionNotFound(name)
            await self._client.delete_collection(name)

    async def set_alias(self, alias: str, name: str) -> None:
        check_name(alias)
        check_name(name)
        async with self._asking(name):
            names = await self._names()
            if name not in names:
                raise CollectionNotFound(name)
            if alias in names:
                raise taken(alias, self._location)
            await self._client.update_collection_aliases(translate.alias_changes(alias, name, await self._aliases()))

    async def drop_alias(self, alias: str) -> None:
        check_name(alias)
        async with self._asking(alias):
            if alias not in await self._aliases():
                raise CollectionNotFound(alias)
            await self._client.update_collection_aliases(translate.alias_removal(alias))

    async def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None:
        check_name(name)
        async with self._asking(name):
            if not records:
                await self._client.get_collection(name)  # unknown is an error even with nothing to write
            for batch in translate.point_batches(records, scope):
                await self._client.upsert(name, batch, wait=True)

    async def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None:
        check_name(name)
        wanted = point_ids(ids)
        async with self._asking(name):
            if not wanted:
                await self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                await self._client.delete(name, translate.scope_filter(scope, ids=some), wait=True)

    async def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        check_name(name)
        wanted = point_ids(ids)
        fields = check_fields(payload)
        async with self._asking(name):
            if not (wanted and fields):
                await self._client.get_collection(name)
            for some in batches(wanted if fields else [], translate.BATCH_IDS):
                await self._client.set_payload(name, fields, translate.scope_filter(scope, ids=some), wait=True)

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        check_name(name)
        requests = translate.query_requests(legs, scope, where, fields)
        async with self._asking(name):
            if not requests:
                await self._client.get_collection(name)
            answers = await self._client.query_batch_points(name, requests) if requests else []
        return translate.hits(legs, answers)

    async def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        check_name(name)
        wanted = point_ids(ids)
        found: list[Stored] = []
        async with self._asking(name):
            if not wanted:
                await self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                # `retrieve` takes no filter, so it cannot keep to a scope
                page, _ = await self._client.scroll(name, translate.scope_filter(scope, ids=some), limit=len(some))
                found.extend(translate.stored(record) for record in page)
        return translate.in_order(wanted, found)

    async def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        check_name(name)
        wanted = point_ids(ids)
        found: dict[str, Sequence[float]] = {}
        async with self._asking(name):
            if not wanted:
                await self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                page, _ = await self._client.scroll(name, **translate.vectors_request(scope, some))
                found.update(translate.dense_vectors(page))
        return found

    async def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        check_name(name)
        visible = translate.scope_filter(scope, where)
        async with self._asking(name):
            return (await self._client.count(name, visible, exact=True)).count

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._client.close()

    async def _found(self, name: str, *, counted: bool) -> CollectionInfo:
        check_name(name)
        while True:
            async with self._asking(name):
                aliases = await self._aliases()
            try:
                return await self._info(aliases.get(name, name), aliases, counted=counted)
            except CollectionNotFound:
                async with self._asking(name):
                    moved = (await self._aliases()).get(name) != aliases.get(name)
                if not moved:  # else the alias moved on and its old collection was dropped: no gap for readers
                    raise

    async def _info(self, collection: str, aliases: dict[str, str], *, counted: bool = True) -> CollectionInfo:
        async with self._asking(collection):
            info = await self._client.get_collection(collection)
            points = (await self._client.count(collection, exact=True)).count if counted else 0
        return translate.collection_info(collection, info, points, aliases)

    async def _missing_indexes(self, name: str) -> dict[str, KeywordIndexParams]:
        present = (await self._client.get_collection(name)).payload_schema or {}
        return {field: schema for field, schema in translate.payload_indexes().items() if field not in present}

    async def _names(self) -> set[str]:
        return {collection.name for collection in (await self._client.get_collections()).collections}

    async def _aliases(self) -> dict[str, str]:
        return {alias.alias_name: alias.collection_name for alias in (await self._client.get_aliases()).aliases}

    @asynccontextmanager
    async def _asking(self, name: str = "") -> AsyncIterator[None]:
        if self._closed:
            raise IndexUnavailable(f"the index at {self._location} is closed")
        try:
            yield
        except CollectionNotFound:
            raise await self._not_found(name) from None
        except translate.FAILURES as error:
            ours = translate.failure(error, self._location, name)
            raise (await self._not_found(name) if isinstance(ours, CollectionNotFound) else ours) from error

    async def _not_found(self, name: str) -> CollectionNotFound:
        existing: set[str] = set()
        with suppress(*translate.FAILURES):  # the list is a courtesy
            existing = await self._names()
        return not_found(name, self._location, sorted(existing))
