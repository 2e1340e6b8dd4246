"""Desired documents minus actual ones: what to do with each, decided as the source is walked.

A document whose size and time are those on record is kept unread. Any other is read, and its content decides.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ingest.ledger import Held, Ledger
from ingest.loading import LOADER_VERSION
from ingest.options import Options
from ingest.preparing import content_hash
from ingest.report import Failure
from ingest.selection import Selection, in_shard
from ingest.sources.interface import Found, Item, Skipped, Source, Unreadable
from rag.errors import SourceError

_TOGETHER = 400  # items looked up in the ledger at once


@dataclass(frozen=True, slots=True)
class Write:
    """A document to add, or to write over what is `held` of it."""

    item: Item
    data: bytes
    hash: str
    stamp: str
    held: Held | None


class Keep(NamedTuple):
    """A document that the index holds as it is; with a new `stamp` where its source only looks different."""

    held: Held
    size: int
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """A document that cannot be read: what the index holds of it stays."""

    failure: Failure


Step = Write | Keep | Fail


class Planner:
    """Walks a source beside the ledger. `skipped` counts the files that are not read, by kind."""

    def __init__(self, source: Source, ledger: Ledger, options: Options, limit: int, verify: bool = False) -> None:
        """`limit`: bytes of a document at most. `verify`: read everything, whatever its size and time say."""
        self._source = source
        self._ledger = ledger
        self._options = options
        self._limit = limit
        self._verify = verify
        self._terms = terms(options.groups, options.metadata)
        self._unreadable: list[str] = []
        self.skipped: Counter[str] = Counter()

    def steps(self, only: frozenset[str] | None = None) -> Iterator[Step]:
        """What to do with each document of the source, in its order; with `only`, of what these URIs stand for.

        Raises SourceError where the source cannot be listed (to its end).
        """
        batch: list[Item] = []
        selection = Selection(self._options.shard, only)
        for found in self._source.items():
            if isinstance(found, Item):
                if selection.has(found.uri):
                    batch.append(found)
            elif isinstance(found, Skipped):
                self.skipped[found.kind] += 1
            else:
                step = self._unreadable_step(found)
                if step is not None:
                    yield step
            if len(batch) >= _TOGETHER:
                yield from self._decide(batch)
                batch = []
        yield from self._decide(batch)

    def gone(self) -> Iterator[Held]:
        """Documents of this source and shard that the index holds and the source has no more. Ask after `steps`."""
        for held in self._ledger.unseen():
            if self._source.owns(held.uri) and in_shard(held.uri, self._options.shard) and not self._hidden(held.uri):
                yield held

    def _decide(self, items: list[Item]) -> Iterator[Step]:
        held = self._ledger.look_up([each.uri for each in items])
        for item in items:
            yield self._step(item, held.get(item.uri))

    def _step(self, item: Item, held: Held | None) -> Step:
        stamp = f"{item.stamp}|{self._terms}" if item.stamp else ""
        if held and held.sound and stamp and stamp == held.stamp and not self._verify:
            return Keep(held, item.size or 0)
        try:
            data = self._source.read(item, self._limit)
        except SourceError as error:
            return Fail(Failure(item.uri, item.path, error.code, str(error)))
        found = content_hash(data, item, self._options.groups, self._options.metadata)
        if held and held.sound and held.hash == found:
            return Keep(held, len(data), stamp if stamp != held.stamp else None)
        return Write(item, data, found, stamp, held)

    def _unreadable_step(self, found: Found) -> Fail | None:
        assert isinstance(found, Unreadable)  # noqa: S101 — told apart by the caller
        self._unreadable.append(found.uri)
        shard = self._options.shard
        if shard.count > 1 and not in_shard(found.uri, shard):
            return None  # the shard that it belongs to tells of it
        return Fail(Failure(found.uri, found.path, found.code, found.reason))

    def _hidden(self, uri: str) -> bool:
        return any(_stands_for(each, uri) for each in self._unreadable)


def _stands_for(found: str, uri: str) -> bool:
    """Whether a document is, or would be in, what a URI of something found stands for: a file, a folder, an archive."""
    return uri == found or uri.startswith(f"{found}#") or (found.endswith(("/", "#")) and uri.startswith(found))


def terms(groups: tuple[str, ...], metadata: Mapping[str, str]) -> str:
    """A short hash of all that a stamp must remember beside the file: loaders' version, groups, metadata."""
    facts = repr((LOADER_VERSION, sorted(groups), sorted(metadata.items())))
    return hashlib.blake2b(facts.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
