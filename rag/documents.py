"""The documents that a collection holds, as their heads tell: one a document."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.index.interface import Index
from rag.payload import HEADS
from rag.schema import Scope

_FIELDS = ("doc", "path", "title", "chunks", "format", "groups", "metadata")


@dataclass(frozen=True, slots=True)
class Held:
    """A document in a collection, without its text."""

    uri: str
    path: str
    title: str
    chunks: int
    format: str
    groups: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def held_documents(
    index: Index, collection: str, scope: Scope, prefix: str = "", after: str = "", limit: int = 100
) -> list[Held]:
    """The first `limit` documents, by URI, that the scope sees, whose URI starts with `prefix` and comes after `after`.

    Every head is looked at, so a page costs time proportional to the collection, and memory to the page. Raises
    CollectionNotFound.
    """
    name = index.describe(collection).name
    heads = (
        (str(each.payload["doc"]), each.id)
        for each in index.scroll(name, scope, ("doc",), HEADS)
        if str(each.payload["doc"]).startswith(prefix) and str(each.payload["doc"]) > after
    )
    # One more a document: while it is replaced it has two heads.
    nearest = heapq.nsmallest(2 * limit, heads)
    found = dict(nearest)
    some = sorted(found)[:limit]
    stored = {each.id: each.payload for each in index.fetch(name, [found[uri] for uri in some], scope)}
    return [_held(stored[found[uri]]) for uri in some if found[uri] in stored]


def groups_of(index: Index, collection: str, uris: Sequence[str], tenant: str) -> dict[str, set[tuple[str, ...]]]:
    """The groups of these documents' points by URI, whoever may read them; absent documents are left out."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for each in index.scroll(collection, Scope.owner(tenant), ("doc", "groups"), {"doc": list(uris)}):
        found.setdefault(str(each.payload["doc"]), set()).add(tuple(each.payload.get("groups") or ()))
    return found


def _held(payload: Mapping[str, Any]) -> Held:
    return Held(
        uri=payload["doc"],
        path=payload["path"],
        title=payload["title"],
        chunks=payload["chunks"],
        format=payload.get("format", ""),
        groups=tuple(payload.get("groups") or ()),
        metadata=dict(payload.get("metadata") or {}),
    )
