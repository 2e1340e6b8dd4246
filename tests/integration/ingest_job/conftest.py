"""The ingestion job on the embedded engine: what a run changes, what it leaves, and what a killed one leaves behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.job import IngestJob
from ingest.options import Options
from ingest.report import Report
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, DenseEncoder
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings
from tests.ingest_kit import HashEncoder
from tests.integration.ingest_job.reports import Run


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


@pytest.fixture
def run(index: EmbeddedIndex, encoder: HashEncoder, settings: Callable[..., Settings]) -> Run:
    """Ingest a folder; other settings and another encoder as named."""

    def ingest(path: Path, dense: DenseEncoder = encoder, options: Options | None = None, **values: Any) -> Report:
        made = settings(**values)
        with closing(open_source(path, made)) as source:
            return IngestJob(index, dense, Bm25Encoder(), made, options).run(source)

    return ingest
