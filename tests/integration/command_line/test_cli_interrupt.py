"""Ctrl-C while documents are ingested."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.job import IngestJob
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings
from tests.fake_model import wait_until
from tests.integration.command_line.running import COMMAND, environment


class TestInterrupt:
    @pytest.fixture
    def many(self, tmp_path: Path) -> Path:
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(60):
            (folder / f"{number}.md").write_text(f"# {number}\n\n" + "Words that take a while to embed. " * 120)
        return folder

    @pytest.mark.parametrize("moment", [".librarian/index/lock", ".librarian/index/aliases.json"])
    def test_ctrl_c_ends_an_ingest_at_once_and_the_next_run_completes_it(
        self, tmp_path: Path, many: Path, moment: str, minilm: LocalEncoder, settings: Callable[..., Settings]
    ) -> None:
        """The first moment is before the encoder is loaded, the second while it encodes."""
        process = subprocess.Popen(
            [*COMMAND, "ingest", "many"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert wait_until((tmp_path / moment).exists, seconds=90)
        time.sleep(0.3)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        print(f"{moment}: {time.monotonic() - interrupted:.1f} s")
        assert process.returncode == 130
        assert time.monotonic() - interrupted < 20
        assert "Traceback" not in err
        assert "added" not in out
        index = EmbeddedIndex(tmp_path / ".librarian" / "index")
        try:
            if "aliases" in moment:
                for number in range(2, 60):  # two documents show it as well as all
                    (many / f"{number}.md").unlink()
                report = IngestJob(index, minilm, Bm25Encoder(), settings()).run(open_source(many, settings()))
                assert (report.added + report.replaced + report.kept, report.failed) == (2, [])
        finally:
            index.close()
