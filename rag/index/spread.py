"""How a Qdrant cluster spreads a collection over its nodes: decided when the collection is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Spread:
    """Shards of a new collection and nodes that hold each; None: what the server does by itself.

    A write is sent to all copies and confirmed by half of them (Qdrant's `write_consistency_factor`), so that writing
    goes on while one node of three is away.
    """

    shards: int | None = None
    copies: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(settings.qdrant_shards, settings.qdrant_replication)

    def options(self) -> dict[str, int]:
        """Keyword arguments of `create_collection`; none of them where nothing is asked for."""
        asked: dict[str, int] = {}
        if self.shards:
            asked["shard_number"] = self.shards
        if self.copies:
            asked["replication_factor"] = self.copies
            asked["write_consistency_factor"] = (self.copies + 1) // 2
        return asked
