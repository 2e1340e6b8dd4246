"""What a job takes over from the index: which documents are there whole, and which a killed job left half-done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger import Ledger
from rag.index.embedded import EmbeddedIndex
from rag.index.interface import CollectionSpec, Record
from rag.schema import Scope, SparseVector

SCOPE = Scope.owner("t")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index")
    opened.create("c", CollectionSpec(2))
    yield opened
    opened.close()


def points(uri: str, version: str, ordinals: Sequence[int], of: int, state: str = "whole") -> list[Record]:
    def payload(ordinal: int) -> Mapping[str, Any]:
        place = {} if ordinal else {"part": "head", "state": state, "stamp": f"stamp of {uri}"}
        return {**place, "doc": uri, "doc_hash": version, "chunks": of, "ordinal": ordinal}

    return [
        Record(str(uuid.uuid5(uuid.NAMESPACE_URL, f"{uri} {version} {n}")), [1, 0], SparseVector((), ()), payload(n))
        for n in ordinals
    ]


def sound(index: EmbeddedIndex, records: Sequence[Record], thorough: bool = False) -> dict[str, bool]:
    """Whether each document in the ledger is sound, once the index holds the records."""
    index.upsert("c", records, SCOPE)
    with Ledger() as ledger:
        ledger.read(index, "c", SCOPE, thorough)
        return {each.uri: each.sound for each in ledger.unseen()}


@pytest.mark.parametrize("thorough", [False, True])
class TestWhatIsSound:
    def test_documents_that_are_there_whole_are(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", range(3), 3), *points("b", "1", [0], 1)]
        assert sound(index, records, thorough) == {"a": True, "b": True}

    def test_a_document_that_was_being_written_is_not(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", [0, 1], 3, "writing"), *points("b", "1", [0], 1)]
        assert sound(index, records, thorough) == {"a": False, "b": True}

    def test_a_document_in_two_versions_is_not(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", range(3), 3), *points("a", "2", range(3), 3)]
        assert sound(index, records, thorough) == {"a": False}

    def test_points_without_a_head_are_a_document_that_is_not(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", [1, 2], 3), *points("b", "1", [0], 1)]
        assert sound(index, records, thorough) == {"a": False, "b": True}

    def test_a_document_that_lost_a_chunk_is_not(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", [0, 2], 3), *points("b", "1", range(2), 2)]
        assert sound(index, records, thorough) == {"a": False, "b": True}

    def test_a_document_with_left_overs_of_another_version_is_not(self, index: EmbeddedIndex, thorough: bool) -> None:
        records = [*points("a", "1", range(3), 3), *points("a", "0", [4], 5), *points("b", "1", range(2), 2)]
        assert sound(index, records, thorough) == {"a": False, "b": True}


def test_only_a_thorough_look_finds_losses_and_left_overs_that_cancel_out(index: EmbeddedIndex) -> None:
    records = [*points("a", "1", [0, 2], 3), *points("b", "0", [1], 3)]
    assert sound(index, records) == {"a": True}
    assert sound(index, [], thorough=True) == {"a": False, "b": False}


def test_another_tenants_documents_are_not_in_it(index: EmbeddedIndex) -> None:
    index.upsert("c", points("a", "1", [0], 1), Scope.owner("other"))
    assert sound(index, []) == {}


def test_what_was_seen_is_told_from_what_was_not(index: EmbeddedIndex) -> None:
    uris = [f"doc {n}" for n in range(1500)]
    index.upsert("c", [record for uri in uris for record in points(uri, "1", [0], 1)], SCOPE)
    with Ledger() as ledger:
        ledger.read(index, "c", SCOPE)
        held = ledger.look_up(uris[:1200])
        assert {held[each].stamp for each in ("doc 0", "doc 1199")} == {"stamp of doc 0", "stamp of doc 1199"}
        assert {each.uri for each in ledger.unseen()} == set(uris[1200:])
        assert ledger.look_up(["no such"]) == {}


def test_each_document_is_told_apart_however_it_came_into_the_ledger(index: EmbeddedIndex) -> None:
    whole = [f"doc {n}" for n in range(700)]
    headless = [f"lost {n}" for n in range(30)]
    records = [record for uri in whole for record in points(uri, "1", [0], 1)]
    records += [record for uri in headless for record in points(uri, "1", [1], 2)]
    records += points("doc 5", "2", [0], 1)  # a second head
    index.upsert("c", records, SCOPE)
    with Ledger() as some:
        some.read(index, "c", SCOPE, only=whole)  # in more than one batch
        assert len({each.number for each in some.look_up(whole).values()}) == 700
        assert list(some.unseen()) == []
    with Ledger() as every:
        every.read(index, "c", SCOPE)
        every.look_up([*whole[:699], *headless[:29]])
        assert [each.uri for each in every.unseen()] == ["doc 699", "lost 29"]


@given(st.lists(st.text(min_size=1).filter(lambda each: each.isprintable()), unique=True, max_size=20))
def test_any_uri_can_be_looked_up(uris: list[str]) -> None:
    class Few:
        """Stands for an index that holds one head of each URI."""

        def scroll(self, *_: object) -> Iterator[Any]:
            from rag.index.interface import Stored

            for each in uris:
                yield Stored("id", {"doc": each, "doc_hash": "1", "chunks": 1, "state": "whole", "ordinal": 0})

        def count(self, *_: object) -> int:
            return len(uris)

    with Ledger() as ledger:
        ledger.read(Few(), "c", SCOPE)  # type: ignore[arg-type]
        assert set(ledger.look_up(uris)) == set(uris)
        assert list(ledger.unseen()) == []
