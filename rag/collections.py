"""One collection, one encoder: how a collection remembers what it was built with, and who may use it.

People name an alias ("documents"); the alias names a collection made for one fingerprint ("documents-1a2b3c4d"), so a
re-index can build another beside it and swap the alias at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from rag.encoders import DenseEncoder, SparseEncoder, describe, identity, same_encoder
from rag.errors import CollectionExists, CollectionNotFound, FingerprintMismatch
from rag.index.interface import Collection, CollectionInfo, CollectionSpec, Index

FORMAT = 4
CREATED = "created"
_PARTS = ("dense", "sparse", "chunker", "format")
_WEIGHTS = ("title_weight", "heading_weight")

Fingerprint = Mapping[str, Any]


def fingerprint(dense: DenseEncoder, sparse: SparseEncoder) -> dict[str, Any]:
    """What a reader's encoders must share with the collection's."""
    return {"format": FORMAT, "dense": dict(dense.fingerprint), "sparse": dict(sparse.fingerprint)}


def check_readable(info: Collection, expected: Fingerprint) -> None:
    """Raise FingerprintMismatch unless the collection was built with these encoders.

    A writer adds its chunker to what it expects; a reader does not chunk and leaves it out.
    """
    for part, wanted in expected.items():
        found = info.spec.metadata.get(part)
        if not _same(part, found, wanted):
            raise FingerprintMismatch(
                f"collection '{info.name}' was built with {_describe(part, found)}, but {_describe(part, wanted)} is "
                "configured: scores would mean nothing. Build it anew with that (`librarian reindex`), set the former "
                "again, or use another collection (--collection NAME)."
            )


def differences(info: CollectionInfo, expected: Fingerprint) -> list[str]:
    """In words, each part of what the collection was built with that is not as expected; none: nothing differs."""
    stored = info.spec.metadata
    return [
        f"{_describe(part, stored.get(part))} → {_describe(part, wanted)}"
        for part, wanted in expected.items()
        if not _same(part, stored.get(part), wanted)
    ]


def built_with(info: CollectionInfo) -> list[str]:
    """In words, what the collection was built with; none: it is not one of documents."""
    return [_describe(part, info.spec.metadata[part]) for part in _PARTS if part in info.spec.metadata]


def _same(part: str, found: Any, wanted: Any) -> bool:
    # A moved folder or a restarted server is the same encoder.
    if isinstance(found, dict) and (part == "dense" or "sha256" in wanted):
        return same_encoder(found, wanted)
    return bool(found == wanted)


def find_for_writing(index: Index, alias: str, expected: Fingerprint) -> str | None:
    """The own name of the collection behind `alias`; None where there is none yet.

    Raises FingerprintMismatch where it was built with something else.
    """
    for name in (alias, own_name(alias, expected)):  # the second: restored, or of a killed job, and not named yet
        try:
            info = index.describe(name)
        except CollectionNotFound:
            continue
        break
    else:
        return None
    check_readable(info, expected)
    return info.name


def make(index: Index, alias: str, expected: Fingerprint, dense_size: int) -> str:
    """Make the collection for this fingerprint and point `alias` to it. Returns the collection's own name."""
    name = make_unnamed(index, alias, expected, dense_size)
    index.set_alias(alias, name)
    return name


def make_unnamed(index: Index, alias: str, expected: Fingerprint, dense_size: int) -> str:
    """The same without the alias: what a re-index fills before readers see it. One that is there is taken over."""
    name = own_name(alias, expected)
    try:
        index.create(name, CollectionSpec(dense_size, dict(expected)))
    except CollectionExists:  # a killed job made it and did not name it, or another makes it now
        check_readable(index.describe(name), expected)
    else:  # afterwards: two that make it at once make the same
        index.set_metadata(name, {CREATED: int(time.time())})
    return name


def created(info: CollectionInfo) -> int | None:
    """When the collection was made, in Unix seconds; None where an earlier version made it."""
    found = info.spec.metadata.get(CREATED)
    return int(found) if isinstance(found, int | float) else None


def own_name(alias: str, expected: Fingerprint) -> str:
    """The own name of the collection that `alias` names once it is built with this."""
    stable = {part: identity(value) if part == "dense" else value for part, value in expected.items()}
    short = hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:8]
    return f"{alias}-{short}"


def _describe(part: str, value: Any) -> str:
    if isinstance(value, dict) and part == "dense":
        return f"encoder {describe(value)}"
    if isinstance(value, dict) and part == "sparse" and "sha256" in value:
        return f"sparse encoder {describe(value)}"
    if isinstance(value, dict) and part == "sparse":
        weights = [f", {name.replace('_', ' ')} {value[name]}" for name in _WEIGHTS if name in value]
        return f"keywords by {value.get('name')} ({value.get('language')}{''.join(weights)})"
    return f"no {part} on record" if value is None else f"{part} {value}"
