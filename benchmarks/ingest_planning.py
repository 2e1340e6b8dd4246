"""A re-run of a job with nothing changed: documents planned per second."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ingest_corpus import write_documents
from ingest_measuring import say

from ingest.job import IngestJob
from ingest.sources import open_source
from rag.encoders import LocalEncoder, Vectors, sparse_encoder
from rag.errors import LibrarianError
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings

_REPEATS = 3


class InstantEncoder(LocalEncoder):
    """Stands for an encoder where its speed would hide everything else: a vector is drawn by a hash of the text.

    Tokens are counted with MiniLM's tokenizer and its vectors' length is MiniLM's. `encoded` counts texts.
    """

    def __init__(self) -> None:
        super().__init__("minilm")
        self.encoded = 0

    @property
    def fingerprint(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {"name": "instant", "sha256": hashlib.sha256(b"instant").hexdigest()}

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.encoded += len(texts)
        vectors = np.stack([_draw(each, self.dimension) for each in texts])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _draw(text: str, size: int) -> Vectors:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(size, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Planning:
    """`first_s`: seconds of the run that indexed the documents; `again_s`: of each run after it."""

    documents: int
    first_s: float
    again_s: tuple[float, ...]

    @property
    def per_s(self) -> float:
        """Documents a second in the median run."""
        return self.documents / sorted(self.again_s)[len(self.again_s) // 2]


def time_planning(folder: Path, documents: int, paragraphs: list[str], settings: Settings) -> Planning:
    """Make files, index them with instant vectors, and run the job again: everything is looked at, nothing written.

    Each run opens the index anew, as a new process would.
    """
    say(f"planning: writing {documents:,} files")
    write_documents(folder / "files", documents, paragraphs, paragraphs_each=1)
    encoder = InstantEncoder()
    times = []
    for run in range(1 + _REPEATS):
        say(f"planning: run {run + 1} of {1 + _REPEATS}")
        before = encoder.encoded
        with (
            closing(open_source(folder / "files", settings)) as source,
            closing(EmbeddedIndex(settings.index_dir)) as index,
        ):
            job = IngestJob(index, encoder, sparse_encoder(settings), settings)
            started = time.perf_counter()
            report = job.run(source)
            times.append(time.perf_counter() - started)
        if run and (report.kept != documents or encoder.encoded != before):
            raise LibrarianError(f"a run with nothing changed kept {report.kept} of {documents} documents")
    return Planning(documents, times[0], tuple(times[1:]))
