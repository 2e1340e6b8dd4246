"""The service's own few records: payload-only points in a reserved collection, so that replicas share them and one
snapshot of Qdrant holds everything.

A record belongs to a tenant and, like a passage, to groups: whoever does not see them does not find it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rag.errors import BadInput, CollectionExists, CollectionNotFound
from rag.index.interface import CollectionSpec, Index, Record
from rag.schema import Scope, SparseVector

# No alias names it, so no list of what can be asked shows it.
RESERVED = "librarian-records"

_NAMESPACE = uuid.UUID("b0a3d1de-5f0c-5a43-9a0c-6c8f6c7f2f11")


def check_not_reserved(collection: str) -> str:
    """The name, unchanged; raises BadInput where it is the one that documents may not use."""
    if collection == RESERVED:
        raise BadInput(f"'{RESERVED}' is the service's own collection: choose another name.")
    return collection


def check_askable(collection: str) -> str:
    """The name, unchanged; raises CollectionNotFound for the one in which there is nothing for whoever asks."""
    if collection == RESERVED:
        raise CollectionNotFound(f"'{RESERVED}' holds the service's own records and no documents.", asked=collection)
    return collection


class Records:
    """Small JSON objects by kind and id. Safe to call from many threads.

    Raises IndexUnavailable where Qdrant cannot be reached. The collection is made by the first `put`.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def put(self, kind: str, identity: str, data: Mapping[str, Any], scope: Scope, groups: Sequence[str] = ()) -> None:
        """Write a record, in place of one with the same kind and id; on return it survives the process's death."""
        # `part` is the field that every collection has an index on and that tells kinds of points apart.
        payload = {"part": kind, "id": identity, "data": dict(data), "groups": list(groups)}
        record = Record(_point(kind, identity, scope), (), SparseVector((), ()), payload)
        try:
            self._index.upsert(RESERVED, [record], scope)
        except CollectionNotFound:
            with suppress(CollectionExists):  # another process makes it now
                self._index.create(RESERVED, CollectionSpec(1))
            self._index.upsert(RESERVED, [record], scope)

    def get(self, kind: str, identity: str, scope: Scope) -> dict[str, Any] | None:
        """A record's data; None where there is none that the scope sees."""
        return next((data for _, data in self.some(kind, [identity], scope)), None)

    def some(self, kind: str, identities: Sequence[str], scope: Scope) -> list[tuple[str, dict[str, Any]]]:
        """Id and data of those of the records that exist and the scope sees, in the order asked for."""
        points = [_point(kind, each, scope) for each in identities]
        try:
            found = self._index.fetch(RESERVED, points, scope)
        except CollectionNotFound:
            return []
        return [(str(each.payload["id"]), dict(each.payload["data"])) for each in found]

    def scan(
        self, kind: str, scope: Scope, fields: Sequence[str] | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and data of every record of a kind that the scope sees; of the data only `fields` (None: all)."""
        wanted = None if fields is None else ["id", *(f"data.{each}" for each in fields)]
        try:
            for each in self._index.scroll(RESERVED, scope, wanted, {"part": [kind]}):
                yield str(each.payload["id"]), dict(each.payload.get("data") or {})
        except CollectionNotFound:
            return

    def count(self, kind: str, scope: Scope) -> int:
        """How many records of a kind the scope sees."""
        try:
            return self._index.count(RESERVED, scope, {"part": [kind]})
        except CollectionNotFound:
            return 0

    def delete(self, kind: str, identities: Sequence[str], scope: Scope) -> None:
        """Delete those of the records that the scope sees; absent ones are no error."""
        with suppress(CollectionNotFound):
            self._index.delete(RESERVED, [_point(kind, each, scope) for each in identities], scope)


def _point(kind: str, identity: str, scope: Scope) -> str:
    return str(uuid.uuid5(_NAMESPACE, json.dumps([scope.tenant, kind, identity])))
