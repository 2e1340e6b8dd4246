"""A filter as JSON, as the API takes it, and back.

{"and": [F, …]}, {"or": [F, …]}, {"not": F}, or a comparison: {"field": NAME, "eq": V}, {"field": NAME, "in": [V, …]},
{"field": NAME, "gte": B, "lt": B} (any of gt, gte, lt, lte), {"field": NAME, "exists": true or false}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.errors import BadInput
from rag.filters.terms import MAX_DEPTH, MAX_TERMS, And, Equals, Exists, Filter, In, Not, Or, Range, check_limits
from rag.filters.values import shown

_BOUNDS = ("gt", "gte", "lt", "lte")
_COMPARISONS = ("eq", "in", "exists", *_BOUNDS)
_JOINS: dict[str, type[And] | type[Or]] = {"and": And, "or": Or}


def from_json(value: object) -> Filter:
    """The filter that a decoded JSON value describes. Raises BadInput, naming the place, for one that is none."""
    return check_limits(_read(value, "filter", 1))


def to_json(found: Filter) -> dict[str, Any]:
    """The same as JSON: `from_json(to_json(f)) == f`."""
    if isinstance(found, And | Or):
        return {"and" if isinstance(found, And) else "or": [to_json(each) for each in found.parts]}
    if isinstance(found, Not):
        return {"not": to_json(found.part)}
    if isinstance(found, Equals):
        return {"field": found.field, "eq": found.value}
    if isinstance(found, In):
        return {"field": found.field, "in": list(found.values)}
    if isinstance(found, Exists):
        return {"field": found.field, "exists": True}
    return {"field": found.field, **found.bounds}


def _read(value: object, place: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise BadInput(f"the filter has more than {MAX_DEPTH} levels: make it smaller.")
    if not isinstance(value, Mapping):
        raise BadInput(f"{place} must be an object such as {{'field': 'team', 'eq': 'infra'}}, not {shown(value)}.")
    if "field" in value:
        return _comparison(value, place)
    name = next(iter(value), None)
    if len(value) != 1 or not isinstance(name, str) or name not in (*_JOINS, "not"):
        raise BadInput(f"{place} must have 'field' and a comparison, or one of and, or, not; it has {_keys(value)}.")
    given = value[name]
    if name == "not":
        return Not(_read(given, f"{place}.not", depth + 1))
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_TERMS:
        raise BadInput(f"{place}.{name} must be a list of 1 to {MAX_TERMS} filters.")
    return _JOINS[name](tuple(_read(each, f"{place}.{name}[{n}]", depth + 1) for n, each in enumerate(given)))


def _comparison(value: Mapping[Any, Any], place: str) -> Filter:
    field = value["field"]
    used = [str(name)[:40] for name in value if name != "field"]
    unknown = [name for name in used if name not in _COMPARISONS]
    if unknown:
        raise BadInput(f"{place} has an unknown comparison {shown(unknown[0])}; there are {', '.join(_COMPARISONS)}.")
    if not used or (len(used) > 1 and not set(used) <= set(_BOUNDS)):
        raise BadInput(f"{place} must have eq, in, exists, or some of gt, gte, lt, lte; it has {_keys(value)}.")
    given = value[used[0]]
    try:
        if used == ["eq"]:
            return Equals(field, given)
        if used == ["in"]:
            return In(field, given)
        if used == ["exists"]:
            if not isinstance(given, bool):
                raise BadInput("exists must be true or false.")
            return Exists(field) if given else Not(Exists(field))
        missing = [name for name in used if value[name] is None]
        if missing:
            raise BadInput(f"{missing[0]} must be a number or a date, not null.")
        return Range(field, **{name: value[name] for name in used})
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from None


def _keys(value: Mapping[Any, Any]) -> str:
    return ", ".join(shown(each) for each in list(value)[:5]) or "nothing"
