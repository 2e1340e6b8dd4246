"""How a chunk is written into a point's payload, and read back as a passage. The names of the fields live here only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.filters import range_facts
from rag.schema import Chunk, Document, Passage

# The field that names a point's document.
DOCUMENT = "doc"

# What a reconciliation must know of every point, and of the first one of each document.
LEDGER_FIELDS = ("doc", "doc_hash", "chunks", "ordinal")
HEAD_FIELDS = ("doc", "doc_hash", "chunks", "stamp", "state")
HEADS = {"part": ["head"]}

# A head's state. It is WRITING before any other chunk of its document is written or deleted and WHOLE after the last,
# so whatever moment a job is killed at, the documents it was at work on can be told.
WRITING = "writing"
WHOLE = "whole"


def to_payload(document: Document, chunk: Chunk, chunks: int, stamp: str = "") -> dict[str, Any]:
    """The payload of one of a document's `chunks` chunks. The index adds the tenant.

    The first chunk is the document's head: written first, deleted last. `stamp` on it tells what its source looked
    like when it was read. Only a head has a `part`, since the embedded engine's index of it holds each point that has
    one in memory; other chunks of earlier versions have "tail".
    """
    place = {} if chunk.ordinal else {"part": "head", "stamp": stamp, "state": WRITING}
    return {
        **place,
        "doc": document.uri,
        "doc_hash": document.content_hash,
        "path": document.path,
        "title": document.title,
        "format": document.format,
        "page": chunk.page,
        "headings": list(chunk.heading_path),
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "ordinal": chunk.ordinal,
        "chunks": chunks,
        "groups": list(document.groups),
        "metadata": dict(document.metadata),
        **range_facts(document.metadata),
    }


def to_passage(
    identifier: str, payload: Mapping[str, Any], score: float, dense: float | None, sparse: float | None
) -> Passage:
    """The passage that a payload holds, with its scores."""
    return Passage(
        id=identifier,
        text=payload["text"],
        score=score,
        uri=payload["doc"],
        path=payload["path"],
        title=payload["title"],
        heading_path=tuple(payload["headings"]),
        ordinal=payload["ordinal"],
        start=payload["start"],
        end=payload["end"],
        dense_score=dense,
        sparse_score=sparse,
        metadata=dict(payload["metadata"]),
        page=payload.get("page"),
    )
