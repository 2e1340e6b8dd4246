"""The ids of chunks: each tells its document and its place in it, so that neither need be looked up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rag.schema import Document, Scope

_DOCUMENT_BITS, _VERSION_BITS, _ORDINAL_BITS = 60, 38, 24
# In the canonical spelling of a UUID.
_LENGTH, _UUID_VERSION = 36, "8"
_DOCUMENT_CHARACTERS = 18
_ORDINAL_CHARACTERS = _ORDINAL_BITS // 4
_SINCE_FORMAT = 4


def point_id(document: Document, ordinal: int, chunker: str, scope: Scope) -> str:
    """A chunk's id: the same for the same content, so that every write can be repeated.

    A UUIDv8 (RFC 9562): 60 bits of a hash of tenant and document, 38 of a hash of these with the content hash and the
    chunker's version, 24 bits of ordinal. With the tenant in it two tenants may hold the same document. Raises
    ValueError for an ordinal that is not in [0, 2^24).
    """
    if not 0 <= ordinal < 1 << _ORDINAL_BITS:
        raise ValueError(f"a document has at most {1 << _ORDINAL_BITS:,} chunks; {ordinal} cannot be the place of one")
    version = _hash(_VERSION_BITS, scope.tenant, document.uri, document.content_hash, chunker)
    low = f"{0b10 << 62 | version << _ORDINAL_BITS | ordinal:016x}"
    return f"{part_of(document.uri, scope)}-{low[:4]}-{low[4:]}"


def part_of(uri: str, scope: Scope) -> str:
    """What the ids of the chunks of the scope's document of this URI begin with: their `document_part`."""
    high = f"{_hash(_DOCUMENT_BITS, scope.tenant, uri):015x}"
    return f"{high[:8]}-{high[8:12]}-{_UUID_VERSION}{high[12:]}"


def least_id(uri: str, scope: Scope) -> str:
    """An id that none of a document's chunks is below: they follow each other from here on, all versions of them."""
    return f"{part_of(uri, scope)}-0000-000000000000"


def ids_tell_documents(metadata: Mapping[str, Any]) -> bool:
    """Whether the ids of a collection's points, by what its metadata says, are those of `point_id`."""
    known = metadata.get("format")
    return isinstance(known, int) and known >= _SINCE_FORMAT


def document_part(identity: str) -> str:
    """What the ids of a document's chunks, of all its versions, begin with, and no other document's."""
    return identity[:_DOCUMENT_CHARACTERS]


def beside(identity: str, step: int) -> str | None:
    """The id of the chunk so many steps behind this one (negative: before it), whether or not there is such a chunk.

    None where there can be none: before a document's first chunk, or beside a point that is no chunk.
    """
    if len(identity) != _LENGTH or identity[14] != _UUID_VERSION:
        return None
    ordinal = int(identity[-_ORDINAL_CHARACTERS:], 16) + step
    if not 0 <= ordinal < 1 << _ORDINAL_BITS:
        return None
    return f"{identity[:-_ORDINAL_CHARACTERS]}{ordinal:0{_ORDINAL_CHARACTERS}x}"


def _hash(bits: int, *parts: str) -> int:
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - bits)
