"""Who sees which points, with every driver and every way of reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import BadInput
from rag.index import Index, Where
from rag.schema import Scope
from tests.integration.index_contract.drivers import OWNER, READER, SPEC, Names, point, record, seen, visible_everywhere


class TestScope:
    @pytest.fixture
    def shared(self, index: Index, names: Names) -> str:
        index.create(names.docs, SPEC)
        mine = [
            record(1),
            record(2, {"groups": []}),
            record(3, {"groups": None}),
            record(4, {"groups": ["staff"]}),
            record(5, {"groups": ["legal", "board"]}),
        ]
        index.upsert(names.docs, mine, OWNER)
        index.upsert(names.docs, [record(11), record(14, {"groups": ["staff"]})], Scope.owner("rival"))
        return names.docs

    @pytest.mark.parametrize(
        ("scope", "visible"),
        [
            (Scope("acme"), [1, 2, 3]),
            (Scope("acme", frozenset({"staff"})), [1, 2, 3, 4]),
            (Scope("acme", frozenset({"board"})), [1, 2, 3, 5]),
            (Scope("acme", frozenset({"board", "staff"})), [1, 2, 3, 4, 5]),
            (Scope("acme", frozenset({"other"})), [1, 2, 3]),
            (Scope.owner("acme"), [1, 2, 3, 4, 5]),
            (Scope("rival"), [11]),
            (Scope.owner("rival"), [11, 14]),
            (Scope.owner("nobody"), []),
            (Scope.owner(""), []),
        ],
    )
    def test_a_scope_sees_its_tenants_public_points_and_those_of_its_groups(
        self, index: Index, shared: str, scope: Scope, visible: list[int]
    ) -> None:
        assert visible_everywhere(index, shared, scope) == visible

    @pytest.mark.parametrize(
        ("where", "visible"),
        [
            ({"tenant": ["rival"]}, []),
            ({"tenant": ["acme", "rival"]}, [1, 2, 3]),
            ({"groups": ["staff"]}, []),
            ({"groups": ["staff", "legal"]}, []),
            ({"tenant": []}, []),
            ({}, [1, 2, 3]),
        ],
    )
    def test_a_where_on_tenant_or_groups_never_widens(
        self, index: Index, shared: str, where: Where, visible: list[int]
    ) -> None:
        assert visible_everywhere(index, shared, READER, where) == visible

    def test_a_where_on_groups_narrows_what_an_owner_sees(self, index: Index, shared: str) -> None:
        assert visible_everywhere(index, shared, OWNER, {"groups": ["staff"]}) == [4]

    def test_delete_leaves_alone_what_the_scope_does_not_see(self, index: Index, shared: str) -> None:
        index.delete(shared, [point(number) for number in (1, 4, 5, 11, 14)], Scope("acme", frozenset({"staff"})))
        assert seen(index, shared, OWNER) == [2, 3, 5]
        assert seen(index, shared, Scope.owner("rival")) == [11, 14]


class TestWhere:
    def test_conditions_are_joined_by_and_and_values_by_or(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        payloads = [
            {"doc": "a", "source": "x"},
            {"doc": "b", "source": "x"},
            {"doc": "b", "source": "y"},
            {"doc": ["c", "a"]},
            {},
        ]
        index.upsert(names.docs, [record(number, each) for number, each in enumerate(payloads)], OWNER)
        for where, visible in (
            ({"doc": ["a"]}, [0, 3]),
            ({"doc": ["a", "b"]}, [0, 1, 2, 3]),
            ({"doc": ["a", "b"], "source": ["x"]}, [0, 1]),
            ({"doc": []}, []),
            ({"doc": ["absent"]}, []),
            ({"nosuchfield": ["a"]}, []),
        ):
            assert visible_everywhere(index, names.docs, OWNER, where) == visible, where

    def test_dotted_paths_and_odd_keys_reach_into_the_payload(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        payloads = [{"meta": {"lang": "en"}}, {"meta": {"my key": "en", "tags[]": "en"}}, {"lang": "en"}]
        index.upsert(names.docs, [record(number, each) for number, each in enumerate(payloads)], OWNER)
        assert visible_everywhere(index, names.docs, OWNER, {"meta.lang": ["en"]}) == [0]
        assert visible_everywhere(index, names.docs, OWNER, {"meta.my key": ["en"]}) == [1]
        assert visible_everywhere(index, names.docs, OWNER, {"meta.tags[]": ["en"]}) == [1]

    @pytest.mark.parametrize("where", [{"": ["x"]}, {"a..b": ["x"]}, {'a"b': ["x"]}, {"a": "x"}, {"a": [1]}])
    def test_a_where_that_is_no_path_with_strings_is_refused(self, index: Index, names: Names, where: Any) -> None:
        index.create(names.docs, SPEC)
        with pytest.raises(BadInput):
            index.count(names.docs, OWNER, where)


GROUPS = st.sampled_from(["red", "green", "blue", "Red", "re", "red green"])
TENANTS = st.sampled_from(["acme", "acm", "Acme", "acme ", "*"])
POINTS = st.lists(
    st.tuples(TENANTS, st.one_of(st.none(), st.just("absent"), st.lists(GROUPS, max_size=3))), min_size=1, max_size=6
)


SCOPES = st.builds(Scope, TENANTS, st.one_of(st.none(), st.frozensets(GROUPS, max_size=3)))
WHERES = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["tenant", "groups", "doc"]), st.lists(st.one_of(GROUPS, TENANTS), max_size=2), max_size=2
    ),
)


def visible_by_the_rule(tenant: str, groups: list[str], scope: Scope) -> bool:
    """The rule of interface.py in plain Python."""
    return tenant == scope.tenant and (scope.groups is None or not groups or bool(set(groups) & scope.groups))


def kept_by(where: Where | None, payload: Mapping[str, Any]) -> bool:
    def holds(field: str, values: Sequence[str]) -> bool:
        value = payload.get(field)
        return bool(set(value if isinstance(value, list) else [value]) & set(values))

    return all(holds(field, values) for field, values in (where or {}).items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=POINTS, scope=SCOPES, where=WHERES)
def test_every_scope_sees_exactly_what_the_rule_says(
    index: Index, names: Names, points: list[tuple[str, Any]], scope: Scope, where: Where | None
) -> None:
    if not any(known.name == names.docs for known in index.collections()):
        index.create(names.docs, SPEC)
    for tenant in ("acme", "acm", "Acme", "acme ", "*"):
        index.delete(names.docs, [point(number) for number in range(10)], Scope.owner(tenant))
    expected = []
    for number, (tenant, groups) in enumerate(points):
        payload = {} if groups == "absent" else {"groups": groups}
        index.upsert(names.docs, [record(number, payload)], Scope.owner(tenant))
        held = groups if isinstance(groups, list) else []
        if visible_by_the_rule(tenant, held, scope) and kept_by(where, {"tenant": tenant, "groups": held}):
            expected.append(number)
    assert visible_everywhere(index, names.docs, scope, where) == expected
