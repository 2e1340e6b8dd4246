"""Where the embedded engine has an index of documents and where their ids take its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import qdrant_edge as edge

from rag.index import CollectionSpec, Record
from rag.index.edge import Shard
from rag.index.embedded import EmbeddedIndex
from rag.index.folder import write_json
from rag.point_ids import point_id
from rag.schema import Document, SparseVector
from tests.integration.embedded_index.processes import OWNER

NO_SPARSE = SparseVector((), ())


def of_document(uri: str, ordinal: int) -> Record:
    identity = point_id(Document(uri, "", "", "", "1"), ordinal, "chunker-1", OWNER)
    return Record(identity, (1.0, 2.0, 3.0), NO_SPARSE, {"doc": uri})


def indexed(folder: Path) -> set[str]:
    shard = edge.EdgeShard.load(str(folder / "collections" / "docs" / "shard"))
    found = set(shard.info().payload_schema)
    shard.close()
    return found


@pytest.mark.parametrize(
    ("metadata", "has"), [({"format": 4}, False), ({"format": 5}, False), ({"format": 3}, True), ({}, True)]
)
def test_only_a_collection_whose_ids_tell_no_document_has_an_index_of_them(
    folder: Path, metadata: dict[str, object], has: bool
) -> None:
    index = EmbeddedIndex(folder)
    index.create("docs", CollectionSpec(3, metadata))
    index.close()
    assert indexed(folder) == {"tenant", "groups", "part", *(["doc"] if has else [])}


def test_a_collection_that_was_made_with_the_index_goes_on(folder: Path) -> None:
    made = folder / "collections" / "docs"
    made.mkdir(parents=True)
    Shard.create(made / "shard", 3, ids_tell_documents=False)
    write_json(made / "collection.json", {"format": 1, "dense_size": 3, "metadata": {"format": 4}})
    index = EmbeddedIndex(folder)
    index.upsert("docs", [of_document(uri, each) for uri in ("file:a", "file:b") for each in range(3)], OWNER)
    assert index.count("docs", OWNER, {"doc": ["file:a"]}) == 3
    index.delete("docs", [of_document("file:a", 0).id], OWNER)
    assert {each.id for each in index.scroll("docs", OWNER, where={"doc": ["file:a"]})} == {
        of_document("file:a", each).id for each in (1, 2)
    }
    index.close()
    assert "doc" in indexed(folder)
