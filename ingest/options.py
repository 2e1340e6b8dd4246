"""What one ingest is asked to do, beside the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `index` (from 0) of `count`: a document belongs to one by a stable hash of its URI."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Options:
    """`groups` and `metadata` are given to every document; without `prune` nothing is deleted for being gone.

    `max_failures` below 1 is a share of the documents, else a number of them.
    """

    groups: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    prune: bool = True
    shard: Shard = Shard()
    max_failures: float = 0.2
