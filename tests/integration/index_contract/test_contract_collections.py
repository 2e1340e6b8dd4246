"""What every driver promises of collections and their aliases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rag.errors import BadInput, CollectionExists, CollectionNotFound
from rag.index import Collection, CollectionSpec, Index
from rag.schema import Scope
from tests.integration.index_contract.drivers import (
    OWNER,
    SERVER,
    SIZE,
    SPEC,
    Names,
    Shim,
    dense,
    point,
    record,
    seen,
    sparse,
)


class TestCollections:
    def test_a_new_collection_is_empty_and_keeps_its_size_and_nested_metadata(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        known = index.describe(names.docs)
        assert (known.name, known.points, known.aliases) == (names.docs, 0, ())
        assert known.spec == SPEC
        assert known in index.collections()
        assert index.resolve(names.docs) == Collection(names.docs, SPEC)

    def test_collections_are_listed_by_name_with_their_points_and_aliases(self, index: Index, names: Names) -> None:
        for name in (names.b, names.a):
            index.create(name, CollectionSpec(SIZE))
        index.set_alias(names.now, names.b)
        index.upsert(names.b, [record(1)], Scope.owner("one"))
        index.upsert(names.b, [record(2)], Scope.owner("two"))
        mine = [known for known in index.collections() if known.name in (names.a, names.b)]
        assert [(known.name, known.points, known.aliases) for known in mine] == [
            (names.a, 0, ()),
            (names.b, 2, (names.now,)),
        ]

    def test_fields_put_into_the_metadata_leave_the_others_and_the_points(self, index: Index, names: Names) -> None:
        if isinstance(index, Shim):  # jobs alone change metadata, and they use the sync drivers
            return
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        index.upsert(names.docs, [record(1)], OWNER)
        index.set_metadata(names.now, {"relevance": {"bias": -1.5}})
        index.set_metadata(names.docs, {"relevance": {"bias": -2.5}})
        known = index.describe(names.docs)
        assert known.spec.metadata == {**SPEC.metadata, "relevance": {"bias": -2.5}}
        assert (known.spec.dense_size, known.points) == (SIZE, 1)
        with pytest.raises(BadInput):
            index.set_metadata(names.docs, {"relevance": math.nan})
        with pytest.raises(CollectionNotFound):
            index.set_metadata(names.a, {})

    def test_a_taken_name_is_refused(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        for name in (names.docs, names.now):
            with pytest.raises(CollectionExists, match=name):
                index.create(name, SPEC)
        with pytest.raises(CollectionExists, match=names.docs):
            index.set_alias(names.docs, names.docs)

    def test_a_dropped_collection_takes_points_and_aliases_with_it(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1)], OWNER)
        index.set_alias(names.now, names.docs)
        index.drop(names.docs)
        for name in (names.docs, names.now):
            for call in (index.describe, index.resolve):
                with pytest.raises(CollectionNotFound):
                    call(name)
        index.create(names.docs, CollectionSpec(SIZE))
        assert index.count(names.docs, OWNER) == 0
        with pytest.raises(CollectionNotFound):
            index.describe(names.now)

    def test_an_alias_cannot_be_dropped_as_a_collection(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        with pytest.raises(CollectionNotFound):
            index.drop(names.now)
        assert index.describe(names.now).name == names.docs

    @pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-x", "a b", "ü", "x" * 129])
    def test_a_name_that_could_leave_its_folder_is_refused_everywhere(self, index: Index, name: str) -> None:
        for call in (*_named_calls(index, name), lambda: index.create(name, SPEC)):
            with pytest.raises(BadInput):
                call()

    def test_a_collection_needs_a_size_and_plain_metadata(self, index: Index, names: Names) -> None:
        for spec in (CollectionSpec(0), CollectionSpec(SIZE, {"x": math.nan}), CollectionSpec(SIZE, {"x": object()})):
            with pytest.raises(BadInput):
                index.create(names.docs, spec)


class TestAliases:
    def test_readers_follow_an_alias_from_one_collection_to_the_next_at_once(self, index: Index, names: Names) -> None:
        for number, name in enumerate((names.old, names.new)):
            index.create(name, SPEC)
            index.upsert(name, [record(number)], OWNER)
        index.set_alias(names.now, names.old)
        assert seen(index, names.now, OWNER) == [0]
        index.set_alias(names.now, names.new)
        assert seen(index, names.now, OWNER) == [1]
        assert index.describe(names.now).name == index.resolve(names.now).name == names.new
        assert index.describe(names.old).aliases == ()
        assert [stored.id for stored in index.fetch(names.now, [point(1)], OWNER)] == [point(1)]
        assert index.count(names.now, OWNER) == 1
        index.upsert(names.now, [record(2)], OWNER)
        index.delete(names.now, [point(1)], OWNER)
        assert seen(index, names.new, OWNER) == [2]

    def test_setting_an_alias_again_changes_nothing(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        index.set_alias(names.now, names.docs)
        assert index.describe(names.docs).aliases == (names.now,)

    def test_a_dropped_alias_is_gone_and_its_collection_stays(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        index.drop_alias(names.now)
        with pytest.raises(CollectionNotFound):
            index.describe(names.now)
        assert index.describe(names.docs).aliases == ()

    def test_an_alias_names_a_collection_that_exists_and_no_alias(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.set_alias(names.now, names.docs)
        for target in (names.missing, names.now):
            with pytest.raises(CollectionNotFound, match=target):
                index.set_alias(names.other, target)


def _named_calls(index: Index, name: str) -> list[Callable[[], Any]]:
    calls = [
        lambda: index.describe(name),
        lambda: index.resolve(name),
        lambda: index.drop(name),
        lambda: index.drop_alias(name),
        lambda: index.set_alias("anything", name),
        lambda: index.upsert(name, [record(1)], OWNER),
        lambda: index.upsert(name, [], OWNER),
        lambda: index.delete(name, [point(1)], OWNER),
        lambda: index.delete(name, [], OWNER),
        lambda: index.set_payload(name, [point(1)], {"x": 1}, OWNER),
        lambda: index.set_payload(name, [], {"x": 1}, OWNER),
        lambda: index.query(name, [dense(), sparse(1)], OWNER),
        lambda: index.query(name, [], OWNER),
        lambda: index.fetch(name, [point(1)], OWNER),
        lambda: index.fetch(name, [], OWNER),
        lambda: index.count(name, OWNER),
    ]
    if not isinstance(index, Shim):
        calls += [lambda: index.scroll(name, OWNER), lambda: index.optimize(name)]
        calls += [lambda: index.records(name, OWNER), lambda: index.tenants(name)]
    return calls


def test_every_method_refuses_an_unknown_collection_and_names_those_that_exist(index: Index, names: Names) -> None:
    index.create(names.docs, SPEC)
    for call in _named_calls(index, names.missing):
        with pytest.raises(CollectionNotFound, match=f"'{names.missing}' in ") as raised:
            call()
        assert index.location in str(raised.value)
    if not SERVER:
        with pytest.raises(CollectionNotFound, match=rf"there are: {names.docs}\. "):
            index.count(names.missing, OWNER)
