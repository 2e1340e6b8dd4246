"""The embedded engine's words for what a `where` asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import qdrant_edge as edge

from rag.index.checks import DOCUMENT

# The ids of at least all points of the documents with these URIs.
PointsOf: TypeAlias = "Callable[[Sequence[str]], set[edge.PointId]]"


class EdgeDialect:
    """As in Dialect. `points_of` finds documents' points where no index of `doc` does: without one, all are read."""

    def __init__(self, points_of: PointsOf | None = None) -> None:
        self._points_of = points_of

    def every(self, parts: Sequence[edge.ConditionType]) -> edge.ConditionType:
        return edge.Filter(must=list(parts))

    def some(self, parts: Sequence[edge.ConditionType]) -> edge.ConditionType:
        return edge.Filter(should=list(parts))

    def no(self, part: edge.ConditionType) -> edge.ConditionType:
        return edge.Filter(must_not=[part])

    def has(self, path: str, values: list[str] | list[int]) -> edge.ConditionType:
        held = edge.FieldCondition(path, edge.MatchAny(values))
        if self._points_of is None or path.strip('"') != DOCUMENT:
            return held
        points = self._points_of([str(each) for each in values])
        return edge.Filter(must=[edge.HasIdCondition(points), held])  # two documents may share a range of ids

    def within(self, path: str, bounds: Mapping[str, float]) -> edge.ConditionType:
        return edge.FieldCondition(path, range=edge.RangeFloat(**bounds))

    def empty(self, path: str) -> edge.ConditionType:
        return edge.IsEmptyCondition(path)

    def nothing(self) -> edge.ConditionType:
        return edge.HasIdCondition(set())
