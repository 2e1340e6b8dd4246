"""One process holds the folder of an embedded index, and others are told which."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rag.errors import IndexLocked
from rag.index import holder, open_async_index, open_index
from rag.index.embedded import EmbeddedIndex
from rag.index.folder import Holder
from rag.settings import Settings
from tests.integration.embedded_index.processes import ROOT, SPEC, heard, kill, run

HOLD = "index = EmbeddedIndex(folder)\nindex.announce('http://127.0.0.1:8123')\nsay('held')\ntime.sleep(60)"


class TestHolding:
    def test_a_second_process_is_refused_with_who_holds_the_folder_and_what_to_do(self, folder: Path) -> None:
        process = run(HOLD, folder)
        heard(process, "held")
        try:
            with pytest.raises(IndexLocked) as raised:
                EmbeddedIndex(folder)
            message = str(raised.value)
            for fact in (str(folder), f"process {process.pid}", "http://127.0.0.1:8123", "LIBRARIAN_DATA_DIR"):
                assert fact in message
            assert "\n" not in message
            assert holder(folder) == Holder(process.pid, "-c", "http://127.0.0.1:8123")
        finally:
            kill(process)

    def test_a_killed_holder_hinders_nobody_though_its_holder_file_stays(self, folder: Path) -> None:
        process = run(HOLD, folder)
        heard(process, "held")
        kill(process)
        assert (folder / "holder.json").exists()
        assert holder(folder) is None
        EmbeddedIndex(folder).close()

    def test_the_second_index_of_one_process_is_refused_too(self, folder: Path, index: EmbeddedIndex) -> None:
        with pytest.raises(IndexLocked, match="already open in this process"):
            EmbeddedIndex(folder)
        index.create("docs", SPEC)

    def test_the_holder_is_known_until_the_index_closes(self, folder: Path, index: EmbeddedIndex) -> None:
        mine = holder(folder)
        assert mine is not None
        assert (mine.pid, mine.url) == (os.getpid(), None)
        index.announce("http://127.0.0.1:8000")
        assert holder(Settings(data_dir=folder.parent)) == Holder(mine.pid, mine.command, "http://127.0.0.1:8000")
        index.close()
        assert holder(folder) is None
        assert not (folder / "holder.json").exists()

    def test_asking_who_holds_a_folder_makes_nothing(self, folder: Path) -> None:
        assert holder(folder) is None
        assert not folder.exists()

    def test_asking_again_and_again_never_keeps_an_opener_out(self, folder: Path) -> None:
        EmbeddedIndex(folder).close()
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                holder(folder)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            for _ in range(10):
                EmbeddedIndex(folder).close()
        finally:
            stop.set()
            for asker in askers:
                asker.join()

    def test_a_damaged_holder_file_still_means_held(self, folder: Path, index: EmbeddedIndex) -> None:
        (folder / "holder.json").write_text("{")
        assert holder(folder) == Holder(None, "another process", None)
        with pytest.raises(IndexLocked, match="another process"):
            EmbeddedIndex(folder)

    def test_settings_open_the_embedded_index_where_they_name_no_server(self, tmp_path: Path) -> None:
        with_data = Settings(data_dir=tmp_path)
        opened = open_index(with_data)
        assert isinstance(opened, EmbeddedIndex)
        assert opened.location == str(tmp_path / "index")
        opened.close()
        waiting = open_async_index(with_data)
        assert waiting.location == str(tmp_path / "index")
        opened.close()
        waiting.index.close()  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_engine_and_no_client() -> None:
    engines = {"qdrant_client", "qdrant_edge", "grpc"}
    script = "import sys, rag.index; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert engines.isdisjoint(done.stdout.split())
