"""Prepared documents into the index, so that at every moment each document is there in its old form, its new, or both.

The order of writes is what makes a killed job repairable, see `rag.payload`: a document's head says "writing" before
anything else of it changes, and "whole" after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.chunking import Prepared
from rag.encoders import Fields, SparseEncoder, Vectors
from rag.index.interface import Index, Record
from rag.payload import WHOLE, WRITING, to_payload
from rag.point_ids import point_id
from rag.schema import Document, Scope

# Documents whose points are looked up in one call.
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a document's chunks, in order, with their vectors of shape (len(chunks), dimension).

    A document is one part or several, written one after the other: `first` and `last` say which. `total` counts the
    chunks of all parts. `replaces`: the index may hold another version, which goes once the last part is written.
    """

    document: Document
    chunks: Sequence[Prepared]
    total: int
    stamp: str
    replaces: bool
    last: bool
    vectors: Vectors | None = None


class Writer:
    """Writes to and deletes from one collection, for one tenant."""

    def __init__(self, index: Index, collection: str, scope: Scope, sparse: SparseEncoder, chunker: str) -> None:
        self._index = index
        self._collection = collection
        self._scope = scope
        self._sparse = sparse
        self._chunker = chunker

    def write(self, parts: Sequence[Part]) -> None:
        """Write the parts, encoded. What was written of a document before stays until its last part is in."""
        records = [record for part in parts for record in self._records(part)]
        records.sort(key=lambda each: each.payload["ordinal"] != 0)  # heads first; otherwise in order
        self._index.upsert(self._collection, records, self._scope)
        ended = [each for each in parts if each.last]
        self._delete_others([each for each in ended if each.replaces])
        heads = [point_id(each.document, 0, self._chunker, self._scope) for each in ended]
        if heads:
            self._index.set_payload(self._collection, heads, {"state": WHOLE}, self._scope)

    def delete(self, uris: Sequence[str]) -> None:
        """Delete documents with all that is there of them: the head last."""
        for start in range(0, len(uris), _TOGETHER):
            found = self._points(uris[start : start + _TOGETHER])
            heads = [identity for identity, _, head in found if head]
            tails = [identity for identity, _, head in found if not head]
            if tails and heads:
                self._index.set_payload(self._collection, heads, {"state": WRITING}, self._scope)
            self._index.delete(self._collection, tails, self._scope)
            self._index.delete(self._collection, heads, self._scope)

    def restamp(self, uri: str, content_hash: str, stamp: str) -> None:
        """Note that a document's source looks different and has the same content."""
        head = point_id(Document(uri, "", "", "", content_hash), 0, self._chunker, self._scope)
        self._index.set_payload(self._collection, [head], {"stamp": stamp}, self._scope)

    def _delete_others(self, parts: Sequence[Part]) -> None:
        """Delete every point of these documents that is not one of the version just written."""
        for start in range(0, len(parts), _TOGETHER):
            versions = {each.document.uri: each for each in parts[start : start + _TOGETHER]}
            kept = {
                point_id(each.document, ordinal, self._chunker, self._scope)
                for each in versions.values()
                for ordinal in range(each.total)
            }
            others = [identity for identity, _, _ in self._points(list(versions)) if identity not in kept]
            self._index.delete(self._collection, others, self._scope)

    def _points(self, uris: Sequence[str]) -> list[tuple[str, str, bool]]:
        """(id, uri, whether it is the head) of every point of the documents."""
        found = self._index.scroll(self._collection, self._scope, ("doc", "part"), {"doc": uris})
        return [(each.id, str(each.payload["doc"]), each.payload.get("part") == "head") for each in found]

    def _records(self, part: Part) -> list[Record]:
        if part.vectors is None or len(part.vectors) != len(part.chunks):
            raise ValueError("a part must be encoded before it is written")
        title = part.document.title
        sparse = self._sparse.encode_passages(
            [Fields(title, each.chunk.heading_path, each.embedded) for each in part.chunks]
        )
        return [
            Record(
                id=point_id(part.document, prepared.chunk.ordinal, self._chunker, self._scope),
                dense=vector.tolist(),
                sparse=terms,
                payload=to_payload(part.document, prepared.chunk, part.total, part.stamp),
            )
            for prepared, vector, terms in zip(part.chunks, part.vectors, sparse, strict=True)
        ]
