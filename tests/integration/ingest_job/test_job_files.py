"""Which files of a folder are documents."""

from __future__ import annotations

import os
from pathlib import Path

from rag.index.embedded import EmbeddedIndex
from tests.ingest_kit import paths, stored
from tests.integration.ingest_job.reports import Run, counted


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
