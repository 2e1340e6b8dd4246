"""A Qdrant server's words for what a `where` asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client.http import models


class ServerDialect:
    """As in Dialect."""

    def every(self, parts: Sequence[models.Condition]) -> models.Condition:
        return models.Filter(must=list(parts))

    def some(self, parts: Sequence[models.Condition]) -> models.Condition:
        return models.Filter(should=list(parts))

    def no(self, part: models.Condition) -> models.Condition:
        return models.Filter(must_not=[part])

    def has(self, path: str, values: list[str] | list[int]) -> models.Condition:
        return models.FieldCondition(key=path, match=models.MatchAny(any=values))

    def within(self, path: str, bounds: Mapping[str, float]) -> models.Condition:
        return models.FieldCondition(key=path, range=models.Range(**bounds))

    def empty(self, path: str) -> models.Condition:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=path))

    def nothing(self) -> models.Condition:
        return models.HasIdCondition(has_id=[])
