"""What every driver promises of points that are asked for, searched and read whole."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from rag.errors import BadInput, IndexUnavailable
from rag.index import DenseLeg, Index, Record
from rag.schema import Scope, SparseVector
from tests.integration.index_contract.drivers import (
    NO_SPARSE,
    OWNER,
    READER,
    SERVER,
    SPEC,
    Names,
    dense,
    point,
    record,
    sparse,
)


class TestReading:
    def test_fetch_keeps_the_order_asked_for_and_returns_each_once(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(number, {"n": number}) for number in range(5)], OWNER)
        asked = [point(number) for number in (3, 9, 0, 4, 3)]
        assert [stored.payload["n"] for stored in index.fetch(names.docs, asked, OWNER)] == [3, 0, 4]
        assert index.fetch(names.docs, [point(2).upper().replace("-", "")], OWNER)[0].id == point(2)
        assert index.fetch(names.docs, [], OWNER) == []
        with pytest.raises(BadInput, match="nonsense"):
            index.fetch(names.docs, ["nonsense"], OWNER)

    def test_vectors_are_those_of_the_ids_that_have_one_and_are_seen(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(
            names.docs,
            [
                record(1, dense=(0, 3.0, 0, 4.0)),
                Record(point(2), (), SparseVector((5,), (1.0,)), {}),
                record(3, {"groups": ["staff"]}),
            ],
            OWNER,
        )
        asked = [point(number) for number in (2, 9, 1, 3)]
        found = index.vectors(names.docs, asked, READER)
        assert {each: list(vector) for each, vector in found.items()} == {point(1): pytest.approx([0, 0.6, 0, 0.8])}
        assert set(index.vectors(names.docs, asked, OWNER)) == {point(1), point(3)}
        assert index.vectors(names.docs, asked, Scope.owner("rival")) == {}
        assert index.vectors(names.docs, [], OWNER) == {}
        with pytest.raises(BadInput, match="nonsense"):
            index.vectors(names.docs, ["nonsense"], OWNER)

    def test_several_legs_are_answered_in_their_order(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1, sparse=SparseVector((5,), (1.0,))), record(2, dense=(0, 1.0, 0, 0))], OWNER)
        legs = [sparse(), dense(0, 1.0, 0, 0, limit=1), sparse(5), dense(limit=0), sparse(99)]
        found = index.query(names.docs, legs, OWNER)
        assert [[uuid.UUID(hit.id).int for hit in hits] for hits in found] == [[], [2], [1], [], []]
        assert index.query(names.docs, [], OWNER) == []

    def test_an_empty_collection_answers_with_nothing(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        assert index.query(names.docs, [dense(), sparse(1)], OWNER) == [[], []]
        assert index.fetch(names.docs, [point(1)], OWNER) == []
        assert index.count(names.docs, OWNER) == 0

    @pytest.mark.parametrize("leg", [dense(math.nan, 0, 0, 0), DenseLeg((), 5), dense(limit=-1)])
    def test_a_leg_that_cannot_be_searched_is_refused(self, index: Index, names: Names, leg: DenseLeg) -> None:
        index.create(names.docs, SPEC)
        with pytest.raises(BadInput):
            index.query(names.docs, [leg], OWNER)

    def test_a_closed_index_says_so(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        if not SERVER:
            index.close()
            index.close()
            with pytest.raises(IndexUnavailable, match="closed"):
                index.count(names.docs, OWNER)


class TestScrolling:
    def test_each_point_comes_once_over_many_pages(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        identities = [uuid.uuid4() for _ in range(1300)]
        records = [Record(str(each), (1.0, 0, 0, 0), NO_SPARSE, {"n": n}) for n, each in enumerate(identities)]
        scrolled.upsert(names.docs, records, OWNER)
        assert sorted(stored.payload["n"] for stored in scrolled.scroll(names.docs, OWNER)) == list(range(1300))

    def test_points_deleted_behind_the_reader_hide_none_before_it(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        scrolled.upsert(names.docs, [record(number) for number in range(1200)], OWNER)
        read = []
        for stored in scrolled.scroll(names.docs, OWNER):
            read.append(stored.id)
            if len(read) % 100 == 0:
                scrolled.delete(names.docs, read[-100:], OWNER)
        assert read == [point(number) for number in range(1200)]

    def test_only_the_fields_asked_for_come(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        payload = {"text": "long", "doc": "d", "meta": {"lang": "en", "odd key": "x", "rest": 1}}
        scrolled.upsert(names.docs, [record(1, payload)], OWNER)

        def only(*fields: str) -> Mapping[str, Any]:
            (stored,) = scrolled.scroll(names.docs, OWNER, fields)
            return stored.payload

        assert only("doc", "absent") == {"doc": "d"}
        assert only("meta.lang") == {"meta": {"lang": "en"}}
        assert only("meta.odd key") == {"meta": {"odd key": "x"}}
        assert only() == {}

    def test_a_scroll_keeps_to_the_collection_that_its_alias_named_first(self, scrolled: Index, names: Names) -> None:
        for number, name in enumerate((names.old, names.new)):
            scrolled.create(name, SPEC)
            scrolled.upsert(name, [record(n, {"of": number}) for n in range(700)], OWNER)
        scrolled.set_alias(names.now, names.old)
        pages = scrolled.scroll(names.now, OWNER)
        first = next(pages)
        scrolled.set_alias(names.now, names.new)
        assert {stored.payload["of"] for stored in (first, *pages)} == {0}

    def test_optimizing_changes_no_answer(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        scrolled.upsert(names.docs, [record(n, dense=(1.0, n, 0, 0)) for n in range(20)], OWNER)
        before = scrolled.query(names.docs, [dense()], OWNER)
        scrolled.optimize(names.docs)
        assert scrolled.query(names.docs, [dense()], OWNER) == before


class TestWholeCollections:
    def test_records_come_back_as_they_can_be_written_again(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        written = [
            record(1, {"text": "naïve", "groups": ["staff"]}, (0.6, 0.8, 0, 0), SparseVector((7, 9), (1.5, 0.5))),
            record(2, dense=()),
            record(3, sparse=SparseVector((1,), (2.0,))),
        ]
        scrolled.upsert(names.docs, written, OWNER)
        scrolled.upsert(names.docs, [record(4)], Scope.owner("rival"))
        found = list(scrolled.records(names.docs, OWNER))
        assert [each.id for each in found] == [point(1), point(2), point(3)]
        for before, after in zip(written, found, strict=True):
            assert list(after.dense) == pytest.approx(list(before.dense))
            assert dict(zip(after.sparse.indices, after.sparse.values, strict=True)) == pytest.approx(
                dict(zip(before.sparse.indices, before.sparse.values, strict=True))
            )
            assert after.payload == {**before.payload, "tenant": "acme"}
        scrolled.create(names.copy, SPEC)
        scrolled.upsert(names.copy, found, OWNER)
        legs = [dense(0.6, 0.8, 0, 0), sparse(7, 1)]
        assert scrolled.query(names.copy, legs, OWNER) == scrolled.query(names.docs, legs, OWNER)

    def test_the_tenants_of_a_collection_are_those_with_points(self, scrolled: Index, names: Names) -> None:
        scrolled.create(names.docs, SPEC)
        assert scrolled.tenants(names.docs) == []
        many = [f"tenant {number:04}" for number in range(1234)]
        for number, tenant in enumerate(many):
            scrolled.upsert(names.docs, [record(number)], Scope.owner(tenant))
        scrolled.delete(names.docs, [point(5)], Scope.owner(many[5]))
        assert scrolled.tenants(names.docs) == [*many[:5], *many[6:]]
