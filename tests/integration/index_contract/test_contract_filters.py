"""What every driver promises of filters: the meaning that rag.filters gives them, within what the scope sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import BadInput
from rag.filters import And, Equals, Exists, Filter, In, Not, Or, from_json, from_text, matches, range_facts
from rag.index import Index
from rag.schema import Scope
from tests.filter_kit import filters, payloads
from tests.integration.index_contract.drivers import OWNER, READER, SPEC, Names, point, record, visible_everywhere

TENANTS = ("acme", "rival")
GROUPS = st.lists(st.sampled_from(["red", "green"]), max_size=2)
SCOPES = st.builds(
    Scope, st.sampled_from(TENANTS), st.one_of(st.none(), st.frozensets(st.sampled_from(["red", "green"])))
)


def about(**metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, **range_facts(metadata)}


@pytest.fixture
def documents(index: Index, names: Names) -> str:
    index.create(names.docs, SPEC)
    written = [
        about(team="infra", year="2024", date="2024-05-01"),
        about(team="infra", year="2023", draft="true"),
        about(team="web", year="about 2024", date="2024-05-01T12:00+02:00"),
        {**about(team=["web", "infra"]), "page": 3, "path": "a/b.md", "doc": "file:a/b.md", "format": "code"},
        {"page": None, "metadata": {}},
        {},
    ]
    index.upsert(names.docs, [record(number, each) for number, each in enumerate(written)], OWNER)
    return names.docs


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("team = infra", [0, 1, 3]),
        ("team != infra", [2, 4, 5]),
        ("team in (web, other)", [2, 3]),
        ("year >= 2023", [0, 1]),
        ("year > 2023 and year < 2024.5", [0]),
        ("not year >= 2024", [1, 2, 3, 4, 5]),
        ("date >= 2024-05-01", [0, 2]),
        ("date > '2024-05-01 10:00'", []),
        ("date >= 2024-05-01T10:00Z", [2]),
        ("exists draft", [1]),
        ("team=infra and (year>=2024 or not exists draft)", [0, 3]),
        ("page = 3", [3]),
        ("page >= 2 and page <= 3.5", [3]),
        ("exists page", [3]),
        ("path = a/b.md and uri = file:a/b.md and format in (code)", [3]),
        ("not (team=infra or team=web)", [4, 5]),
    ],
)
def test_filters_mean_what_they_say(index: Index, documents: str, text: str, visible: list[int]) -> None:
    assert visible_everywhere(index, documents, OWNER, from_text(text)) == visible


def test_one_of_no_values_keeps_nothing_and_its_negation_everything(index: Index, documents: str) -> None:
    assert visible_everywhere(index, documents, OWNER, In("team", ())) == []
    assert visible_everywhere(index, documents, OWNER, Not(In("team", ()))) == [0, 1, 2, 3, 4, 5]
    assert visible_everywhere(index, documents, OWNER, Or((In("team", ()), Equals("page", 3)))) == [3]


def test_a_filter_over_its_limits_reaches_no_engine(index: Index, documents: str) -> None:
    deep: Filter = Equals("team", "infra")
    for _ in range(8):
        deep = Not(deep)
    for hostile in (deep, And(tuple(Exists("team") for _ in range(101)))):
        with pytest.raises(BadInput, match="more than"):
            index.count(documents, OWNER, hostile)


def test_the_largest_filter_that_is_allowed_is_answered(index: Index, documents: str) -> None:
    widest = Or((*(In("team", tuple(f"{n} {each}" for each in range(10))) for n in range(99)), Exists("draft")))
    assert visible_everywhere(index, documents, OWNER, widest) == [1]


@pytest.mark.parametrize("field", ["tenant", "groups", "part", "state", "doc_hash", "doc", "facts", "text"])
def test_what_the_index_keeps_for_itself_cannot_be_named(field: str) -> None:
    with pytest.raises(BadInput, match=f"'{field}', which the index keeps for itself"):
        from_json({"field": field, "eq": "x"})


def test_metadata_named_like_a_reserved_field_is_only_metadata(index: Index, names: Names) -> None:
    index.create(names.docs, SPEC)
    index.upsert(names.docs, [record(1, about(tenant="rival", groups="staff"))], OWNER)
    index.upsert(names.docs, [record(2, about(tenant="acme"))], Scope.owner("rival"))
    assert visible_everywhere(index, names.docs, READER, Equals("metadata.tenant", "rival")) == [1]
    assert visible_everywhere(index, names.docs, READER, Equals("metadata.tenant", "acme")) == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    held=st.lists(st.tuples(payloads(), st.sampled_from(TENANTS), GROUPS), min_size=1, max_size=8),
    wheres=st.lists(filters, min_size=1, max_size=6),
    scope=SCOPES,
)
def test_every_driver_finds_what_the_filter_means_within_the_scope(
    index: Index, names: Names, held: list[tuple[dict[str, Any], str, list[str]]], wheres: list[Filter], scope: Scope
) -> None:
    """Both at once: a filter's meaning, and that none shows a point that the scope does not see."""
    if not any(known.name == names.docs for known in index.collections()):
        index.create(names.docs, SPEC)
    for tenant in TENANTS:
        index.delete(names.docs, [point(number) for number in range(8)], Scope.owner(tenant))
    for number, (payload, tenant, groups) in enumerate(held):
        index.upsert(names.docs, [record(number, {**payload, "groups": groups})], Scope.owner(tenant))
    for where in wheres:
        expected = [
            number
            for number, (payload, tenant, groups) in enumerate(held)
            if tenant == scope.tenant
            and (scope.groups is None or not groups or set(groups) & scope.groups)
            and matches(where, payload)
        ]
        assert visible_everywhere(index, names.docs, scope, where) == expected, where
