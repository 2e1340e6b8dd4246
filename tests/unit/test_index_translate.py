"""Translation between Librarian's nouns and qdrant_client's, and the checks that every driver shares."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client.http import models

from rag.errors import BadInput, CollectionNotFound, IndexUnavailable
from rag.index import CollectionSpec, DenseLeg, Hit, Record, SparseLeg, Stored, checks, translate
from rag.index.spread import Spread
from rag.schema import Scope, SparseVector
from rag.settings import Settings

NO_SPARSE = SparseVector((), ())


def conditions(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """The filter as the JSON that a server is sent."""
    sent = translate.scope_filter(*args, **kwargs).model_dump(mode="json", exclude_none=True)
    assert list(sent) == ["must"]
    return list(sent["must"])


TENANT = {"key": "tenant", "match": {"value": "acme"}}
PUBLIC = {"is_empty": {"key": "groups"}}


class TestFilters:
    def test_an_owner_is_held_to_the_tenant_alone(self) -> None:
        assert conditions(Scope.owner("acme")) == [TENANT]

    def test_a_reader_without_groups_sees_public_points(self) -> None:
        assert conditions(Scope("acme")) == [TENANT, {"should": [PUBLIC]}]

    def test_a_reader_with_groups_sees_theirs_too(self) -> None:
        shared = {"key": "groups", "match": {"any": ["a", "b"]}}
        assert conditions(Scope("acme", frozenset("ba"))) == [TENANT, {"should": [PUBLIC, shared]}]

    def test_where_and_ids_are_added_and_replace_nothing(self) -> None:
        found = conditions(Scope("acme"), {"tenant": ["rival"], "a.b c": []}, ids=["x"])
        assert found == [
            TENANT,
            {"should": [PUBLIC]},
            {"key": "tenant", "match": {"any": ["rival"]}},
            {"has_id": []},
            {"has_id": ["x"]},
        ]

    def test_path_segments_with_odd_characters_are_quoted(self) -> None:
        assert checks.conditions({"a.b c.d[]": ["x"], "plain-key_1": ["y"]}) == [
            ('a."b c"."d[]"', ["x"]),
            ("plain-key_1", ["y"]),
        ]


class TestPoints:
    def test_a_record_becomes_a_point_of_the_scopes_tenant(self) -> None:
        record = Record(str(uuid.UUID(int=1)), (1, 0.5), SparseVector((3,), (2.0,)), {"tenant": "x", "groups": ("a",)})
        ((point,),) = translate.point_batches([record], Scope.owner("acme"))
        assert point.model_dump() == {
            "id": str(uuid.UUID(int=1)),
            "vector": {"dense": [1.0, 0.5], "sparse": {"indices": [3], "values": [2.0]}},
            "payload": {"tenant": "acme", "groups": ["a"]},
        }

    def test_an_empty_vector_is_left_out(self) -> None:
        assert translate.point(Record(str(uuid.UUID(int=1)), (), NO_SPARSE, {})).vector == {}

    @given(st.lists(st.integers(0, 3_000_000), max_size=20))
    def test_batches_keep_all_points_in_order_within_their_bytes(self, sizes: list[int]) -> None:
        records = [Record(str(uuid.UUID(int=n)), (), NO_SPARSE, {"t": "x" * size}) for n, size in enumerate(sizes)]
        batches = list(translate.point_batches(records, Scope()))
        assert [point.id for batch in batches for point in batch] == [record.id for record in records]
        assert all(sum(len(point.payload["t"]) for point in batch) <= translate.BATCH_BYTES for batch in batches)

    def test_batches_hold_so_many_points_at_most(self) -> None:
        records = [Record(str(uuid.UUID(int=n)), (1.0,), NO_SPARSE, {}) for n in range(600)]
        assert [len(batch) for batch in translate.point_batches(records, Scope())] == [256, 256, 88]

    def test_a_malformed_record_stops_the_call_before_its_first_batch(self) -> None:
        records = [Record(str(uuid.UUID(int=n)), (1.0,), NO_SPARSE, {}) for n in range(300)]
        with pytest.raises(BadInput, match="nonsense"):
            next(translate.point_batches([*records, Record("nonsense", (1.0,), NO_SPARSE, {})], Scope()))


class TestResults:
    def test_legs_that_find_nothing_are_not_asked_and_keep_their_place(self) -> None:
        legs = [SparseLeg(NO_SPARSE, 5), DenseLeg((1.0,), 5), DenseLeg((1.0,), 0)]
        assert len(translate.query_requests(legs, Scope(), None)) == 1
        point = models.ScoredPoint(id=str(uuid.UUID(int=1)), version=0, score=0.5)
        answer = models.QueryResponse(points=[point])
        assert translate.hits(legs, [answer]) == [[], [Hit(str(uuid.UUID(int=1)), 0.5)], []]

    @given(st.lists(st.tuples(st.uuids().map(str), st.floats(-2, 2)), unique_by=lambda pair: pair[0]))
    def test_hits_descend_with_ties_by_id_and_cosines_in_range(self, found: list[tuple[str, float]]) -> None:
        hits = checks.best_first(DenseLeg((1.0,), 5), [Hit(each, score) for each, score in found])
        assert {hit.id for hit in hits} == {identity for identity, _ in found}
        assert all(-1 <= hit.score <= 1 for hit in hits)
        order = [(-hit.score, hit.id) for hit in hits]
        assert order == sorted(order)

    def test_a_collection_of_others_is_listed_with_size_zero(self) -> None:
        params = SimpleNamespace(vectors=models.VectorParams(size=3, distance=models.Distance.DOT))
        info: Any = SimpleNamespace(config=SimpleNamespace(params=params, metadata=None))
        known = translate.collection_info("c", info, 7, {"b": "c", "a": "c", "x": "other"})
        assert (known.spec, known.points, known.aliases) == (CollectionSpec(0), 7, ("a", "b"))

    def test_found_points_come_in_the_order_asked_for(self) -> None:
        found = [Stored("b", {}), Stored("a", {})]
        assert translate.in_order(["a", "x", "b"], found) == [Stored("a", {}), Stored("b", {})]

    def test_an_alias_that_exists_is_moved_in_one_request(self) -> None:
        moved = translate.alias_changes("now", "new", {"now": "old"})
        assert [type(change).__name__ for change in moved] == ["DeleteAliasOperation", "CreateAliasOperation"]
        assert len(translate.alias_changes("now", "new", {})) == 1


class TestLocation:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://qdrant", "http://qdrant:6333"),
            ("https://user:secret@qdrant:443/path?key=secret#x", "https://qdrant:443/path"),
            ("http://[::1]:6333", "http://[::1]:6333"),
        ],
    )
    def test_the_shown_url_has_a_port_and_no_credentials(self, url: str, shown: str) -> None:
        assert translate.shown_url(url) == shown

    def test_settings_become_client_options(self, tmp_path: Any) -> None:
        ca = tmp_path / "ca.pem"
        ca.write_bytes(b"certificates")
        settings = Settings(qdrant_url="https://q:1", qdrant_api_key="k", qdrant_grpc=True, qdrant_ca_file=ca)
        options = translate.client_options(settings)
        assert options["api_key"] == "k"
        assert options["verify"] == str(ca)
        assert options["grpc_options"] == {"root_certificates": b"certificates"}
        assert (options["prefer_grpc"], options["check_compatibility"]) == (True, False)
        assert "api_key" not in translate.client_options(Settings(qdrant_url="http://q"))


class GrpcFailure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "error", "fact"),
        [
            (grpc.StatusCode.NOT_FOUND, CollectionNotFound, ""),
            (grpc.StatusCode.UNAUTHENTICATED, IndexUnavailable, "LIBRARIAN_QDRANT_API_KEY"),
            (grpc.StatusCode.PERMISSION_DENIED, IndexUnavailable, "LIBRARIAN_QDRANT_API_KEY"),
            (grpc.StatusCode.INVALID_ARGUMENT, BadInput, "some words"),
            (grpc.StatusCode.UNAVAILABLE, IndexUnavailable, "LIBRARIAN_QDRANT_GRPC_PORT"),
            (grpc.StatusCode.DEADLINE_EXCEEDED, IndexUnavailable, "DEADLINE_EXCEEDED"),
        ],
    )
    def test_grpc_codes_become_our_errors(self, code: grpc.StatusCode, error: type[Exception], fact: str) -> None:
        ours = translate.failure(GrpcFailure(code, "some\nwords"), "http://q:6333", "docs")
        assert type(ours) is error
        assert fact in str(ours)
        assert "\n" not in str(ours)

    def test_the_memory_modes_words_for_an_unknown_collection_are_understood(self) -> None:
        assert isinstance(translate.failure(ValueError("Collection docs not found"), "m", "docs"), CollectionNotFound)
        assert isinstance(translate.failure(ValueError("shapes do not fit"), "m", "docs"), BadInput)


class TestSpread:
    def test_a_server_decides_by_itself_unless_asked(self) -> None:
        assert not {"shard_number", "replication_factor", "write_consistency_factor"} & set(
            translate.collection_options(CollectionSpec(3, {}), Spread.of(Settings()))
        )

    def test_vectors_are_whole_in_memory_unless_int8_is_asked_for(self) -> None:
        made = {
            way: translate.collection_options(CollectionSpec(3, {}), Spread.of(Settings(qdrant_quantization=way)))
            for way in ("none", "int8")
        }
        plain, quantized = (made[way]["vectors_config"][translate.DENSE] for way in ("none", "int8"))
        assert plain.model_dump(exclude_none=True) == {"size": 3, "distance": models.Distance.COSINE}
        assert quantized.on_disk
        assert quantized.quantization_config.scalar.type == models.ScalarType.INT8
        assert quantized.quantization_config.scalar.always_ram
        assert (quantized.size, quantized.distance) == (plain.size, plain.distance)

    @pytest.mark.parametrize(("copies", "confirmed_by"), [(1, 1), (2, 1), (3, 2), (5, 3)])
    def test_a_new_collection_is_spread_as_the_settings_say(self, copies: int, confirmed_by: int) -> None:
        settings = Settings(qdrant_shards=6, qdrant_replication=copies)
        options = translate.collection_options(CollectionSpec(3, {}), Spread.of(settings))
        assert options["shard_number"] == 6
        assert (options["replication_factor"], options["write_consistency_factor"]) == (copies, confirmed_by)
