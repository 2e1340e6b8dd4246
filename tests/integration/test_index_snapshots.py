"""A collection in one file: written by one driver, read by another, and never trusted."""

from __future__ import annotations

import gzip
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from rag.errors import BadInput, CollectionExists, CollectionNotFound, IndexUnavailable
from rag.index import CollectionSpec, DenseLeg, Index, Record, SparseLeg
from rag.index import snapshots as module
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.index.snapshots import BadSnapshot, check, restore, snapshot
from rag.schema import Scope, SparseVector

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

SPEC = CollectionSpec(3, {"dense": {"name": "minilm", "sha256": "ab"}, "chunker": "structure-1:256", "format": 2})
LEGS = [DenseLeg((0.6, 0.8, 0.1), 50), SparseLeg(SparseVector((1, 3), (1.0, 2.0)), 50)]
POINTS = 120


def made(driver: str, folder: Path) -> Index:
    """The in-memory mode of qdrant_client stands for a server."""
    if driver == "embedded":
        return EmbeddedIndex(folder / "index")
    return ServerIndex(QdrantClient(":memory:"), "http://memory:6333")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    index = EmbeddedIndex(tmp_path / "index")
    fill(index)
    yield index
    index.close()


def fill(index: Index) -> None:
    index.create("docs-1", SPEC)
    index.set_alias("docs", "docs-1")
    for tenant in ("acme", "rival 東京"):
        records = [
            Record(
                str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}{number}")),
                () if number % 50 == 1 else (1.0, float(number), 0.5),
                SparseVector((), ()) if number % 50 == 2 else SparseVector((number % 7, 99), (0.5, 1.25)),
                {"n": number, "text": f"naïve {number}\u0000\n", "groups": ["staff"] if number % 3 else [], "x": None},
            )
            for number in range(POINTS)
        ]
        index.upsert("docs-1", records, Scope.owner(tenant))


def everything(index: Index, name: str) -> dict[str, Any]:
    return {
        record.id: (
            record.payload,
            [round(value, 5) for value in record.dense],
            dict(zip(record.sparse.indices, record.sparse.values, strict=True)),
        )
        for tenant in index.tenants(name)
        for record in index.records(name, Scope.owner(tenant))
    }


@pytest.mark.parametrize("source", ["embedded", "memory"])
@pytest.mark.parametrize("target", ["embedded", "memory"])
def test_what_one_driver_wrote_any_driver_reads(source: str, target: str, tmp_path: Path) -> None:
    before, after = made(source, tmp_path / "a"), made(target, tmp_path / "b")
    fill(before)
    written = snapshot(before, "docs", tmp_path / "docs.gz")
    assert (written.collection, written.points, written.aliases) == ("docs-1", 2 * POINTS, ("docs",))
    read = restore(after, tmp_path / "docs.gz")
    assert read == written
    info = after.describe("docs-1")
    assert (info.spec, info.points, info.aliases) == (SPEC, 2 * POINTS, ())
    assert everything(after, "docs-1") == everything(before, "docs-1")
    for tenant in ("acme", "rival 東京"):
        for ours, theirs in zip(
            before.query("docs", LEGS, Scope(tenant)), after.query("docs-1", LEGS, Scope(tenant)), strict=True
        ):
            assert {hit.id: hit.score for hit in ours} == pytest.approx({h.id: h.score for h in theirs}, abs=1e-5)
    before.close()
    after.close()


def test_the_files_first_line_says_what_it_holds(index: EmbeddedIndex, tmp_path: Path) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    with gzip.open(tmp_path / "docs.gz") as file:
        header = json.loads(file.readline())
    assert header["format"] == 1
    assert (header["collection"], header["dense_size"], header["aliases"]) == ("docs-1", 3, ["docs"])
    assert header["metadata"] == SPEC.metadata


def test_an_empty_collection_survives_too(index: EmbeddedIndex, tmp_path: Path) -> None:
    index.create("empty", SPEC)
    assert snapshot(index, "empty", tmp_path / "e.gz").points == 0
    restore(index, tmp_path / "e.gz", "again")
    assert index.describe("again").spec == SPEC


def test_a_file_that_exists_is_not_written_over(index: EmbeddedIndex, tmp_path: Path) -> None:
    (tmp_path / "docs.gz").write_text("precious")
    with pytest.raises(BadInput, match="exists"):
        snapshot(index, "docs", tmp_path / "docs.gz")
    assert (tmp_path / "docs.gz").read_text() == "precious"


def test_a_snapshot_that_fails_leaves_no_file(
    index: EmbeddedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[Record]:
        yield next(EmbeddedIndex.records(index, "docs", Scope.owner("acme")))
        raise IndexUnavailable("gone")

    monkeypatch.setattr(index, "records", fail)
    with pytest.raises(IndexUnavailable):
        snapshot(index, "docs", tmp_path / "docs.gz")
    assert not list(tmp_path.glob("*docs.gz*"))
    with pytest.raises(BadInput, match="cannot be written"):
        snapshot(index, "docs", tmp_path / "no" / "such" / "docs.gz")


def test_a_taken_name_is_refused_and_what_has_it_stays(index: EmbeddedIndex, tmp_path: Path) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    for name, kind in ((None, "a collection"), ("docs", "an alias")):
        with pytest.raises(CollectionExists, match=kind):
            restore(index, tmp_path / "docs.gz", name)
    assert index.describe("docs").points == 2 * POINTS
    with pytest.raises(BadInput):
        restore(index, tmp_path / "docs.gz", "../outside")


def lines(path: Path) -> list[bytes]:
    with gzip.open(path) as file:
        return file.readlines()


def sealed(path: Path, changed: list[bytes]) -> Path:
    """A file of these lines with a checksum that is right: a foe can count as well."""
    import hashlib

    *rest, last = changed
    facts = {**json.loads(last), "sha256": hashlib.sha256(b"".join(rest)).hexdigest()}
    path.write_bytes(gzip.compress(b"".join([*rest, json.dumps(facts).encode() + b"\n"])))
    return path


def point(line: bytes, **facts: Any) -> bytes:
    return json.dumps({**json.loads(line), **facts}).encode() + b"\n"


HOSTILE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "is of format": lambda all_: [point(all_[0], format=2), *all_[1:]],
    "cannot name a collection": lambda all_: [point(all_[0], collection="../../etc"), *all_[1:]],
    "lacks the collection": lambda all_: [point(all_[0], dense_size=10**9), *all_[1:]],
    "size must be at least 1": lambda all_: [point(all_[0], dense_size=-1), *all_[1:]],
    "it is of format None": lambda all_: [b"{}\n", *all_[1:]],
    "holds 239": lambda all_: [*all_[:1], *all_[2:]],
    "is not a point id": lambda all_: [all_[0], point(all_[1], id="../x"), *all_[2:]],
    "point 1 is none": lambda all_: [all_[0], point(all_[1], dense="AAAA"), *all_[2:]],
    "has not the collection's size": lambda all_: [all_[0], point(all_[1], dense="AAAAAA=="), *all_[2:]],
    "not a finite number": lambda all_: [all_[0], point(all_[1], dense="AADAfwAAwH8AAMB/"), *all_[2:]],
    "point 1 is none: ": lambda all_: [all_[0], point(all_[1], payload=[]), *all_[2:]],
    "must be a list of non-empty names": lambda all_: [
        all_[0],
        point(all_[1], payload={"tenant": "acme", "groups": "staff"}),
        *all_[2:],
    ],
    "no tenant": lambda all_: [all_[0], point(all_[1], payload={"tenant": ["acme"]}), *all_[2:]],
    "no JSON": lambda all_: [all_[0], b"[" * 100_000 + b"\n", *all_[2:]],
    "no JSON object": lambda all_: [all_[0], b"[]\n", *all_[2:]],
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_hostile_file_is_refused_by_name_before_anything_is_made(
    why: str, index: EmbeddedIndex, tmp_path: Path
) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    bad = sealed(tmp_path / "bad.gz", HOSTILE[why](lines(tmp_path / "docs.gz")))
    before = index.collections()
    with pytest.raises(BadSnapshot, match=why) as raised:
        restore(index, bad, "restored")
    assert str(bad) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert index.collections() == before


def test_a_damaged_or_foreign_file_is_refused(index: EmbeddedIndex, tmp_path: Path) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    good = (tmp_path / "docs.gz").read_bytes()
    middle = len(good) // 2
    cases = {
        "cut": good[:middle],
        "empty": b"",
        "flipped": good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :],
        "foreign": b"PK\x03\x04 a zip",
        "text": b"hello\n",
        "no end": gzip.compress(b"".join(lines(tmp_path / "docs.gz")[:-1])),
        "changed": gzip.compress(b"".join(lines(tmp_path / "docs.gz")).replace(b"rival", b"RIVAL")),
        "more behind": good + gzip.compress(b"{}\n"),
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.gz"
        path.write_bytes(content)
        with pytest.raises(BadSnapshot, match=name):
            restore(index, path, "restored")
    for path in (tmp_path / "absent.gz", tmp_path):
        with pytest.raises(BadSnapshot, match="cannot be read"):
            check(path)
    with pytest.raises(CollectionNotFound):
        index.describe("restored")


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100_000)
    header = {"format": 1, "collection": "c", "dense_size": 3, "metadata": {}, "aliases": []}
    record = {"id": str(uuid.uuid4()), "dense": "", "sparse": ["", ""], "payload": {"tenant": "t", "x": "0" * 50_000}}
    line = json.dumps(record).encode() + b"\n"
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(json.dumps(header).encode() + b"\n" + line * 400))
    with pytest.raises(BadSnapshot, match="unpacks to more than 200 times"):
        check(tmp_path / "bomb.gz")
    (tmp_path / "line.gz").write_bytes(gzip.compress(b"0" * 10_000_000))
    with pytest.raises(BadSnapshot, match="too long"):
        check(tmp_path / "line.gz")


class FailingIndex:
    """Fails at the n-th upsert, as a disk that is full or a server that is gone; `killed`: nothing else works after."""

    def __init__(self, index: Index, killed: bool) -> None:
        self._index = index
        self._killed = killed
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        if self._dead:
            raise IndexUnavailable("the process is gone")
        return getattr(self._index, name)

    def upsert(self, name: str, records: Any, scope: Scope) -> None:
        self._index.upsert(name, list(records)[:5], scope)
        self._dead = self._killed
        raise IndexUnavailable("the disk is full")


def test_a_restore_that_fails_leaves_nothing(index: EmbeddedIndex, tmp_path: Path) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    before = index.collections()
    with pytest.raises(IndexUnavailable, match="full"):
        restore(FailingIndex(index, killed=False), tmp_path / "docs.gz", "restored")  # type: ignore[arg-type]
    assert index.collections() == before


def test_what_a_killed_restore_left_is_made_anew(index: EmbeddedIndex, tmp_path: Path) -> None:
    snapshot(index, "docs", tmp_path / "docs.gz")
    with pytest.raises(IndexUnavailable):
        restore(FailingIndex(index, killed=True), tmp_path / "docs.gz", "restored")  # type: ignore[arg-type]
    assert index.describe("restored").aliases == ("restored.restoring",)
    restore(index, tmp_path / "docs.gz", "restored")
    assert index.describe("restored").aliases == ()
    assert everything(index, "restored") == everything(index, "docs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(index: EmbeddedIndex, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(BadInput, match="cannot be written"):
        snapshot(index, "docs", tmp_path / "closed" / "docs.gz")
