"""One collection, one encoder: how a collection remembers what it was built with, and who may use it.

People name an alias ("documents"); the alias names a collection made for one fingerprint ("documents-1a2b3c4d"), so a
re-index can build another beside it and swap the alias at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rag.encoders import Bm25Encoder, DenseEncoder
from rag.errors import CollectionExists, CollectionNotFound, FingerprintMismatch
from rag.index.interface import CollectionInfo, CollectionSpec, Index

FORMAT = 1

Fingerprint = Mapping[str, Any]


def fingerprint(dense: DenseEncoder, sparse: Bm25Encoder) -> dict[str, Any]:
    """What a reader's encoders must share with the collection's."""
    return {"format": FORMAT, "dense": dict(dense.fingerprint), "sparse": dict(sparse.fingerprint)}


def check_readable(info: CollectionInfo, expected: Fingerprint) -> None:
    """Raise FingerprintMismatch unless the collection was built with these encoders.

    A writer adds its chunker to what it expects; a reader does not chunk and leaves it out.
    """
    stored = info.spec.metadata
    for part, wanted in expected.items():
        found = stored.get(part)
        if not _same(part, found, wanted):
            raise FingerprintMismatch(
                f"collection '{info.name}' was built with {_describe(part, found)}, but {_describe(part, wanted)} is "
                "configured: scores would mean nothing. Set the former again, or ingest into another collection "
                "(--collection NAME)."
            )


def _same(part: str, found: Any, wanted: Any) -> bool:
    if part == "dense" and isinstance(found, dict):  # a moved folder is the same encoder: the hash decides
        return bool(found.get("sha256") == wanted.get("sha256"))
    return bool(found == wanted)


def find_for_writing(index: Index, alias: str, expected: Fingerprint) -> str | None:
    """The own name of the collection behind `alias`; None where there is none yet.

    Raises FingerprintMismatch where it was built with something else.
    """
    try:
        info = index.describe(alias)
    except CollectionNotFound:
        return None
    check_readable(info, expected)
    return info.name


def make(index: Index, alias: str, expected: Fingerprint, dense_size: int) -> str:
    """Make the collection for this fingerprint and point `alias` to it. Returns the collection's own name."""
    name = f"{alias}-{_short(expected)}"
    with suppress(CollectionExists):  # a killed job made it and did not name it, or another makes it now
        index.create(name, CollectionSpec(dense_size, dict(expected)))
    index.set_alias(alias, name)
    return name


def _short(expected: Fingerprint) -> str:
    return hashlib.sha256(json.dumps(expected, sort_keys=True).encode()).hexdigest()[:8]


def _describe(part: str, value: Any) -> str:
    if value is None:
        return f"no {part} on record"
    if part == "dense":
        return f"encoder '{value.get('name')}' ({str(value.get('sha256'))[:8]})"
    if part == "sparse":
        return f"keywords by {value.get('name')} ({value.get('language')})"
    return f"{part} {value}"
