"""A collection keeps to the encoder and the chunks that it was made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.job import IngestJob
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.errors import FingerprintMismatch
from rag.index.embedded import EmbeddedIndex
from rag.index.interface import DenseLeg
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, paths, stored
from tests.integration.ingest_job.reports import Run, counted, failed


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
