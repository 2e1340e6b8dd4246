"""What a filter means, in Python: the measure that every driver of the index is held to."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from rag.filters.fields import resolve
from rag.filters.terms import And, Equals, Exists, Filter, Not, Or, Range
from rag.filters.values import milliseconds, number

_HOLDS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def matches(found: Filter, payload: Mapping[str, Any]) -> bool:
    """Whether a point with this payload passes the filter."""
    if isinstance(found, And):
        return all(matches(each, payload) for each in found.parts)
    if isinstance(found, Or):
        return any(matches(each, payload) for each in found.parts)
    if isinstance(found, Not):
        return not matches(found.part, payload)
    values = _values(payload, resolve(found.field).path)
    if isinstance(found, Exists):
        return bool(values)
    if isinstance(found, Range):
        return any(_within(found, each) for each in values)
    wanted = (found.value,) if isinstance(found, Equals) else found.values
    return any(type(each) is type(one) and each == one for each in values for one in wanted)


def _values(payload: Mapping[str, Any], path: Sequence[str]) -> list[Any]:
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _within(term: Range, value: object) -> bool:
    kind = milliseconds if term.of_dates else number
    size = kind(value) if isinstance(value, str) else value if term.field == "page" else None
    if not isinstance(size, (int, float)) or isinstance(size, bool):
        return False
    limits = {name: kind(each) if isinstance(each, str) else each for name, each in term.bounds.items()}
    return all(_HOLDS[name](size, limit) for name, limit in limits.items() if limit is not None)
