"""What every driver of the index promises, run over each of them.

The in-memory mode of qdrant_client stands for a Qdrant server: it takes the same calls as the server's HTTP API and
answers in the same shapes, without the transport. Where LIBRARIAN_TEST_QDRANT_URL names a real server, the same
tests run on that too.
"""

from __future__ import annotations

import asyncio
import math
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient, QdrantClient

from rag.errors import BadInput, CollectionExists, CollectionNotFound, IndexUnavailable
from rag.index import AsyncIndex, CollectionSpec, DenseLeg, Index, Record, SparseLeg, Stored, Where
from rag.index.async_server import AsyncServerIndex
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.index.threaded import ThreadedIndex
from rag.schema import Scope, SparseVector
from rag.settings import Settings

# A warning of the in-memory mode that says nothing about a server.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

SERVER = os.environ.get("LIBRARIAN_TEST_QDRANT_URL")
DRIVERS = ["embedded", "threaded", "memory", "async-memory", *(["server", "async-server"] if SERVER else [])]
SYNC_DRIVERS = [driver for driver in DRIVERS if driver in ("embedded", "memory", "server")]

SIZE = 4
SPEC = CollectionSpec(SIZE, {"encoder": {"name": "minilm", "hash": "ab12"}, "chunker": 3, "tags": ["x", None]})
OWNER = Scope.owner("acme")
READER = Scope("acme")
NO_SPARSE = SparseVector((), ())


class Shim:
    """Calls an AsyncIndex as if it were sync: each method runs to its end on one event loop."""

    def __init__(self, make: Callable[[], AsyncIndex]) -> None:
        self._runner = asyncio.Runner()
        self._index = self._runner.run(self._made(make))

    @staticmethod
    async def _made(make: Callable[[], AsyncIndex]) -> AsyncIndex:
        return make()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._index, name)
        if not callable(attribute):
            return attribute
        return lambda *args, **kwargs: self._runner.run(attribute(*args, **kwargs))

    def finish(self) -> None:
        self._runner.run(self._index.close())
        self._runner.close()


class Names:
    """Unique names for collections and aliases, so that tests can share a server."""

    def __init__(self) -> None:
        self._suffix = uuid.uuid4().hex[:8]

    def __getattr__(self, name: str) -> str:
        return f"{name}-{self._suffix}"


def opened(driver: str, folder: Path) -> Any:
    if driver == "embedded":
        return EmbeddedIndex(folder / "index")
    if driver == "threaded":
        return Shim(lambda: ThreadedIndex(EmbeddedIndex(folder / "index")))
    if driver == "memory":
        return ServerIndex(QdrantClient(":memory:"), "http://memory:6333")
    if driver == "async-memory":
        return Shim(lambda: AsyncServerIndex(AsyncQdrantClient(":memory:"), "http://memory:6333"))
    config = Settings(qdrant_url=SERVER, qdrant_api_key=os.environ.get("LIBRARIAN_TEST_QDRANT_API_KEY"))
    if driver == "server":
        return ServerIndex.connect(config)
    return Shim(lambda: AsyncServerIndex.connect(config))


@pytest.fixture(params=DRIVERS)
def index(request: pytest.FixtureRequest, tmp_path: Path, names: Names) -> Iterator[Index]:
    yield from _lent(request.param, tmp_path, names)


@pytest.fixture(params=SYNC_DRIVERS)
def scrolled(request: pytest.FixtureRequest, tmp_path: Path, names: Names) -> Iterator[Index]:
    """The drivers that have `scroll` and `optimize`, which the async interface does not ask for."""
    yield from _lent(request.param, tmp_path, names)


def _lent(driver: str, folder: Path, names: Names) -> Iterator[Index]:
    made = opened(driver, folder)
    yield made
    if driver.endswith("server"):
        for known in made.collections():
            if known.name.endswith(names._suffix):
                made.drop(known.name)
    made.finish() if isinstance(made, Shim) else made.close()


@pytest.fixture
def names() -> Names:
    return Names()


def point(number: int) -> str:
    return str(uuid.UUID(int=number))


def record(
    number: int,
    payload: Mapping[str, Any] | None = None,
    dense: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    sparse: SparseVector = NO_SPARSE,
) -> Record:
    return Record(point(number), dense, sparse, payload or {})


def dense(*vector: float, limit: int = 100) -> DenseLeg:
    return DenseLeg(vector or (1.0, 0.0, 0.0, 0.0), limit)


def sparse(*indices: int, limit: int = 100) -> SparseLeg:
    return SparseLeg(SparseVector(indices, (1.0,) * len(indices)), limit)


def seen(index: Index, name: str, scope: Scope, where: Where | None = None) -> list[int]:
    """What `query` finds, as numbers, in order of id."""
    (hits,) = index.query(name, [dense(limit=1000)], scope, where)
    return sorted(uuid.UUID(hit.id).int for hit in hits)


class TestCollections:
    def test_a_new_collection_is_empty_and_keeps_its_size_and_nested_metadata(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        known = index.describe(names.docs)
        assert (known.name, known.points, known.aliases) == (names.docs, 0, ())
        assert known.spec == SPEC
        assert known in index.collections()

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
            with pytest.raises(CollectionNotFound):
                index.describe(name)
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
        assert index.describe(names.now).name == names.new
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


def _visible_everywhere(index: Index, name: str, scope: Scope, where: Where | None = None) -> list[int]:
    """What the scope sees, which every way of reading must agree on."""
    found = seen(index, name, scope, where)
    assert index.count(name, scope, where) == len(found)
    if where is None:
        everything = [point(number) for number in range(100)]
        assert [uuid.UUID(stored.id).int for stored in index.fetch(name, everything, scope)] == found
    if not isinstance(index, Shim):
        assert sorted(uuid.UUID(stored.id).int for stored in index.scroll(name, scope, where=where)) == found
    return found


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
        assert _visible_everywhere(index, shared, scope) == visible

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
        assert _visible_everywhere(index, shared, READER, where) == visible

    def test_a_where_on_groups_narrows_what_an_owner_sees(self, index: Index, shared: str) -> None:
        assert _visible_everywhere(index, shared, OWNER, {"groups": ["staff"]}) == [4]

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
            assert _visible_everywhere(index, names.docs, OWNER, where) == visible, where

    def test_dotted_paths_and_odd_keys_reach_into_the_payload(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        payloads = [{"meta": {"lang": "en"}}, {"meta": {"my key": "en", "tags[]": "en"}}, {"lang": "en"}]
        index.upsert(names.docs, [record(number, each) for number, each in enumerate(payloads)], OWNER)
        assert _visible_everywhere(index, names.docs, OWNER, {"meta.lang": ["en"]}) == [0]
        assert _visible_everywhere(index, names.docs, OWNER, {"meta.my key": ["en"]}) == [1]
        assert _visible_everywhere(index, names.docs, OWNER, {"meta.tags[]": ["en"]}) == [1]

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
    assert _visible_everywhere(index, names.docs, scope, where) == expected


class TestRanking:
    """The same data, the same ranking, whatever the driver: compared with plain numpy and the IDF formula."""

    COUNT, DIMENSIONS, WORDS = 200, 32, 50

    def corpus(self) -> tuple[np.ndarray, list[SparseVector]]:
        random = np.random.default_rng(7)
        vectors = random.standard_normal((self.COUNT, self.DIMENSIONS)).astype(np.float32)
        words = []
        for _ in range(self.COUNT):
            indices = np.unique(random.zipf(1.5, 12) % self.WORDS)
            words.append(SparseVector(tuple(indices.tolist()), tuple(random.uniform(0.5, 2, len(indices)).tolist())))
        return vectors, words

    def filled(self, index: Index, name: str) -> tuple[np.ndarray, list[SparseVector]]:
        vectors, words = self.corpus()
        index.create(name, CollectionSpec(self.DIMENSIONS))
        for tenant in ("even", "odd"):
            numbers = range(tenant == "odd", self.COUNT, 2)
            records = [record(n, dense=vectors[n].tolist(), sparse=words[n]) for n in numbers]
            index.upsert(name, records, Scope.owner(tenant))
        return vectors, words

    def test_dense_hits_are_the_nearest_by_cosine(self, index: Index, names: Names) -> None:
        vectors, _ = self.filled(index, names.docs)
        query = np.random.default_rng(8).standard_normal(self.DIMENSIONS) * 40
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = unit @ (query / np.linalg.norm(query))
        order = [n for n in np.argsort(-scores) if n % 2 == 0][:20]
        (hits,) = index.query(names.docs, [DenseLeg(query.tolist(), 20)], Scope.owner("even"))
        assert [uuid.UUID(hit.id).int for hit in hits] == order
        assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist(), abs=1e-3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def test_cosines_stay_between_minus_one_and_one(self, index: Index, names: Names) -> None:
        vectors, _ = self.filled(index, names.docs)
        for number in range(0, self.COUNT, 10):
            legs = [DenseLeg((sign * vectors[number]).tolist(), self.COUNT) for sign in (1, -1)]
            towards, away = index.query(names.docs, legs, Scope.owner("even"))
            assert towards[0].score == pytest.approx(1, abs=1e-3)
            assert away[-1].score == pytest.approx(-1, abs=1e-3)
            assert all(-1 <= hit.score <= 1 for hit in (*towards, *away))

    def test_sparse_scores_are_dot_products_with_the_whole_collections_idf(self, index: Index, names: Names) -> None:
        """idf = ln(1 + (N - df + 0.5) / (df + 0.5)) with N and df over all tenants, whatever the filter."""
        _, words = self.filled(index, names.docs)
        asked = SparseVector((1, 2, 3, 17, 49), (1.0, 0.5, 2.0, 1.0, 1.0))
        idf = {}
        for word in asked.indices:
            df = sum(word in each.indices for each in words)
            idf[word] = math.log(1 + (self.COUNT - df + 0.5) / (df + 0.5))
        expected = {}
        for number in range(1, self.COUNT, 2):
            weights = dict(zip(words[number].indices, words[number].values, strict=True))
            pairs = zip(asked.indices, asked.values, strict=True)
            if set(weights) & set(asked.indices):
                expected[point(number)] = sum(value * idf[word] * weights.get(word, 0) for word, value in pairs)
        (hits,) = index.query(names.docs, [SparseLeg(asked, self.COUNT)], Scope.owner("odd"))
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-3)
        assert [hit.id for hit in hits] == sorted(expected, key=lambda each: -expected[each])

    def test_points_without_a_sparse_vector_do_not_count_into_the_idf(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        with_words = [record(n, sparse=SparseVector((1,) if n else (2,), (1.0,))) for n in range(4)]
        index.upsert(names.docs, [*with_words, *(record(n) for n in range(10, 20))], OWNER)
        (hits,) = index.query(names.docs, [sparse(2)], OWNER)
        assert hits[0].score == pytest.approx(math.log(1 + (4 - 1 + 0.5) / (1 + 0.5)), abs=1e-3)
