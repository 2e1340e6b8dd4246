"""What every driver promises of a document's points, where ids tell the document: found by its URI, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rag.point_ids
from rag.filters import And, Equals, Exists, Filter, In, Not, Or, matches
from rag.index import CollectionSpec, Index, Record, Where
from rag.index.edge_documents import FIRST_PAGE
from rag.point_ids import point_id
from rag.schema import Document, Scope
from tests.integration.index_contract.drivers import NO_SPARSE, OWNER, SIZE, Names, Shim, dense

SPEC = CollectionSpec(SIZE, {"format": 4})
RIVAL = Scope.owner("rival")
URIS = ["file:a", "file:b", "file:c"]


def chunk(uri: str, ordinal: int = 0, version: str = "1", scope: Scope = OWNER, **payload: Any) -> Record:
    identity = point_id(Document(uri, "", "", "", version), ordinal, "chunker-1", scope)
    return Record(identity, (1.0, 0.0, 0.0, 0.0), NO_SPARSE, {"doc": uri, "ordinal": ordinal, **payload})


def chunks(uri: str, count: int, version: str = "1", scope: Scope = OWNER) -> list[Record]:
    return [chunk(uri, ordinal, version, scope) for ordinal in range(count)]


def ids(records: Sequence[Record]) -> list[str]:
    return sorted(each.id for each in records)


def found(index: Index, name: str, where: Where, scope: Scope = OWNER) -> list[str]:
    """The ids that the condition keeps, on which every way of reading must agree."""
    (hits,) = index.query(name, [dense(limit=1000)], scope, where)
    kept = sorted(hit.id for hit in hits)
    assert index.count(name, scope, where) == len(kept)
    if not isinstance(index, Shim):
        assert [each.id for each in index.scroll(name, scope, where=where)] == kept
    return kept


def test_a_document_has_all_its_chunks_of_all_its_versions(index: Index, names: Names) -> None:
    index.create(names.docs, SPEC)
    large, other = [*chunks("file:a", 5 * FIRST_PAGE), *chunks("file:a", 3, "2")], chunks("file:b", FIRST_PAGE)
    index.upsert(names.docs, [*large, *other], OWNER)
    assert found(index, names.docs, {"doc": ["file:a"]}) == ids(large)
    assert found(index, names.docs, {"doc": ["file:b"]}) == ids(other)
    assert found(index, names.docs, {"doc": ["file:b", "file:a"]}) == ids([*large, *other])
    assert found(index, names.docs, {"doc": ["file:a"], "ordinal": []}) == []


def test_absent_and_deleted_documents_have_none(index: Index, names: Names) -> None:
    index.create(names.docs, SPEC)
    assert found(index, names.docs, {"doc": ["file:a"]}) == []
    gone, kept = chunks("file:a", 3), chunks("file:b", 3)
    index.upsert(names.docs, [*gone, *kept], OWNER)
    index.delete(names.docs, ids(gone[1:]), OWNER)
    assert found(index, names.docs, {"doc": ["file:a"]}) == ids(gone[:1])
    index.delete(names.docs, ids(gone), OWNER)
    assert found(index, names.docs, {"doc": ["file:a", "file:z"]}) == []
    assert found(index, names.docs, {"doc": []}) == []
    assert found(index, names.docs, {"doc": ["file:b"]}) == ids(kept)


def test_two_tenants_hold_the_same_document_apart(index: Index, names: Names) -> None:
    index.create(names.docs, SPEC)
    ours, theirs = chunks("file:a", 2), chunks("file:a", 3, scope=RIVAL)
    index.upsert(names.docs, ours, OWNER)
    index.upsert(names.docs, theirs, RIVAL)
    assert found(index, names.docs, {"doc": ["file:a"]}) == ids(ours)
    assert found(index, names.docs, {"doc": ["file:a"]}, RIVAL) == ids(theirs)


def test_two_documents_of_one_hash_are_told_apart(index: Index, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rag.point_ids._hash
    monkeypatch.setattr(rag.point_ids, "_hash", lambda bits, *parts: 7 if len(parts) == 2 else made(bits, *parts))
    index.create(names.docs, SPEC)
    one, other = chunks("file:a", 3), chunks("file:b", 2 * FIRST_PAGE)
    assert {each.id[:18] for each in (*one, *other)} == {"00000000-0000-8007"}
    index.upsert(names.docs, [*one, *other], OWNER)
    assert found(index, names.docs, {"doc": ["file:a"]}) == ids(one)
    assert found(index, names.docs, Equals("uri", "file:b")) == ids(other)


terms: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, st.just("uri"), st.sampled_from([*URIS, "file:z"])),
    st.builds(In, st.just("uri"), st.lists(st.sampled_from(URIS), max_size=2)),
    st.builds(Exists, st.sampled_from(["uri", "page"])),
    st.builds(Equals, st.just("page"), st.sampled_from([1, 2])),
)
wheres: st.SearchStrategy[Filter] = st.recursive(
    terms,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(lambda parts: And(tuple(parts)), st.lists(part, min_size=1, max_size=2)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(part, min_size=1, max_size=2)),
    ),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    held=st.sets(st.tuples(st.sampled_from(URIS), st.integers(0, 2), st.sampled_from("12"), st.sampled_from([1, 2]))),
    asked=st.lists(wheres, min_size=1, max_size=4),
    scope=st.sampled_from([OWNER, RIVAL]),
)
def test_a_filter_on_uris_means_the_same_wherever_it_stands(
    index: Index, names: Names, held: set[tuple[str, int, str, int]], asked: list[Filter], scope: Scope
) -> None:
    if not any(known.name == names.docs for known in index.collections()):
        index.create(names.docs, SPEC)
    index.delete(names.docs, [chunk(uri, at, version).id for uri in URIS for at in range(3) for version in "12"], OWNER)
    chosen = [chunk(uri, at, version, page=page) for uri, at, version, page in sorted(held)]
    written = {each.id: each for each in chosen}
    index.upsert(names.docs, list(written.values()), OWNER)
    for where in asked:
        expected = [each for each in written.values() if scope == OWNER and matches(where, each.payload)]
        assert found(index, names.docs, where, scope) == ids(expected), where
