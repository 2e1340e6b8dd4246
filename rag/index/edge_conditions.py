"""The embedded engine's words for what a `where` asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import qdrant_edge as edge


class EdgeDialect:
    """As in Dialect."""

    def every(self, parts: Sequence[edge.ConditionType]) -> edge.ConditionType:
        return edge.Filter(must=list(parts))

    def some(self, parts: Sequence[edge.ConditionType]) -> edge.ConditionType:
        return edge.Filter(should=list(parts))

    def no(self, part: edge.ConditionType) -> edge.ConditionType:
        return edge.Filter(must_not=[part])

    def has(self, path: str, values: list[str] | list[int]) -> edge.ConditionType:
        return edge.FieldCondition(path, edge.MatchAny(values))

    def within(self, path: str, bounds: Mapping[str, float]) -> edge.ConditionType:
        return edge.FieldCondition(path, range=edge.RangeFloat(**bounds))

    def empty(self, path: str) -> edge.ConditionType:
        return edge.IsEmptyCondition(path)

    def nothing(self) -> edge.ConditionType:
        return edge.HasIdCondition(set())
