"""The ingestion job on the embedded engine: what a run changes, what it leaves, and what a killed one leaves behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.job import IngestJob
from ingest.options import Options
from ingest.progress import shown_progress
from ingest.report import Report
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, DenseEncoder, LocalEncoder
from rag.errors import FingerprintMismatch, SourceError
from rag.index.embedded import EmbeddedIndex
from rag.index.interface import DenseLeg
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, paths, stored


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index")
    yield opened
    opened.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Three documents of some chunks each."""
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.md").write_text("# One\n\n" + "One sentence about pods here. " * 20)
    (folder / "two.txt").write_text("Two sentences about nodes. " * 20)
    (folder / "sub" / "three.html").write_text("<title>Three</title><p>" + "It is about probes. " * 20)
    for path in folder.rglob("*.*"):
        os.utime(path, (1e9, 1e9))  # a file of this very moment has no stamp that is trusted
    return folder


Run = Callable[..., Report]


@pytest.fixture
def run(index: EmbeddedIndex, encoder: HashEncoder, settings: Callable[..., Settings]) -> Run:
    """Ingest a folder; other settings and another encoder as named."""

    def ingest(path: Path, dense: DenseEncoder = encoder, options: Options | None = None, **values: Any) -> Report:
        made = settings(**values)
        with closing(open_source(path, made)) as source:
            return IngestJob(index, dense, Bm25Encoder(), made, options).run(source)

    return ingest


def failed(report: Report) -> dict[str, str]:
    """The reasons of the documents that failed, by path."""
    assert len(report.failed) == report.failures
    return {each.path: each.reason for each in report.failed}


def counted(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.kept, report.deleted


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


class TestWhatCannotBeRead:
    def test_a_bad_document_among_good_ones_fails_alone(self, run: Run, docs: Path, index: EmbeddedIndex) -> None:
        (docs / "binary.md").write_bytes(b"\x89PNG\0\0" * 50)
        (docs / "deep.html").write_text("<div>" * 10_000 + "text")
        report = run(docs)
        assert set(failed(report)) == {"binary.md", "deep.html"}
        assert report.added == 3
        assert paths(stored(index)) == {"one.md", "two.txt", "sub/three.html"}

    def test_a_document_that_became_bad_keeps_its_chunks_and_is_reported(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        run(docs)
        before = stored(index)
        (docs / "one.md").write_bytes(b"\0\1\2" * 50)
        report = run(docs)
        assert set(failed(report)) == {"one.md"}
        assert report.deleted == 0
        assert stored(index) == before

    @pytest.mark.parametrize("how", ["broken link", "loop of links"])
    def test_a_file_that_cannot_be_opened_keeps_its_chunks_and_is_reported(
        self, run: Run, docs: Path, index: EmbeddedIndex, how: str
    ) -> None:
        run(docs)
        before = stored(index)
        (docs / "one.md").unlink()
        (docs / "one.md").symlink_to(docs / ("gone.md" if how == "broken link" else "one.md"))
        report = run(docs)
        assert set(failed(report)) == {"one.md"}
        assert failed(report)["one.md"].startswith("it cannot be read: ")
        assert stored(index) == before

    def test_a_disk_error_while_reading_keeps_the_chunks_and_is_reported(
        self, run: Run, docs: Path, index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(docs)
        before, opened = stored(index), os.open
        os.utime(docs / "two.txt", (2e9, 2e9))

        def failing(path: Any, *arguments: Any, **options: Any) -> int:
            if str(path).endswith("two.txt"):
                raise OSError(5, "Input/output error")
            return opened(path, *arguments, **options)

        monkeypatch.setattr(os, "open", failing)
        report = run(docs)
        assert failed(report) == {"two.txt": "it cannot be read: Input/output error."}
        assert counted(report) == (0, 0, 2, 0)
        assert stored(index) == before

    def test_a_folder_that_cannot_be_listed_keeps_its_documents_and_is_reported(
        self, run: Run, docs: Path, index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(docs)
        before, scandir = stored(index), os.scandir

        def failing(path: Any) -> Any:
            if str(path).endswith("sub"):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", failing)
        report = run(docs)
        assert set(failed(report)) == {"sub/"}
        assert counted(report) == (0, 0, 2, 0)
        assert stored(index) == before

    @pytest.mark.parametrize("left", [None, "picture.png", ".hidden.md"])
    def test_an_emptied_folder_is_refused_before_anything_is_deleted(
        self, run: Run, docs: Path, index: EmbeddedIndex, left: str | None
    ) -> None:
        run(docs)
        before = stored(index)
        shutil.rmtree(docs)
        docs.mkdir()
        if left:
            (docs / left).write_text("x")
        with pytest.raises(SourceError, match="holds no document"):
            run(docs)
        assert stored(index) == before

    def test_a_missing_folder_makes_no_collection(self, run: Run, tmp_path: Path, index: EmbeddedIndex) -> None:
        with pytest.raises(SourceError, match="there is no file or folder"):
            run(tmp_path / "nowhere")
        assert index.collections() == []

    @pytest.mark.parametrize("path", ["x" * 5000, "~nobody-of-that-name/docs", "loop/docs", "one.md/docs", "a\0b"])
    def test_a_path_that_cannot_be_followed_is_an_error_in_words(self, run: Run, docs: Path, path: str) -> None:
        (docs / "loop").symlink_to(docs / "loop")
        with pytest.raises(SourceError) as raised:
            run(Path(path) if path.startswith("~") else docs / path)
        assert "\n" not in str(raised.value)

    def test_a_document_over_the_limit_is_refused_with_both_sizes_and_the_setting(self, run: Run, docs: Path) -> None:
        with (docs / "big.txt").open("wb") as file:
            file.truncate(50_000_000)  # sparse: it is refused by its size, unread
        report = run(docs)
        assert failed(report) == {"big.txt": "it has 50.0 MB, more than the 33.6 MB of LIBRARIAN_MAX_DOCUMENT_BYTES."}
        assert report.added == 3

    def test_a_file_name_that_is_no_utf_8_is_shown_with_replacements(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        Path(os.fsdecode(os.fsencode(docs) + b"/caf\xe9.md")).write_text("Coffee.")
        assert not run(docs).failures
        assert "caf\ufffd.md" in paths(stored(index))
        assert counted(run(docs)) == (0, 0, 4, 0)


class TestWhichFiles:
    def test_hidden_files_and_tools_folders_are_left_alone(self, run: Run, docs: Path, index: EmbeddedIndex) -> None:
        for name in (".hidden.md", ".git/a.md", "node_modules/p/README.md", "__pycache__/a.md", "sub/.cache/a.md"):
            (docs / name).parent.mkdir(parents=True, exist_ok=True)
            (docs / name).write_text("Not a person's document.")
        assert run(docs).added == 3

    def test_other_types_are_counted_by_extension(self, run: Run, docs: Path) -> None:
        for name in ("a.png", "b.PNG", "data"):
            (docs / name).write_text("x")
        assert run(docs).skipped == {".png": 2, "no extension": 1}

    def test_extensions_are_read_in_any_case(self, run: Run, docs: Path) -> None:
        (docs / "LOUD.MD").write_text("Loud.")
        assert run(docs).added == 4

    def test_a_link_to_a_file_is_that_file_and_a_link_to_a_folder_is_not_followed(
        self, run: Run, docs: Path, tmp_path: Path, index: EmbeddedIndex
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "far.md").write_text("Far away.")
        (docs / "near.md").symlink_to(outside / "far.md")
        (docs / "folder").symlink_to(outside)
        (docs / "round").symlink_to(docs)
        assert run(docs).added == 4
        assert paths(stored(index)) == {"one.md", "two.txt", "sub/three.html", "near.md"}

    def test_a_pipe_is_not_waited_for(self, run: Run, docs: Path) -> None:
        os.mkfifo(docs / "pipe.md")
        report = run(docs)
        assert (report.added, report.failures) == (3, 0)

    def test_one_folder_by_two_names_is_one_source(self, run: Run, docs: Path, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(docs)
        run(docs)
        assert counted(run(tmp_path / "alias")) == (0, 0, 3, 0)
        assert counted(run(docs / "sub" / "..")) == (0, 0, 3, 0)


class TestFingerprints:
    def test_a_job_that_can_read_nothing_makes_no_collection(
        self, run: Run, tmp_path: Path, index: EmbeddedIndex
    ) -> None:
        folder = tmp_path / "binaries"
        folder.mkdir()
        (folder / "a.md").write_bytes(b"\x00\x01\x02" * 100)
        report = run(folder)
        assert list(failed(report)) == ["a.md"]
        assert index.collections() == []

    def test_a_collection_that_a_killed_job_made_and_did_not_name_is_used(
        self, run: Run, docs: Path, index: EmbeddedIndex
    ) -> None:
        run(docs)
        index.drop_alias("documents")
        assert counted(run(docs)) == (0, 0, 3, 0)
        assert len(index.collections()) == 1
        assert paths(stored(index)) == {"one.md", "two.txt", "sub/three.html"}

    def test_another_encoder_is_refused_and_changes_nothing(self, run: Run, docs: Path, index: EmbeddedIndex) -> None:
        run(docs)
        before = stored(index)
        (docs / "one.md").unlink()
        with pytest.raises(FingerprintMismatch, match=r"'hash' .* 'other' .*--collection"):
            run(docs, HashEncoder("other"))
        assert stored(index) == before

    def test_another_chunk_size_is_refused_and_changes_nothing(
        self, run: Run, docs: Path, index: EmbeddedIndex, encoder: HashEncoder
    ) -> None:
        run(docs)
        before, encoded = stored(index), len(encoder.texts)
        with pytest.raises(FingerprintMismatch, match=r"chunker structure-2:32\b.*chunker structure-2:16\b"):
            run(docs, chunk_tokens=16)
        assert stored(index) == before
        assert len(encoder.texts) == encoded
        assert len(index.collections()) == 1

    def test_another_language_of_keywords_is_refused(
        self, index: EmbeddedIndex, docs: Path, encoder: HashEncoder, settings: Callable[..., Settings]
    ) -> None:
        IngestJob(index, encoder, Bm25Encoder(), settings()).run(open_source(docs, settings()))
        with pytest.raises(FingerprintMismatch, match="german"):
            IngestJob(index, encoder, Bm25Encoder("german"), settings()).run(open_source(docs, settings()))

    def test_a_chunk_size_beyond_the_encoder_is_what_the_encoder_reads(self, run: Run, docs: Path) -> None:
        run(docs)
        assert run(docs, chunk_tokens=1000).kept == 3


class TestRealEncoder:
    def test_every_vector_is_that_of_the_text_under_its_title_and_headings(
        self, run: Run, docs: Path, index: EmbeddedIndex, minilm: LocalEncoder
    ) -> None:
        (docs / "probes.md").write_text(
            "---\ntitle: Probes\n---\n## Readiness\n\nA readiness probe says when to send traffic."
        )
        assert run(docs, minilm).added == 4
        vector = minilm.encode_documents(
            ["Probes > Readiness\n## Readiness\n\nA readiness probe says when to send traffic."]
        )
        hits = index.query("documents", [DenseLeg(vector[0].tolist(), 1)], Scope.owner())[0]
        assert stored(index)[hits[0].id]["path"] == "probes.md"
        assert hits[0].score == pytest.approx(1, abs=0.01)

    def test_a_second_run_does_not_load_the_model(self, run: Run, docs: Path, minilm: LocalEncoder) -> None:
        run(docs, minilm)
        fresh = LocalEncoder("minilm")
        assert run(docs, fresh).kept == 3
        assert not fresh.loaded


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
