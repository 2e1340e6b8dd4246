"""Filters as people write them: what is read, what is refused, and where the message points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BadInput
from rag.filters import And, Equals, Exists, Filter, In, Not, Or, Range, from_json, from_text, matches, to_json
from rag.filters.values import milliseconds, number
from tests.filter_kit import filters, payloads


@given(filters)
def test_a_filter_survives_json(found: Filter) -> None:
    assert from_json(to_json(found)) == found


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_bad_input_in_one_line(text: str) -> None:
    said = ""
    try:
        from_text(text)
    except BadInput as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["and", "or", "not", "field", "eq", "in", "gt", "x"]), inner, max_size=3)
))  # fmt: skip


@given(_json)
def test_any_json_is_a_filter_or_bad_input(value: Any) -> None:
    try:
        from_json(value)
    except BadInput:
        return


@given(filters, payloads())
def test_not_is_true_exactly_where_its_part_is_false(found: Filter, payload: dict[str, Any]) -> None:
    assert matches(Not(found), payload) is not matches(found, payload)


def test_and_binds_stronger_than_or_and_not_strongest() -> None:
    assert from_text("a=1 or not b=2 and exists c") == Or((Equals("a", "1"), And((Not(Equals("b", "2")), Exists("c")))))
    assert from_text('a not in (\'x y\', "q\\"")') == Not(In("a", ("x y", 'q"')))
    assert from_text("'in'='and' and date<2026-01-01") == And((Equals("in", "and"), Range("date", lt="2026-01-01")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "character 1: expected a field's name"),
        ("year>>2024", "character 6: expected a value, found '>'"),
        ("team=infra year=2", "character 12: expected 'and', 'or' or the end, found 'year'"),
        ("(team=infra", r"character 12: expected '\)', found its end"),
        ("team='infra", "character 6: this quotation mark is never closed"),
        ("team in ()", r"character 10: expected a value, found '\)'"),
        ("a=1 and groups=staff", "character 9: a filter cannot name 'groups'"),
        ("year>=soon", "character 1: the filter bounds 'metadata.year' by 'soon'"),
        ("page=two", "character 1: the filter compares 'page' with 'two': it is a whole number"),
        ("not " * 9 + "a=1", "more than 8 levels at character 33"),
        ("(" * 5000 + "a=1", "more than 8 levels"),
        (" or ".join(["a=1"] * 101), "more than 100 comparisons"),
        ("a=" + "x" * 5000, "5000 characters; 4096 is the limit"),
        ("a" * 10_001, "10001 characters; 10000 is the limit"),
    ],
)
def test_an_error_points_at_the_character(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        from_text(text)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "filter must be an object"),
        ({"and": [{"field": "a", "eq": 1}, {"not": {"or": []}}]}, r"filter\.and\[1\]\.not\.or must be a list"),
        ({"field": "a", "eq": 1.5}, "filter: the filter compares 'metadata.a' with 1.5: texts are compared"),
        ({"field": "a", "like": "x"}, "unknown comparison 'like'"),
        ({"field": "a", "eq": "x", "gt": 1}, "must have eq, in, exists, or some of"),
        ({"field": "a", "gt": 1, "lt": "2026-01-01"}, "mixes numbers and dates"),
        ({"field": "path", "gt": 1}, "'path' has no order"),
        ({"field": "a", "gt": None}, "not null"),
        ({"field": 'a"b', "eq": "x"}, "no quotation mark"),
        ({"field": "a", "eq": "\ud800"}, "no Unicode text"),
        ({"field": "a", "in": "abc"}, "needs a list"),
        ({"field": "a", "in": ["x"] * 1001}, "more than 1000 values"),
    ],
)
def test_an_error_names_the_place_in_json(value: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        from_json(value)


def test_what_counts_as_a_number_and_as_a_date() -> None:
    assert [number(each) for each in ("2024", " -3.50 ", "1e3", "1e999", "0x1", "1_0", "٣", "2024-01-01")] == [
        2024, -3.5, 1000, None, None, None, None, None,
    ]  # fmt: skip
    assert milliseconds("1970-01-01") == 0
    assert milliseconds("1970-01-01T00:00:01.5004Z") == 1500
    assert milliseconds("1970-01-01 02:00+02:00") == 0
    assert [milliseconds(each) for each in ("2024-02-30", "20240101", "2024-01", "2024")] == [None] * 4
    assert milliseconds("0001-01-01T00:00+14:00") is not None
