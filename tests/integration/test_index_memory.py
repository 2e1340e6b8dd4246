"""The embedded engine's memory: pages of its files are let go, and nothing is lost by it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from rag.index import DENSE, SPARSE, CollectionSpec, DenseLeg, Record, SparseLeg, pages
from rag.index import edge as driver
from rag.index.checks import KEYWORD_FIELDS
from rag.index.embedded import EmbeddedIndex
from rag.index.folder import write_json
from rag.schema import Scope, SparseVector

OWNER = Scope.owner("acme")
SIZE = 64


def records(numbers: range) -> list[Record]:
    random = np.random.default_rng(numbers.start)
    return [
        Record(
            str(uuid.UUID(int=number)),
            random.standard_normal(SIZE).tolist(),
            SparseVector((number % 50, 100), (1.0, 0.5)),
            {"n": number, "text": f"text {number} " * 50},
        )
        for number in numbers
    ]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    made = EmbeddedIndex(tmp_path / "index")
    made.create("docs", CollectionSpec(SIZE))
    yield made
    made.close()


def mapped_kilobytes(folder: Path) -> int:
    """What this process holds of the files below a folder."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = str(folder) in line
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")


@linux
def test_pages_that_are_let_go_count_no_more_and_lose_nothing(index: EmbeddedIndex, tmp_path: Path) -> None:
    index.upsert("docs", records(range(3000)), OWNER)
    legs = [DenseLeg(records(range(1))[0].dense, 20), SparseLeg(SparseVector((7,), (1.0,)), 20)]
    before = index.query("docs", legs, OWNER)
    assert mapped_kilobytes(tmp_path) > 2000
    pages.release(tmp_path / "index" / "collections" / "docs" / "shard")
    assert mapped_kilobytes(tmp_path) < 1000
    assert index.query("docs", legs, OWNER) == before
    assert index.fetch("docs", [str(uuid.UUID(int=2999))], OWNER)[0].payload["n"] == 2999


@linux
def test_a_long_job_holds_little_of_what_it_wrote_and_read(
    index: EmbeddedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "FLUSH_EVERY_POINTS", 1000)
    monkeypatch.setattr(driver, "RELEASE_EVERY_POINTS", 1000)
    peaks = []
    for start in range(0, 8000, 1000):
        index.upsert("docs", records(range(start, start + 1000)), OWNER)
        peaks.append(mapped_kilobytes(tmp_path))
    assert sum(1 for _ in index.scroll("docs", OWNER)) == 8000
    peaks.append(mapped_kilobytes(tmp_path))
    assert max(peaks) < 4000, peaks


def test_where_nothing_is_mapped_nothing_happens(tmp_path: Path) -> None:
    pages.release(tmp_path)


def test_a_shard_of_an_earlier_version_still_opens(tmp_path: Path) -> None:
    """Its dense vectors were made without a memory placement."""
    folder = tmp_path / "index" / "collections" / "old"
    folder.mkdir(parents=True)
    config = edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=SIZE, distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )
    shard = edge.EdgeShard.create(str(folder / "shard"), config)
    shard.update(edge.UpdateOperation.create_field_index("tenant", edge.KeywordIndexParams(is_tenant=True)))
    for field in (*KEYWORD_FIELDS[:-1], "source"):
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    shard.flush()
    shard.close()
    write_json(folder / "collection.json", {"format": 1, "dense_size": SIZE, "metadata": {}})
    index = EmbeddedIndex(tmp_path / "index")
    index.upsert("old", records(range(10)), OWNER)
    assert index.count("old", OWNER) == 10
    assert len(index.query("old", [DenseLeg(records(range(1))[0].dense, 20)], OWNER)[0]) == 10
    index.close()
