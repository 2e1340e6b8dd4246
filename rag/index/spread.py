"""How a Qdrant server keeps a collection, on which nodes and in what memory: decided when the collection is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from qdrant_client import models

from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Spread:
    """Shards of a new collection and nodes that hold each; None: what the server does by itself. `quantized`: dense
    vectors are searched as int8 in memory, a quarter of their size, and the whole ones lie on disk.

    A write is sent to all copies and confirmed by half of them (Qdrant's `write_consistency_factor`), so that writing
    goes on while one node of three is away.
    """

    shards: int | None = None
    copies: int | None = None
    quantized: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(settings.qdrant_shards, settings.qdrant_replication, settings.qdrant_quantization == "int8")

    def options(self) -> dict[str, int]:
        """Keyword arguments of `create_collection`; none of them where nothing is asked for."""
        asked: dict[str, int] = {}
        if self.shards:
            asked["shard_number"] = self.shards
        if self.copies:
            asked["replication_factor"] = self.copies
            asked["write_consistency_factor"] = (self.copies + 1) // 2
        return asked

    def dense(self) -> dict[str, Any]:
        """Keyword arguments of the dense vectors' `VectorParams`; none of them where nothing is asked for."""
        if not self.quantized:
            return {}
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return {"quantization_config": models.ScalarQuantization(scalar=scalar), "on_disk": True}
