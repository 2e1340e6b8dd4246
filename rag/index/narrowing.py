"""A `where` as an engine's conditions: told once for every engine, in the few words that each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from rag.filters import And, Equals, Exists, Field, Filter, Or, Range, check_limits, comparable, resolve
from rag.filters import Not as Negated
from rag.index.checks import conditions
from rag.index.interface import Where

Condition = TypeVar("Condition")


class Dialect(Protocol[Condition]):
    """An engine's words. A `path` is in Qdrant's spelling; a missing field makes `has` and `within` false."""

    def every(self, parts: Sequence[Condition]) -> Condition:
        """All of these, of which there is at least one."""
        ...

    def some(self, parts: Sequence[Condition]) -> Condition:
        """One of these or more; there is at least one."""
        ...

    def no(self, part: Condition) -> Condition:
        """Not this."""
        ...

    def has(self, path: str, values: list[str] | list[int]) -> Condition:
        """The field is one of the values, of which there is at least one, or a list that holds one."""
        ...

    def within(self, path: str, bounds: Mapping[str, float]) -> Condition:
        """The field is a number within the bounds (gt, gte, lt, lte), or a list that holds one."""
        ...

    def empty(self, path: str) -> Condition:
        """The field is missing, null or an empty list."""
        ...

    def nothing(self) -> Condition:
        """True of no point."""
        ...


def narrowing(where: Where | None, dialect: Dialect[Condition]) -> list[Condition]:
    """The conditions, all of which must hold. Raises BadInput for a bad path or a filter over its limits."""
    if isinstance(where, Filter):
        return [_condition(check_limits(where), dialect)]
    return [dialect.has(path, values) if values else dialect.nothing() for path, values in conditions(where)]


def _condition(found: Filter, dialect: Dialect[Condition]) -> Condition:
    if isinstance(found, And):
        return dialect.every([_condition(each, dialect) for each in found.parts])
    if isinstance(found, Or):
        return dialect.some([_condition(each, dialect) for each in found.parts])
    if isinstance(found, Negated):
        return dialect.no(_condition(found.part, dialect))
    field = resolve(found.field)
    if isinstance(found, Exists):
        return dialect.no(dialect.empty(_spelled(field.path)))
    if isinstance(found, Range):
        path, bounds = comparable(found, field)
        return dialect.within(_spelled(path), bounds)
    values = (found.value,) if isinstance(found, Equals) else found.values
    if not values:
        return dialect.nothing()
    return dialect.has(_spelled(field.path), _of_one_kind(field, values))


def _of_one_kind(field: Field, values: Sequence[str | int]) -> list[str] | list[int]:
    if field.kind == "number":
        return [each for each in values if isinstance(each, int)]
    return [each for each in values if isinstance(each, str)]


def _spelled(path: Sequence[str]) -> str:
    # Only the last key comes from people; `resolve` lets no quotation mark or backslash through.
    return ".".join((*path[:-1], f'"{path[-1]}"'))
