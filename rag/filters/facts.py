"""What a payload holds beside the metadata, so that an engine can compare them by size.

Metadata are texts, and no engine puts texts in order. What is written as a number or a date is therefore stored a
second time, as a number: the one kind of value that every engine compares in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.filters.fields import Field
from rag.filters.terms import Range
from rag.filters.values import Bound, milliseconds, number

FACTS = "facts"
_NUMBERS, _DATES = "numbers", "dates"


def range_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Payload fields for the metadata's numbers, and its dates in milliseconds since 1970; none: an empty dict."""
    found: dict[str, dict[str, Any]] = {_NUMBERS: {}, _DATES: {}}
    for key, value in metadata.items():
        texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        for kind, values in ((_NUMBERS, map(number, texts)), (_DATES, map(milliseconds, texts))):
            if known := [each for each in values if each is not None]:
                found[kind][key] = known if isinstance(value, list) else known[0]
    kept = {kind: values for kind, values in found.items() if values}
    return {FACTS: kept} if kept else {}


def comparable(term: Range, field: Field) -> tuple[tuple[str, ...], dict[str, float]]:
    """Where the field's values stand as numbers in a payload, and the term's bounds as such numbers."""
    bounds = {name: _as_number(each) for name, each in term.bounds.items()}
    if field.kind == "number":
        return field.path, bounds
    return (FACTS, _DATES if term.of_dates else _NUMBERS, *field.path[1:]), bounds


def _as_number(bound: Bound) -> float:
    if isinstance(bound, str):
        return float(milliseconds(bound) or 0)  # it was checked when the range was made
    return bound
