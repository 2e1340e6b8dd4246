"""A run brings a collection to what its source holds, and touches nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.job import IngestJob
from ingest.progress import shown_progress
from ingest.sources import open_source
from rag.encoders import Bm25Encoder
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, paths, stored
from tests.integration.ingest_job.reports import Run, counted


class TestReconciling:
    def test_the_first_run_adds_every_document_whole(self, run: Run, docs: Path, index: EmbeddedIndex) -> None:
        report = run(docs)
        points = stored(index)
        assert counted(report) == (3, 0, 0, 0)
        assert paths(points) == {"one.md", "two.txt", "sub/three.html"}
        assert len(points) == report.chunks > 3
        for payload in points.values():
            same = [each for each in points.values() if each["doc"] == payload["doc"]]
            assert sorted(each["ordinal"] for each in same) == list(range(payload["chunks"]))

    def test_the_second_run_embeds_nothing(
        self, run: Run, docs: Path, index: EmbeddedIndex, encoder: HashEncoder
    ) -> None:
        run(docs)
        before, encoded = stored(index), len(encoder.texts)
        report = run(docs)
        assert counted(report) == (0, 0, 3, 0)
        assert len(encoder.texts) == encoded > 0
        assert stored(index) == before

    def test_only_what_changed_is_embedded_again(
        self, run: Run, docs: Path, index: EmbeddedIndex, encoder: HashEncoder
    ) -> None:
        run(docs)
        encoder.texts.clear()
        (docs / "one.md").write_text("# One\n\nShort now.")
        (docs / "four.md").write_text("A fourth one.")
        (docs / "two.txt").unlink()
        report = run(docs)
        points = stored(index)
        assert counted(report) == (1, 1, 1, 1)
        assert sorted(encoder.texts) == ["One\n# One\n\nShort now.", "four\nA fourth one."]
        assert paths(points) == {"one.md", "four.md", "sub/three.html"}
        assert [each["text"] for each in points.values() if each["path"] == "one.md"] == ["# One\n\nShort now."]

    def test_only_a_head_has_a_part_which_the_engine_holds_in_memory(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        report = run(docs)
        parts = [(each["ordinal"] == 0, each.get("part")) for each in stored(index).values()]
        assert parts.count((True, "head")) == 3
        assert parts.count((False, None)) == report.chunks - 3 > 0

    def test_what_an_earlier_version_wrote_is_kept_replaced_and_deleted(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        """Its chunks after the head had a part, too."""
        run(docs)
        tails = [identity for identity, each in stored(index).items() if each["ordinal"]]
        index.set_payload("documents", tails, {"part": "tail"}, Scope.owner())
        assert counted(run(docs)) == (0, 0, 3, 0)
        (docs / "one.md").write_text("# One\n\nShort now.")
        (docs / "two.txt").unlink()
        assert counted(run(docs)) == (0, 1, 1, 1)
        points = stored(index)
        assert paths(points) == {"one.md", "sub/three.html"}
        assert [each["text"] for each in points.values() if each["path"] == "one.md"] == ["# One\n\nShort now."]

    def test_a_file_that_is_touched_but_not_changed_is_kept(self, run: Run, docs: Path) -> None:
        run(docs)
        os.utime(docs / "one.md", (1, 1))
        assert counted(run(docs)) == (0, 0, 3, 0)

    def test_a_document_that_holds_no_text_any_more_is_taken_out_and_named(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        run(docs)
        (docs / "one.md").write_text("---\ntitle: Only a head\n---\n")
        (docs / "two.txt").write_text("")
        report = run(docs)
        assert sorted(report.empty) == ["one.md", "two.txt"]
        assert report.deleted == 2
        assert paths(stored(index)) == {"sub/three.html"}
        assert not report.failed

    def test_a_document_of_which_no_chunk_can_be_made_is_empty_not_added_for_ever(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder = tmp_path / "links"
        folder.mkdir()
        (folder / "links.md").write_text("[x]: https://example.com\n")
        report = run(folder)
        assert (report.added, report.empty) == (0, ["links.md"])

    def test_two_folders_in_one_collection_do_not_disturb_each_other(
        self, run: Run, docs: Path, tmp_path: Path, index: EmbeddedIndex
    ) -> None:
        beside = tmp_path / "docs-2"
        shutil.copytree(docs, beside)
        run(docs)
        run(beside)
        (beside / "one.md").unlink()
        assert counted(run(beside)) == (0, 0, 2, 1)
        assert counted(run(docs)) == (0, 0, 3, 0)
        assert len({each["doc"] for each in stored(index).values()}) == 5

    def test_a_single_file_is_a_source_that_owns_no_other_file(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        (docs / "one.mdx").write_text("Its name begins like another's.")
        run(docs)
        assert counted(run(docs / "one.md")) == (0, 0, 1, 0)
        assert "one.mdx" in paths(stored(index))

    def test_two_tenants_with_the_same_folder_do_not_disturb_each_other(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        run(docs, tenant="acme")
        report = run(docs, tenant="globex")
        assert counted(report) == (3, 0, 0, 0)
        acme, globex = stored(index, tenant="acme"), stored(index, tenant="globex")
        assert len(acme) == len(globex) > 0
        assert not set(acme) & set(globex)
        (docs / "one.md").unlink()
        assert run(docs, tenant="globex").deleted == 1
        assert stored(index, tenant="acme") == acme

    def test_two_collections_hold_what_each_was_given(self, run: Run, docs: Path, index: EmbeddedIndex) -> None:
        run(docs, collection="a")
        run(docs / "sub", collection="b")
        assert len(paths(stored(index, "a"))) == 3
        assert paths(stored(index, "b")) == {"three.html"}

    def test_progress_ends_with_every_document_done(
        self, index: EmbeddedIndex, docs: Path, encoder: HashEncoder, settings: Callable[..., Settings]
    ) -> None:
        seen = []
        IngestJob(index, encoder, Bm25Encoder(), settings()).run(open_source(docs, settings()), seen.append)
        assert (seen[0].documents, seen[0].done) == (3, 0)
        assert (seen[-1].documents, seen[-1].done, seen[-1].failed) == (3, 3, 0)

    def test_progress_that_is_quiet_prints_nothing(
        self, index: EmbeddedIndex, docs: Path, encoder: HashEncoder, settings: Callable[..., Settings], capfd: Any
    ) -> None:
        with shown_progress(quiet=True) as show:
            IngestJob(index, encoder, Bm25Encoder(), settings()).run(open_source(docs, settings()), show)
        assert capfd.readouterr() == ("", "")


class TestKilledJobs:
    def test_a_failed_write_is_finished_by_the_next_run(
        self, run: Run, docs: Path, index: EmbeddedIndex, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(docs)
        for name in ("one.md", "two.txt"):
            (docs / name).write_text("Altogether other words than there were. " * 20)
        monkeypatch.setattr(index, "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(docs)
        versions = {(each["path"], each["doc_hash"]) for each in stored(index).values()}
        assert len(versions) > 3, "new chunks must be there before old ones go"
        monkeypatch.undo()
        run(docs)
        points = stored(index)
        assert len({(each["path"], each["doc_hash"]) for each in points.values()}) == 3
        assert json.dumps(sorted(each["text"] for each in points.values())).count("sentences about nodes") == 0
