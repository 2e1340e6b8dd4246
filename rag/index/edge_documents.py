"""Which points are of which documents, told by their ids alone: what the embedded engine has in place of an index.

An index of the field `doc` holds each point's document in memory, three tenths of all that the engine holds of a point.
The ids of a document's chunks follow each other (see `rag.point_ids`), so a few of them are read from the place where
its first would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import qdrant_edge as edge

from rag.point_ids import document_part, least_id
from rag.schema import Scope

# Of the first page: most documents have fewer chunks, and what follows them is read for nothing.
FIRST_PAGE = 16
LARGEST_PAGE = 1024


def points_of(shard: edge.EdgeShard, uris: Iterable[str], scope: Scope) -> set[edge.PointId]:
    """The ids of all points of the documents of the scope's tenant, of every version of them.

    Those of another document whose hash is the same are among them: who must know looks at the points' `doc`.
    """
    return {identity for uri in uris for identity in _of_one(shard, least_id(uri, scope))}


def _of_one(shard: edge.EdgeShard, least: str) -> Iterator[edge.PointId]:
    wanted, size = document_part(least), FIRST_PAGE
    offset: edge.PointId | None = least
    while offset is not None:
        found, offset = shard.scroll(
            # No filter, not even for the tenant: with one, the engine may gather all of a tenant's points first.
            edge.ScrollRequest(offset=offset, limit=size, with_payload=False, with_vector=False)
        )
        for record in found:
            if document_part(str(record.id)) != wanted:
                return
            yield record.id
        size = min(2 * size, LARGEST_PAGE)
