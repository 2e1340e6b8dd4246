"""What every driver promises of points that are written, changed and deleted."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest

from rag.errors import BadInput
from rag.index import Index, Record, Stored
from rag.schema import Scope, SparseVector
from tests.integration.index_contract.drivers import (
    NO_SPARSE,
    OWNER,
    READER,
    SIZE,
    SPEC,
    Names,
    dense,
    point,
    record,
    seen,
    sparse,
)


class TestWriting:
    def test_a_point_written_twice_is_one_point_with_the_later_content(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1, {"text": "old", "gone": "x"})], OWNER)
        index.upsert(names.docs, [record(1, {"text": "new"}, dense=(0.0, 1.0, 0.0, 0.0))], OWNER)
        assert index.count(names.docs, OWNER) == 1
        assert index.fetch(names.docs, [point(1)], OWNER) == [Stored(point(1), {"text": "new", "tenant": "acme"})]
        assert index.query(names.docs, [dense()], OWNER)[0][0].score == pytest.approx(0)

    def test_the_scope_decides_the_tenant_whatever_the_payload_says(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1, {"tenant": "victim"}), record(2, {"tenant": ["victim"]})], OWNER)
        assert seen(index, names.docs, Scope.owner("victim")) == []
        assert [stored.payload["tenant"] for stored in index.fetch(names.docs, [point(1), point(2)], OWNER)] == [
            "acme",
            "acme",
        ]

    def test_any_plain_json_payload_comes_back_as_it_was(self, index: Index, names: Names) -> None:
        payload = {
            "text": 'naïve 東京 🦉 \u0000 "quoted"',
            "number": -7,
            "ratio": 0.5,
            "yes": True,
            "nothing": None,
            "nested": {"a b": [1, {"c": []}], "": {}},
            "groups": ["staff"],
        }
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1, payload)], OWNER)
        assert index.fetch(names.docs, [point(1)], OWNER)[0].payload == {**payload, "tenant": "acme"}

    def test_a_point_may_lack_either_vector_or_both(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        both = record(1, sparse=SparseVector((7,), (1.0,)))
        index.upsert(names.docs, [both, record(2), record(3, dense=(), sparse=both.sparse), record(4, dense=())], OWNER)
        found = index.query(names.docs, [dense(), sparse(7)], OWNER)
        assert [[uuid.UUID(hit.id).int for hit in hits] for hits in found] == [[1, 2], [1, 3]]
        assert index.count(names.docs, OWNER) == 4

    @pytest.mark.parametrize(
        "bad",
        [
            Record("not-a-uuid", (1.0,) * SIZE, NO_SPARSE, {}),
            record(9, dense=(math.nan, 0.0, 0.0, 0.0)),
            record(9, dense=(math.inf, 0.0, 0.0, 0.0)),
            record(9, sparse=SparseVector((1, 2), (1.0,))),
            record(9, sparse=SparseVector((1, 1), (1.0, 1.0))),
            record(9, sparse=SparseVector((-1,), (1.0,))),
            record(9, sparse=SparseVector((2**32,), (1.0,))),
            record(9, {"x": math.nan}),
            record(9, {"x": object()}),
            record(9, {"x": "\udc80"}),
            record(9, {"groups": "staff"}),
            record(9, {"groups": [None]}),
            record(9, {"groups": [""]}),
        ],
    )
    def test_a_malformed_point_is_refused_and_nothing_of_its_call_is_written(
        self, index: Index, names: Names, bad: Record
    ) -> None:
        index.create(names.docs, SPEC)
        with pytest.raises(BadInput):
            index.upsert(names.docs, [record(1), bad], OWNER)
        assert index.count(names.docs, OWNER) == 0
        index.upsert(names.docs, [record(1)], OWNER)
        assert seen(index, names.docs, OWNER) == [1]

    def test_a_vector_of_another_size_is_refused(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        with pytest.raises(BadInput, match=r"(?i)dim|shape"):
            index.upsert(names.docs, [record(1, dense=(1.0, 2.0))], OWNER)
        index.upsert(names.docs, [record(2)], OWNER)
        with pytest.raises(BadInput, match=r"(?i)dim|shape"):
            index.query(names.docs, [dense(1.0, 2.0)], OWNER)

    def test_more_points_than_a_batch_are_all_written_and_deleted(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(number) for number in range(600)], OWNER)
        assert index.count(names.docs, OWNER) == 600
        ids = [point(number) for number in range(1500)]
        assert [stored.id for stored in index.fetch(names.docs, ids, OWNER)] == ids[:600]
        index.delete(names.docs, ids[1:], OWNER)
        assert seen(index, names.docs, OWNER) == [0]

    def test_deleting_absent_ids_or_none_is_no_error(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1)], OWNER)
        index.delete(names.docs, [point(5)], OWNER)
        index.delete(names.docs, [], OWNER)
        index.delete(names.docs, [point(1), point(1)], OWNER)
        assert index.count(names.docs, OWNER) == 0


class TestSettingPayloads:
    def test_the_given_fields_are_replaced_and_the_others_stay(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        before = {"text": "t", "stamp": "old", "meta": {"a": 1, "b": 2}}
        index.upsert(names.docs, [record(n, before) for n in (1, 2)], OWNER)
        index.set_payload(names.docs, [point(1), point(7), point(1)], {"stamp": "new", "meta": {"c": 3}}, OWNER)
        first, second = index.fetch(names.docs, [point(1), point(2)], OWNER)
        assert first.payload == {"text": "t", "stamp": "new", "meta": {"c": 3}, "tenant": "acme"}
        assert second.payload == {**before, "tenant": "acme"}
        assert index.count(names.docs, OWNER) == 2
        assert index.query(names.docs, [dense()], OWNER)[0][0].score == pytest.approx(1)

    def test_what_the_scope_does_not_see_is_left_alone_and_no_tenant_changes(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1), record(2, {"groups": ["staff"]})], OWNER)
        index.upsert(names.docs, [record(3)], Scope.owner("rival"))
        everyone = [point(number) for number in (1, 2, 3)]
        index.set_payload(names.docs, everyone, {"stamp": "x", "tenant": "rival"}, READER)
        index.set_payload(names.docs, everyone, {"tenant": "rival"}, OWNER)
        index.set_payload(names.docs, everyone, {}, OWNER)
        mine = {stored.id: stored.payload for stored in index.fetch(names.docs, everyone, OWNER)}
        assert mine[point(1)] == {"tenant": "acme", "stamp": "x"}
        assert mine[point(2)] == {"tenant": "acme", "groups": ["staff"]}
        assert index.fetch(names.docs, everyone, Scope.owner("rival")) == [Stored(point(3), {"tenant": "rival"})]

    def test_filters_see_a_field_that_was_set(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(number, {"part": "tail"}) for number in range(1200)], OWNER)
        index.set_payload(names.docs, [point(number) for number in range(1100)], {"part": "head"}, OWNER)
        assert index.count(names.docs, OWNER, {"part": ["head"]}) == 1100
        assert index.count(names.docs, OWNER, {"part": ["tail"]}) == 100

    @pytest.mark.parametrize("payload", [{"x": math.nan}, {"x": object()}, {"groups": "staff"}, {"groups": [""]}])
    def test_fields_that_no_point_may_have_are_refused(self, index: Index, names: Names, payload: Any) -> None:
        index.create(names.docs, SPEC)
        index.upsert(names.docs, [record(1)], OWNER)
        with pytest.raises(BadInput):
            index.set_payload(names.docs, [point(1)], payload, OWNER)
