"""The parts of a filter. Immutable, and valid once made: a term that means nothing cannot be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rag.errors import BadInput
from rag.filters.fields import resolve
from rag.filters.values import Bound, Value, bound, value

MAX_DEPTH = 8  # levels: a comparison alone is one
MAX_TERMS = 100  # comparisons
MAX_VALUES = 1000  # values in all of the comparisons


@dataclass(frozen=True, slots=True)
class Equals:
    """The field has this value, or is a list that holds it."""

    field: str
    value: Value

    def __post_init__(self) -> None:
        field = resolve(self.field)
        object.__setattr__(self, "field", field.name)
        object.__setattr__(self, "value", value(self.value, field))


@dataclass(frozen=True, slots=True)
class In:
    """The field has one of these values; none of them: never true."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        field = resolve(self.field)
        if isinstance(self.values, str) or not isinstance(self.values, (tuple, list)):
            raise BadInput(f"the filter's 'in' of '{field.name}' needs a list of values.")
        _count("values", len(self.values), MAX_VALUES)
        object.__setattr__(self, "field", field.name)
        object.__setattr__(self, "values", tuple(value(each, field) for each in self.values))


@dataclass(frozen=True, slots=True)
class Range:
    """The field lies within all of the bounds that are given: numbers, or texts that are ISO dates; not both."""

    field: str
    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    def __post_init__(self) -> None:
        field = resolve(self.field)
        object.__setattr__(self, "field", field.name)
        for name, given in self.bounds.items():
            object.__setattr__(self, name, bound(given, field))
        kinds = {isinstance(each, str) for each in self.bounds.values()}
        if not kinds:
            raise BadInput(f"the filter's range of '{field.name}' needs gt, gte, lt or lte.")
        if len(kinds) > 1:
            raise BadInput(f"the filter's range of '{field.name}' mixes numbers and dates: bound it by one kind.")

    @property
    def bounds(self) -> Mapping[str, Bound]:
        """The bounds that are given, by their names."""
        known = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: each for name, each in known.items() if each is not None}

    @property
    def of_dates(self) -> bool:
        """Whether it compares dates, not numbers."""
        return any(isinstance(each, str) for each in self.bounds.values())


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", resolve(self.field).name)


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts hold."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _parts(self.parts, "and"))


@dataclass(frozen=True, slots=True)
class Or:
    """One of the parts holds, or more."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _parts(self.parts, "or"))


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter

    def __post_init__(self) -> None:
        _parts((self.part,), "not")


Filter = Equals | In | Range | Exists | And | Or | Not


def check_limits(whole: Filter) -> Filter:
    """The filter, unchanged. Raises BadInput where it is deeper than MAX_DEPTH or larger than the other limits."""
    terms = values = 0
    waiting: list[tuple[Filter, int]] = [(whole, 1)]
    while waiting:
        found, depth = waiting.pop()
        _count("levels", depth, MAX_DEPTH)
        if isinstance(found, And | Or):
            waiting.extend((part, depth + 1) for part in found.parts)
            _count("comparisons", terms + len(waiting), MAX_TERMS)
        elif isinstance(found, Not):
            waiting.append((found.part, depth + 1))
        else:
            terms += 1
            values += len(found.values) if isinstance(found, In) else 1
            _count("values", values, MAX_VALUES)
    return whole


def _parts(parts: object, name: str) -> tuple[Filter, ...]:
    if not isinstance(parts, (tuple, list)) or not parts or not all(isinstance(each, Filter) for each in parts):
        raise BadInput(f"the filter's '{name}' needs at least one filter, and only filters.")
    return tuple(parts)


def _count(what: str, found: int, most: int) -> None:
    if found > most:
        raise BadInput(f"the filter has more than {most} {what}: make it smaller.")
