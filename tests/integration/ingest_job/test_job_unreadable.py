"""Documents and folders that cannot be read fail alone and keep what is indexed of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rag.errors import SourceError
from rag.index.embedded import EmbeddedIndex
from tests.ingest_kit import paths, stored
from tests.integration.ingest_job.reports import Run, counted, failed


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
