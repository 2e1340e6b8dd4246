"""The documents that a collection holds, as their heads tell: one a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.index.interface import Index
from rag.payload import HEADS
from rag.schema import Scope

# Of a page: some tenths of a second.
MAX_LOOKED_AT = 10_000
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


@dataclass(frozen=True, slots=True)
class Page:
    """Documents, and the `start` of the page that follows; None: there is none."""

    documents: list[Held]
    following: str | None


def held_documents(
    index: Index, collection: str, scope: Scope, prefix: str = "", start: str | None = None, limit: int = 100
) -> Page:
    """Up to `limit` documents that the scope sees and whose URI starts with `prefix`: by URI within the page.

    Pages follow the ids of points, as the engine keeps them, so one costs the same wherever it stands. No index tells
    what a URI starts with: a page looks at MAX_LOOKED_AT documents at most and may hold few or none with more to
    follow. One that is being replaced has two heads and may stand on two pages. Raises CollectionNotFound, BadInput for
    a `start` that is none.
    """
    name = index.describe(collection).name
    found: dict[str, Held] = {}
    for looked_at, each in enumerate(index.scroll(name, scope, _FIELDS, HEADS, start)):
        if len(found) >= limit or looked_at >= MAX_LOOKED_AT:
            return Page([found[uri] for uri in sorted(found)], each.id)
        if str(each.payload["doc"]).startswith(prefix):
            found[str(each.payload["doc"])] = _held(each.payload)
    return Page([found[uri] for uri in sorted(found)], None)


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
