"""A Qdrant server, called synchronously."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from qdrant_client import QdrantClient
from qdrant_client.http.models import Filter, KeywordIndexParams
from qdrant_client.http.models import Record as ServerRecord

from rag.errors import CollectionNotFound, IndexUnavailable
from rag.index import translate
from rag.index.checks import batches, check_fields, check_name, check_spec, not_found, point_ids, taken
from rag.index.interface import Collection, CollectionInfo, CollectionSpec, Hit, Leg, Payload, Record, Stored, Where
from rag.index.spread import Spread
from rag.schema import Scope
from rag.settings import Settings


class ServerIndex:
    """An Index over a QdrantClient. Safe to call from many threads. `location` is what messages show."""

    def __init__(self, client: QdrantClient, location: str, spread: Spread | None = None) -> None:
        self._client = client
        self._location = location
        self._spread = spread or Spread()
        self._closed = False

    @classmethod
    def connect(cls, settings: Settings) -> ServerIndex:
        """An index at `settings.qdrant_url`. Nothing is sent yet."""
        options = translate.client_options(settings)
        return cls(QdrantClient(**options), translate.shown_url(options["url"]), Spread.of(settings))

    @property
    def location(self) -> str:
        return self._location

    def announce(self, url: str) -> None:
        """As in Index: a server needs no telling."""

    def collections(self) -> list[CollectionInfo]:
        with self._asking():
            names, aliases = self._names(), self._aliases()
        found = []
        for name in sorted(names):
            with suppress(CollectionNotFound):  # dropped since it was listed
                found.append(self._info(name, aliases))
        return found

    def aliases(self) -> dict[str, str]:
        with self._asking():
            return self._aliases()

    def describe(self, name: str) -> CollectionInfo:
        return self._found(name, counted=True)

    def resolve(self, name: str) -> Collection:
        found = self._found(name, counted=False)
        return Collection(found.name, found.spec)

    def create(self, name: str, spec: CollectionSpec) -> None:
        check_name(name)
        spec = check_spec(spec)
        with self._asking(name):
            if name in self._aliases():
                raise taken(name, self._location, "alias")
            exists = name in self._names()
            if exists and self._info(name, {}).spec != spec:
                raise taken(name, self._location)
            if not exists:
                self._client.create_collection(name, **translate.collection_options(spec, self._spread))
            # Of one that exists, too: its maker may have been killed before it had made them all.
            for field, schema in self._missing_indexes(name).items():
                self._client.create_payload_index(name, field, schema, wait=True)
            if exists:
                raise taken(name, self._location)

    def drop(self, name: str) -> None:
        check_name(name)
        with self._asking(name):
            if name not in self._names():  # an alias, too: the server would answer "nothing deleted"
                raise CollectionNotFound(name)
            self._client.delete_collection(name)

    def set_metadata(self, name: str, metadata: Mapping[str, Any]) -> None:
        fields = check_spec(CollectionSpec(1, metadata)).metadata
        collection = self.describe(name).name
        with self._asking(collection):
            self._client.update_collection(collection, metadata=dict(fields))

    def set_alias(self, alias: str, name: str) -> None:
        check_name(alias)
        check_name(name)
        with self._asking(name):
            names = self._names()
            if name not in names:
                raise CollectionNotFound(name)
            if alias in names:
                raise taken(alias, self._location)
            self._client.update_collection_aliases(translate.alias_changes(alias, name, self._aliases()))

    def drop_alias(self, alias: str) -> None:
        check_name(alias)
        with self._asking(alias):
            if alias not in self._aliases():
                raise CollectionNotFound(alias)
            self._client.update_collection_aliases(translate.alias_removal(alias))

    def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None:
        check_name(name)
        with self._asking(name):
            if not records:
                self._client.get_collection(name)  # an unknown collection is an error even with nothing to write
            for batch in translate.point_batches(records, scope):
                self._client.upsert(name, batch, wait=True)

    def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None:
        check_name(name)
        wanted = point_ids(ids)
        with self._asking(name):
            if not wanted:
                self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                self._client.delete(name, translate.scope_filter(scope, ids=some), wait=True)

    def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        check_name(name)
        wanted = point_ids(ids)
        fields = check_fields(payload)
        with self._asking(name):
            if not (wanted and fields):
                self._client.get_collection(name)
            for some in batches(wanted if fields else [], translate.BATCH_IDS):
                self._client.set_payload(name, fields, translate.scope_filter(scope, ids=some), wait=True)

    def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        check_name(name)
        requests = translate.query_requests(legs, scope, where, fields)
        with self._asking(name):
            if not requests:
                self._client.get_collection(name)
            answers = self._client.query_batch_points(name, requests) if requests else []
        return translate.hits(legs, answers)

    def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        check_name(name)
        wanted = point_ids(ids)
        found: list[Stored] = []
        with self._asking(name):
            if not wanted:
                self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                # `retrieve` takes no filter, so it cannot keep to a scope
                page, _ = self._client.scroll(name, translate.scope_filter(scope, ids=some), limit=len(some))
                found.extend(translate.stored(record) for record in page)
        return translate.in_order(wanted, found)

    def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        check_name(name)
        wanted = point_ids(ids)
        found: dict[str, Sequence[float]] = {}
        with self._asking(name):
            if not wanted:
                self._client.get_collection(name)
            for some in batches(wanted, translate.BATCH_IDS):
                page, _ = self._client.scroll(name, **translate.vectors_request(scope, some))
                found.update(translate.dense_vectors(page))
        return found

    def scroll(
        self,
        name: str,
        scope: Scope,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        start: str | None = None,
    ) -> Iterator[Stored]:
        visible = translate.scope_filter(scope, where)
        (first,) = point_ids([start]) if start is not None else (None,)
        found = self._scrolled(name, visible, translate.selector(fields), False, first)
        return (translate.stored(record) for record in found)

    def records(self, name: str, scope: Scope) -> Iterator[Record]:
        visible = translate.scope_filter(scope)
        return (translate.record(found) for found in self._scrolled(name, visible, True, True))

    def tenants(self, name: str) -> list[str]:
        check_name(name)
        known: list[str] = []
        while True:
            # A facet tells the most frequent values only: ask on for the others until there are none.
            with self._asking(name):
                found = self._client.facet(name, **translate.tenants_facet(known)).hits
            if not found:
                return sorted(known)
            known += [str(hit.value) for hit in found]

    def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        check_name(name)
        visible = translate.scope_filter(scope, where)
        with self._asking(name):
            return self._client.count(name, visible, exact=True).count

    def wasteful(self, name: str) -> bool:
        """As in Index: a server clears up by itself."""
        check_name(name)
        return False

    def optimize(self, name: str) -> None:
        """As in Index: a server optimises by itself."""
        check_name(name)
        with self._asking(name):
            self._client.get_collection(name)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.close()

    def _scrolled(
        self, name: str, visible: Filter, payload: bool | list[str], vectors: bool, start: str | None = None
    ) -> Iterator[ServerRecord]:
        check_name(name)
        with self._asking(name):
            # The pages must come from one collection, though an alias may move between them.
            collection = self._aliases().get(name, name)
            self._client.get_collection(collection)

        def pages() -> Iterator[ServerRecord]:
            offset: int | str | UUID | None = start
            while True:
                with self._asking(name):
                    page, offset = self._client.scroll(
                        collection,
                        visible,
                        limit=translate.PAGE_POINTS,
                        offset=offset,
                        with_payload=payload,
                        with_vectors=vectors,
                    )
                yield from page
                if offset is None:
                    return

        return pages()

    def _found(self, name: str, *, counted: bool) -> CollectionInfo:
        check_name(name)
        while True:
            with self._asking(name):
                aliases = self._aliases()
            try:
                return self._info(aliases.get(name, name), aliases, counted=counted)
            except CollectionNotFound:
                with self._asking(name):
                    moved = self._aliases().get(name) != aliases.get(name)
                if not moved:  # else the alias moved on and its old collection was dropped: no gap for readers
                    raise

    def _info(self, collection: str, aliases: dict[str, str], *, counted: bool = True) -> CollectionInfo:
        with self._asking(collection):
            info = self._client.get_collection(collection)
            points = self._client.count(collection, exact=True).count if counted else 0
        return translate.collection_info(collection, info, points, aliases)

    def _missing_indexes(self, name: str) -> dict[str, KeywordIndexParams]:
        present = self._client.get_collection(name).payload_schema or {}
        return {field: schema for field, schema in translate.payload_indexes().items() if field not in present}

    def _names(self) -> set[str]:
        return {collection.name for collection in self._client.get_collections().collections}

    def _aliases(self) -> dict[str, str]:
        return {alias.alias_name: alias.collection_name for alias in self._client.get_aliases().aliases}

    @contextmanager
    def _asking(self, name: str = "") -> Iterator[None]:
        if self._closed:
            raise IndexUnavailable(f"the index at {self._location} is closed")
        try:
            yield
        except CollectionNotFound:
            raise self._not_found(name) from None
        except translate.FAILURES as error:
            ours = translate.failure(error, self._location, name)
            raise (self._not_found(name) if isinstance(ours, CollectionNotFound) else ours) from error

    def _not_found(self, name: str) -> CollectionNotFound:
        existing: set[str] = set()
        with suppress(*translate.FAILURES):  # the list is a courtesy
            existing = self._names()
        return not_found(name, self._location, sorted(existing))
