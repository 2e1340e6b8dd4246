"""An index that answers the same search from memory: most rows of an ablation ask for the same legs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, cast

import numpy as np

from rag.index.interface import AsyncIndex, DenseLeg, Hit, Leg, Where
from rag.schema import Scope


class RememberedLegs:
    """Passes every call on but queries that were asked before. For one scope, and an index that nobody writes to."""

    def __init__(self, index: AsyncIndex, known: dict[Hashable, list[list[Hit]]]) -> None:
        self._index, self._known = index, known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    @property
    def index(self) -> AsyncIndex:
        """This, as what it stands for."""
        return cast(AsyncIndex, self)

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        """The hits of each leg."""
        if where is not None:
            return await self._index.query(name, legs, scope, where, fields)
        key = (name, tuple(fields), *map(_key, legs))
        if key not in self._known:
            self._known[key] = await self._index.query(name, legs, scope, where, fields)
        return self._known[key]


def _key(leg: Leg) -> Hashable:
    if isinstance(leg, DenseLeg):
        return leg.limit, np.asarray(leg.vector).tobytes()
    return leg.limit, leg.vector
