"""Filters, scopes and payloads made by hypothesis, for tests that hold drivers to what a filter means."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rag.filters import And, Equals, Exists, Filter, In, Not, Or, Range, range_facts

KEYS = ["team", "year", "a.b", "my key", "k[0]", "tenant"]
TEXTS = ["infra", "Infra", "", " ", "2024", "2024.0", "-3", "1e3", "2024-01-31", "2024-01-31T09:30Z", "true", "ü", "*"]
DATES = ["2023-12-31", "2024-01-31", "2024-01-31T09:30Z", "2024-01-31T09:30+02:00", "2024-02-30", "9999-12-31"]
FACTS = {"path": ["a.md", "b.md"], "title": ["A", ""], "uri": ["u:1"], "format": ["markdown", "code"]}

values = st.one_of(st.sampled_from(TEXTS + DATES), st.text(max_size=4))
metadata = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(values, st.lists(values, max_size=3), st.none()), max_size=4
)


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    """A point's payload as ingestion writes it; some fields missing, as in what was written before they were."""
    about = draw(metadata)
    facts = {"doc" if key == "uri" else key: draw(st.sampled_from(known)) for key, known in FACTS.items()}
    page = draw(st.sampled_from([None, 1, 2, 30]))
    kept = draw(st.sets(st.sampled_from(sorted(facts))))
    return {**{key: facts[key] for key in kept}, "page": page, "metadata": about, **range_facts(about)}


_keys = st.sampled_from([*KEYS[:4], *(f"metadata.{key}" for key in KEYS)])
_numbers = st.one_of(st.sampled_from([2024, 2024.0, -3, 1000, 0, 1]), st.floats(allow_nan=False, allow_infinity=False))
_dates = st.sampled_from([each for each in DATES if each != "2024-02-30"])


def _ranges(fields: st.SearchStrategy[str], bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    names = st.sampled_from(["gt", "gte", "lt", "lte"])
    return st.builds(
        lambda field, limits: Range(field, **limits), fields, st.dictionaries(names, bounds, min_size=1, max_size=2)
    )


_fact = st.sampled_from(sorted(FACTS)).flatmap(
    lambda name: st.builds(Equals, st.just(name), st.sampled_from(FACTS[name]))
)
_pages = st.sampled_from([1, 2, 3])
terms: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, _keys, values),
    st.builds(In, _keys, st.lists(values, max_size=3)),
    st.builds(Exists, st.one_of(_keys, st.sampled_from([*FACTS, "page"]))),
    _fact,
    st.builds(Equals, st.just("page"), _pages),
    st.builds(In, st.just("page"), st.lists(_pages, max_size=2)),
    _ranges(_keys, _numbers),
    _ranges(_keys, _dates),
    _ranges(st.just("page"), _numbers),
)


def _joined(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, parts))


def _levels(count: int) -> st.SearchStrategy[Filter]:
    return terms if count == 1 else st.one_of(terms, _joined(_levels(count - 1)))


filters = _levels(4)
