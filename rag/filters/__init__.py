"""Metadata filters: which passages a question may be answered from, beyond what its reader may see.

What a filter means, in words. This is the one place that says it; `matches` is the same in Python, and every driver of
the index is tested against that.

- A filter only ever narrows. It is joined to the reader's `Scope` by AND, whatever it says.
- A field is `metadata.KEY` (or KEY alone), which is what a document's metadata says under that key, or one of the
  document's own facts: `path`, `title`, `uri`, `format`, `page`. All that the index keeps for itself (tenant, groups,
  part, state, …) is refused by name; `metadata.tenant` is metadata like any other.
- `equals` and `in` compare texts letter by letter, `page` as a whole number. Metadata are texts: 2024 is "2024" there,
  true is "true", and 1.10 is not 1.1. A list has a value if any of its elements has. `in` nothing is never true.
- `range` (gt, gte, lt, lte, all of which must hold) compares numbers with numbers and dates with dates. A text is a
  number if it is written as one (`-12`, `3.5`, `1e6`), a date if it is `2026-01-31` or `2026-01-31T09:30`, with
  seconds, fractions, and `Z` or an offset where it has them; without one it is UTC. A date without a time is its first
  moment. Instants are told apart to the millisecond. A value of the other kind, or of neither, is outside every range.
  A list is inside if one of its elements is. Of the facts only `page` has ranges.
- `exists`: the field has a value. An empty list is none; an empty text is one.
- A missing field makes `equals`, `in`, `range` and `exists` false, and so their `not` true. `not` is true exactly
  where what it negates is false. `and` and `or` have at least one part.

Limits: MAX_DEPTH levels, MAX_TERMS comparisons, MAX_VALUES values, MAX_VALUE characters of one value, MAX_NAME of a
field's name, MAX_TEXT of the text form. What passes one is refused, never cut.

Two ways to write one: JSON (`from_json`), as the API and LangChain take it, and a text (`from_text`) for the terminal.
"""

from __future__ import annotations

from rag.filters.facts import FACTS, comparable, range_facts
from rag.filters.fields import Field, resolve
from rag.filters.matching import matches
from rag.filters.reading import from_json, to_json
from rag.filters.terms import (
    MAX_DEPTH,
    MAX_TERMS,
    MAX_VALUES,
    And,
    Equals,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    check_limits,
)
from rag.filters.text import MAX_TEXT, from_text
from rag.filters.values import MAX_VALUE

__all__ = [
    "FACTS",
    "MAX_DEPTH",
    "MAX_TERMS",
    "MAX_TEXT",
    "MAX_VALUE",
    "MAX_VALUES",
    "And",
    "Equals",
    "Exists",
    "Field",
    "Filter",
    "In",
    "Not",
    "Or",
    "Range",
    "check_limits",
    "comparable",
    "from_json",
    "from_text",
    "matches",
    "range_facts",
    "resolve",
    "to_json",
]
