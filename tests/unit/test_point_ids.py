"""A chunk's id: always the same, nobody else's, and telling its document and its place in it."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.point_ids import beside, document_part, ids_tell_documents, least_id, part_of, point_id
from rag.schema import Document, Scope

ORDINALS = st.integers(0, 2**24 - 1)
TEXTS = st.text(max_size=8)


def identity(
    uri: str = "a", ordinal: int = 0, *, content: str = "1", chunker: str = "structure-2:96", tenant: str = "t"
) -> str:
    return point_id(Document(uri, "", "", "", content), ordinal, chunker, Scope(tenant))


@given(TEXTS, ORDINALS, TEXTS)
def test_an_id_is_a_uuid_of_version_8_in_its_canonical_spelling(uri: str, ordinal: int, content: str) -> None:
    found = uuid.UUID(identity(uri, ordinal, content=content))
    assert str(found) == identity(uri, ordinal, content=content)
    assert (found.version, found.variant) == (8, uuid.RFC_4122)


@given(*[st.tuples(TEXTS, ORDINALS, TEXTS, TEXTS, TEXTS)] * 2)
def test_whatever_differs_makes_another_id(
    one: tuple[str, int, str, str, str], other: tuple[str, int, str, str, str]
) -> None:
    ids = [
        identity(uri, ordinal, content=content, chunker=chunker, tenant=tenant)
        for uri, ordinal, content, chunker, tenant in (one, other)
    ]
    assert (ids[0] == ids[1]) == (one == other)


def test_an_id_stays_what_it_is() -> None:
    """Another way to make them needs another FORMAT in rag/collections.py: the points of old ones would be orphans."""
    assert identity("file:///a.md", 10) == "54ec825f-1557-8447-ac91-f9786800000a"


def test_all_chunks_of_a_document_begin_alike_and_no_other_document_s() -> None:
    same = {identity("a", 3), identity("a", 4), identity("a", content="2"), identity("a", chunker="structure-2:64")}
    assert len({document_part(each) for each in same}) == 1
    parts = {document_part(each) for each in (identity("a"), identity("b"), identity("a", tenant="u"))}
    assert len(parts) == 3
    assert part_of("a", Scope("t")) == document_part(identity("a", 7, tenant="t"))


@given(TEXTS, ORDINALS, TEXTS)
def test_a_documents_ids_begin_at_its_least(uri: str, ordinal: int, content: str) -> None:
    found = identity(uri, ordinal, content=content)
    assert least_id(uri, Scope("t")) < found
    assert document_part(least_id(uri, Scope("t"))) == document_part(found)


@pytest.mark.parametrize(
    ("metadata", "tell"), [({"format": 4}, True), ({"format": 5}, True), ({"format": 3}, False), ({}, False)]
)
def test_collections_of_earlier_formats_have_ids_that_tell_nothing(metadata: dict[str, int], tell: bool) -> None:
    assert ids_tell_documents(metadata) is tell


@given(ORDINALS, st.integers(-3, 3))
def test_the_chunk_beside_another_is_found_without_looking(ordinal: int, step: int) -> None:
    there = 0 <= ordinal + step < 2**24
    assert beside(identity("a", ordinal), step) == (identity("a", ordinal + step) if there else None)


@pytest.mark.parametrize("other", ["", "a", str(uuid.uuid5(uuid.NAMESPACE_URL, "a"))])
def test_nothing_is_beside_what_is_no_chunk(other: str) -> None:
    assert beside(other, 1) is None


@pytest.mark.parametrize("ordinal", [-1, 2**24])
def test_a_place_that_no_chunk_can_have_is_refused(ordinal: int) -> None:
    with pytest.raises(ValueError, match="at most 16,777,216 chunks"):
        identity("a", ordinal)
