"""An embedded collection that mostly holds deleted points is made smaller at the end of an ingest."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

import rag.index.edge
from ingest.compacting import compact
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope, SparseVector
from rag.settings import Settings

OWNER = Scope.owner()


@pytest.fixture
def index(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedIndex]:
    monkeypatch.setattr(rag.index.edge, "WORTH_OPTIMIZING", 100)
    opened = EmbeddedIndex(settings().index_dir)
    opened.create("documents-1", CollectionSpec(4))
    opened.set_alias("documents", "documents-1")
    yield opened
    opened.close()


def ids(count: int, first: int = 0) -> list[str]:
    return [str(uuid.UUID(int=each)) for each in range(first + 1, first + count + 1)]


def write(index: EmbeddedIndex, names: list[str]) -> None:
    vector = (1.0, 2.0, 3.0, 4.0)
    index.upsert(
        "documents", [Record(each, vector, SparseVector((1,), (1.0,)), {"doc": each}) for each in names], OWNER
    )


def test_it_is_made_smaller_once_most_is_deleted_and_then_left_alone(
    index: EmbeddedIndex, settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    write(index, ids(1000))
    compact(index, settings())
    index.delete("documents", ids(300), OWNER)
    compact(index, settings())
    assert capsys.readouterr().err == ""
    index.delete("documents", ids(800), OWNER)
    compact(index, settings(compact=False))
    assert capsys.readouterr().err == ""
    compact(index, settings())
    assert "making it smaller" in capsys.readouterr().err
    compact(index, settings())
    assert capsys.readouterr().err == ""
    assert sorted(each.id for each in index.scroll("documents", OWNER)) == ids(200, 800)


def test_a_collection_that_is_not_there_is_none_of_its_business(
    index: EmbeddedIndex, settings: Callable[..., Settings]
) -> None:
    compact(index, settings(collection="absent"))
