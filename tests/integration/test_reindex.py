"""A collection built anew beside the old one: whole, resumable, and without a gap for readers."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from ingest.chunking import chunk, chunker_name
from ingest.reindex import Reindexed
from ingest.writer import Writer
from rag.collections import check_readable, fingerprint
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.errors import BadInput, Cancelled, CollectionExists, FingerprintMismatch
from rag.index import CollectionInfo, CollectionSpec, DenseLeg, Index, Record, SparseLeg
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.index.threaded import ThreadedIndex
from rag.payload import HEADS, to_payload
from rag.retrieval import Retriever
from rag.schema import Scope, SparseVector
from tests.integration.reindexing import (
    TENANTS,
    HashEncoder,
    KillingIndex,
    document,
    fill,
    in_a_process_that_is_killed,
    loosely,
    part,
    reindex,
    settings,
    state,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

FIRST = HashEncoder("first")
OTHER_SIZE = HashEncoder("first", 40)


def second() -> HashEncoder:
    return HashEncoder("second", 40)


@pytest.fixture(params=["embedded", "memory"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    """The in-memory mode of qdrant_client stands for a server."""
    made: Index
    if request.param == "embedded":
        made = EmbeddedIndex(tmp_path / "index")
    else:
        made = ServerIndex(QdrantClient(":memory:"), "http://memory:6333")
    yield made
    made.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    made = EmbeddedIndex(tmp_path / "index")
    yield made
    made.close()


def undisturbed(folder: Path, encoder: HashEncoder, documents: int = 8) -> dict[str, Any]:
    """What an ingest with the new encoder would have left, with no re-index at all."""
    index = EmbeddedIndex(folder / "fresh")
    try:
        fill(index, encoder, documents)
        return loosely(state(index))
    finally:
        index.close()


def contents(found: dict[str, Any]) -> list[Any]:
    return [sorted(each["points"].items()) for each in found.values()]


class TestResult:
    def test_it_leaves_what_an_ingest_with_the_new_encoder_would_have(self, index: Index, tmp_path: Path) -> None:
        old = fill(index, FIRST)
        report = reindex(index, second(), tmp_path)
        assert loosely(state(index)) == undisturbed(tmp_path, second())
        assert (report.documents, report.written, report.deleted, report.incomplete) == (16, 16, 0, [])
        assert report.old == old
        assert report.deleted_collections == [old]
        assert index.describe("documents").name == report.new
        check_readable(index.describe("documents"), fingerprint(second(), Bm25Encoder()))

    def test_pages_groups_metadata_and_stamps_stay(self, index: Index, tmp_path: Path) -> None:
        fill(index, FIRST)
        reindex(index, second(), tmp_path)
        heads = {each.payload["doc"]: each.payload for each in index.scroll("documents", Scope.owner("acme"))}
        for number in range(8):
            before = document(number)
            head = heads[before.uri]
            assert (head["groups"], head["metadata"]) == (list(before.groups), before.metadata)
            assert head["doc_hash"] == before.content_hash
        pages = {(each.payload["doc"], each.payload["page"]) for each in index.scroll("documents", Scope.owner("acme"))}
        assert {page for uri, page in pages if uri.endswith("/0.md")} == {None}
        assert len({page for uri, page in pages if uri.endswith("/1.md")}) > 1
        stamps = [each.payload["stamp"] for each in index.scroll("documents", Scope.owner("acme"), where=HEADS)]
        assert all(each.startswith("stamp of file:///") for each in stamps)

    def test_every_new_chunk_is_still_a_span_of_the_document(self, index: Index, tmp_path: Path) -> None:
        fill(index, FIRST)
        reindex(index, second(), tmp_path)
        for each in index.scroll("documents", Scope.owner("acme")):
            payload = each.payload
            source = document(int(payload["metadata"]["number"])).text[payload["start"] : payload["end"]]
            assert payload["text"].split() == source.split()

    def test_another_chunk_size_alone_is_a_reason(self, index: Index, tmp_path: Path) -> None:
        fill(index, FIRST)
        report = reindex(index, HashEncoder("first"), tmp_path, chunk_tokens=40)
        assert report.changes == [f"chunker {chunker_name(64)} → chunker {chunker_name(40)}"]
        assert contents(loosely(state(index))) == contents(undisturbed(tmp_path, OTHER_SIZE))

    def test_where_nothing_differs_nothing_is_done(self, index: Index, tmp_path: Path) -> None:
        old = fill(index, FIRST)
        before = state(index)
        encoder = HashEncoder("first")
        report = reindex(index, encoder, tmp_path)
        assert (report.changes, report.new, report.old, report.written) == ([], None, old, 0)
        assert encoder.encoded == []
        assert state(index) == before

    def test_the_old_collection_can_be_kept_and_swapped_back_to(self, index: Index, tmp_path: Path) -> None:
        old = fill(index, FIRST)
        before = state(index)[old]["points"]
        report = reindex(index, second(), tmp_path, keep_old=True)
        assert report.deleted_collections == []
        found = state(index)
        assert found[old] == {"aliases": [], "points": before}
        assert found[report.new]["aliases"] == ["documents"]
        # Back again: what was kept is made like the present one, and none of it is encoded anew.
        encoder = HashEncoder("first")
        back = reindex(index, encoder, tmp_path)
        assert (back.new, back.written, encoder.encoded) == (old, 0, [])
        assert state(index) == {old: {"aliases": ["documents"], "points": before}}

    def test_a_collection_that_another_alias_names_is_not_deleted(self, index: Index, tmp_path: Path) -> None:
        old = fill(index, FIRST)
        index.set_alias("stable", old)
        report = reindex(index, second(), tmp_path)
        assert report.deleted_collections == []
        assert index.describe("stable").name == old
        assert index.describe("stable").aliases == ("stable",)

    def test_a_collection_that_readers_use_is_not_written_over(self, index: Index, tmp_path: Path) -> None:
        fill(index, FIRST)
        report = reindex(index, second(), tmp_path, keep_old=True)
        index.set_alias("stable", report.old)
        with pytest.raises(CollectionExists, match=r"in use as stable.*collections swap documents"):
            reindex(index, HashEncoder("first"), tmp_path)

    def test_a_collections_own_name_is_refused(self, index: Index, tmp_path: Path) -> None:
        name = fill(index, FIRST)
        with pytest.raises(BadInput, match=r"moves an alias: documents"):
            reindex(index, second(), tmp_path, collection=name)

    def test_a_reader_with_the_new_encoder_is_told_to_re_index(self, index: Index) -> None:
        fill(index, FIRST)
        with pytest.raises(FingerprintMismatch, match="`librarian reindex`"):
            check_readable(index.describe("documents"), fingerprint(second(), Bm25Encoder()))

    def test_a_document_that_is_only_half_there_is_left_out_and_named(self, index: Index, tmp_path: Path) -> None:
        name = fill(index, FIRST)
        cut = replace(part(document(50), FIRST, 64), last=False)
        cut = replace(cut, chunks=cut.chunks[:1], vectors=FIRST.encode_documents(["x"]))
        Writer(index, name, Scope.owner("acme"), Bm25Encoder(), chunker_name(64)).write([cut])
        report = reindex(index, second(), tmp_path)
        assert report.incomplete == [document(50).uri]
        assert contents(loosely(state(index))) == contents(undisturbed(tmp_path, second()))

    def test_a_collection_of_format_3_is_refused_until_it_is_re_indexed(self, index: Index, tmp_path: Path) -> None:
        """Format 3 had other ids; its documents' first chunks told as much as today's."""
        index.set_metadata(fill(index, FIRST), {"format": 3})
        with pytest.raises(FingerprintMismatch, match=r"built with format 3, but format 4 is configured.*reindex"):
            check_readable(index.describe("documents"), fingerprint(FIRST, Bm25Encoder()))
        reindex(index, second(), tmp_path)
        stamps = [each.payload["stamp"] for each in index.scroll("documents", Scope.owner("acme"), where=HEADS)]
        assert len(stamps) == 8
        assert all(each.startswith("stamp of file:///") for each in stamps)

    def test_a_collection_of_format_1_is_read_too(self, index: Index, tmp_path: Path) -> None:
        """Format 1 told neither heads from tails, nor formats, nor pages."""
        index.create("documents-1", CollectionSpec(8, {**fingerprint(FIRST, Bm25Encoder()), "format": 1}))
        index.set_alias("documents", "documents-1")
        plain = replace(document(2), groups=())
        chunks = chunk(plain, FIRST, 64)
        records = []
        for number, each in enumerate(chunks):
            payload = to_payload(plain, each.chunk, len(chunks))
            for field in ("part", "stamp", "state", "format", "page"):
                payload.pop(field, None)
            vector = FIRST.encode_query(each.embedded).tolist()
            identity = f"00000000-0000-0000-0000-{9 - number:012d}"
            records.append(Record(identity, vector, SparseVector((1,), (1.0,)), payload))
        index.upsert("documents-1", records, Scope.owner("acme"))
        report = reindex(index, second(), tmp_path)
        assert (report.documents, report.written) == (1, 1)
        assert index.count("documents", Scope.owner("acme"), HEADS) == 1
        texts = sorted(
            (each.payload["ordinal"], each.payload["text"]) for each in index.scroll("documents", Scope.owner("acme"))
        )
        assert [text for _, text in texts] == [each.chunk.text for each in chunk(plain, second(), 40)]

    def test_an_empty_collection_is_swapped_as_well(self, index: Index, tmp_path: Path) -> None:
        fill(index, FIRST, documents=0)
        report = reindex(index, second(), tmp_path)
        assert report.documents == 0
        assert index.describe("documents").name == report.new

    def test_the_real_encoder_takes_the_place_of_another(self, tmp_path: Path, minilm: LocalEncoder) -> None:
        index = EmbeddedIndex(tmp_path / "index")
        try:
            fill(index, FIRST, documents=2)
            report: Reindexed = reindex(index, minilm, tmp_path)  # type: ignore[arg-type]
            assert report.documents == 4
            (hits,) = index.query(
                "documents", [DenseLeg(minilm.encode_query("paragraph 1 of document 1").tolist(), 3)], Scope("acme")
            )
            best = index.fetch("documents", [hits[0].id], Scope("acme"))[0]
            assert best.payload["doc"] == document(1).uri
        finally:
            index.close()


class TestMeanwhile:
    def test_what_changes_in_the_old_collection_is_caught_up_with(self, index: Index, tmp_path: Path) -> None:
        old = fill(index, FIRST)
        writer = Writer(index, old, Scope.owner("acme"), Bm25Encoder(), chunker_name(64))
        changes = [
            lambda: write(index, old, [document(1, version=2), document(20)], FIRST, "acme"),
            lambda: writer.delete([document(2).uri]),
            lambda: writer.restamp(document(3).uri, document(3).content_hash, "another stamp"),
            lambda: write(index, old, [document(7, version=3)], FIRST, "third tenant"),
        ]

        def change(_: object) -> None:
            if changes:
                changes.pop(0)()

        report = reindex(index, second(), tmp_path, on_progress=change)
        assert not changes

        expected = EmbeddedIndex(tmp_path / "expected")
        name = fill(expected, second())
        write(expected, name, [document(1, version=2), document(20)], second(), "acme")
        write(expected, name, [document(7, version=3)], second(), "third tenant")
        wanted = Writer(expected, name, Scope.owner("acme"), Bm25Encoder(), chunker_name(40))
        wanted.delete([document(2).uri])
        wanted.restamp(document(3).uri, document(3).content_hash, "another stamp")
        assert loosely(state(index)) == loosely(state(expected))
        expected.close()
        assert report.incomplete == []

    def test_readers_through_the_alias_meet_neither_an_error_nor_a_gap(
        self, embedded: EmbeddedIndex, tmp_path: Path
    ) -> None:
        fill(embedded, FIRST, documents=30)
        legs = [DenseLeg(FIRST.encode_query("x").tolist(), 5), SparseLeg(Bm25Encoder().encode_query("paragraph"), 5)]
        trouble: list[object] = []
        rounds = [0]
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                try:
                    found = embedded.query("documents", legs, Scope("acme"))
                    if not all(found) or embedded.count("documents", Scope("acme")) == 0:
                        trouble.append("nothing found")
                    assert "documents" in embedded.describe("documents").aliases
                except Exception as error:  # whatever a reader meets is what this test is about
                    trouble.append(error)
                rounds[0] += 1

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for encoder in (second(), HashEncoder("first"), HashEncoder("third"), second()):
                assert reindex(embedded, encoder, tmp_path).documents == 60
        finally:
            stop.set()
            for reader in readers:
                reader.join()
        assert trouble == []
        assert rounds[0] > 10

    def test_a_search_that_the_swap_overtakes_searches_again(
        self, embedded: EmbeddedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(embedded, FIRST)

        fetch, done = embedded.fetch, []

        def fetch_after_a_re_index(name: str, ids: Any, scope: Scope) -> Any:
            if not done:
                done.append(reindex(embedded, HashEncoder("first"), tmp_path, chunk_tokens=40))
            return fetch(name, ids, scope)

        monkeypatch.setattr(embedded, "fetch", fetch_after_a_re_index)
        retriever = Retriever(ThreadedIndex(embedded), FIRST, Bm25Encoder(), settings(tmp_path))
        found = asyncio.run(retriever.search("paragraph 1 of document 1", Scope("acme"), top_k=4))
        assert len(found.passages) == 4

    def test_a_cancelled_re_index_leaves_readers_where_they_are_and_goes_on_later(
        self, embedded: EmbeddedIndex, tmp_path: Path
    ) -> None:
        old = fill(embedded, FIRST)
        encoder = second()
        with pytest.raises(Cancelled):
            reindex(embedded, encoder, tmp_path, cancelled=lambda: len(encoder.encoded) > 30)
        assert embedded.describe("documents").name == old
        report = reindex(embedded, encoder, tmp_path)
        assert 0 < report.written < 16
        assert 0 < report.chunks < embedded.describe("documents").points
        assert loosely(state(embedded)) == undisturbed(tmp_path, second())


class TestKilled:
    def test_killed_anywhere_and_run_again_it_ends_as_if_undisturbed(
        self, tmp_path: Path, forkserver: ForkServerContext
    ) -> None:
        start = tmp_path / "start"
        index = EmbeddedIndex(start / "index")
        fill(index, FIRST, documents=2)
        index.close()
        shutil.copytree(start, tmp_path / "counted")
        index = EmbeddedIndex(tmp_path / "counted" / "index")
        counting = KillingIndex(index)
        reindex(counting, second(), tmp_path)  # type: ignore[arg-type]
        expected = state(index)
        assert contents(loosely(state(index))) == contents(undisturbed(tmp_path, second(), documents=2))
        index.close()
        assert counting.writes > 10

        # Killed before a write is killed after the one before it; after the last one there is nothing left to do.
        for kill_at in range(1, counting.writes + 1):
            folder = tmp_path / str(kill_at)
            shutil.copytree(start, folder)
            process = forkserver.Process(target=in_a_process_that_is_killed, args=(str(folder), kill_at))
            process.start()
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, kill_at
            index = EmbeddedIndex(folder / "index")
            try:
                assert index.count("documents", Scope.owner(TENANTS[0])) > 0  # readers have never been without
                reindex(index, second(), tmp_path)
                assert state(index) == expected, kill_at
            finally:
                index.close()
            shutil.rmtree(folder)


def test_a_restored_or_foreign_collection_says_what_is_unknown() -> None:
    info = CollectionInfo("foreign", CollectionSpec(8, {}), 0)
    with pytest.raises(FingerprintMismatch, match="no format on record"):
        check_readable(info, fingerprint(FIRST, Bm25Encoder()))
