"""Which documents of a source a job is about: those of its shard and, where it tries again, those that failed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ingest.options import Shard
from ingest.sources.interface import Found, Item, Skipped


class Selection:
    """The documents of a shard; with `only`, what these URIs stand for: documents, files, folders, archives."""

    def __init__(self, shard: Shard, only: frozenset[str] | None = None) -> None:
        self._shard = shard
        self._only = only
        self._folders = tuple(each for each in only or () if each.endswith(("/", "#")))

    def has(self, uri: str) -> bool:
        """Whether a document is one of them."""
        only = self._only
        if only is not None and not (uri in only or uri.partition("#")[0] in only or uri.startswith(self._folders)):
            return False
        return in_shard(uri, self._shard)

    def count(self, found: Iterable[Found]) -> int:
        """How many of what a source lists a job settles: documents, and what cannot be listed."""
        return sum(
            self.has(each.uri) if isinstance(each, Item) else in_shard(each.uri, self._shard)
            for each in found
            if not isinstance(each, Skipped)
        )


def in_shard(uri: str, shard: Shard) -> bool:
    """Whether a document belongs to a shard: by its URI alone, so the same in every run and on every machine."""
    if shard.count == 1:
        return True
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shard.count == shard.index
