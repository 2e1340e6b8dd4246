"""What ingest.py times: the encoder alone, Librarian, and its peers, over the same chunks."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ingest_corpus import Pages, Question

from ingest.job import IngestJob
from ingest.report import Report
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, DenseEncoder
from rag.fusion import ranked, reciprocal_rank_fusion
from rag.index.embedded import EmbeddedIndex
from rag.index.interface import DenseLeg, SparseLeg
from rag.schema import Scope
from rag.settings import Settings

PEERS_PYTHON = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
DEPTH = 10  # nDCG@10

_CANDIDATES = 100
_PEER_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Rate:
    """Chunks that took so many seconds, and so many of all cores together (`cpu_s`; None: not measured)."""

    chunks: int
    seconds: float
    cpu_s: float | None = None

    @classmethod
    def of(cls, chunks: int, work: Callable[[], object]) -> Rate:
        """Do the work and time it, with the processes that it starts and waits for."""
        started, before = time.perf_counter(), _cpu_s()
        work()
        return cls(chunks, time.perf_counter() - started, _cpu_s() - before)

    def __add__(self, other: Rate) -> Rate:
        cpu = self.cpu_s + other.cpu_s if self.cpu_s is not None and other.cpu_s is not None else None
        return Rate(self.chunks + other.chunks, self.seconds + other.seconds, cpu)

    @property
    def per_s(self) -> float:
        """Chunks a second."""
        return self.chunks / self.seconds


@dataclass(slots=True)
class Row:
    """One path. `quality` is nDCG@10 by name; `note` is why there is no number, or what is to be known of it."""

    title: str
    rate: Rate | None = None
    quality: dict[str, float] | None = None
    note: str = ""


def time_encoder(dense: DenseEncoder, texts: Sequence[str]) -> Rate:
    """All texts, sorted by length and in one call: the best that any pipeline around this encoder could do."""
    ready = sorted(texts, key=len, reverse=True)
    return Rate.of(len(ready), lambda: dense.encode_documents(ready))


def time_job(pages: Pages, index: EmbeddedIndex, dense: DenseEncoder, sparse: Bm25Encoder, settings: Settings) -> Rate:
    """`IngestJob.run` over the folder into an empty index, starting the worker processes included."""
    with closing(open_source(pages.folder, settings)) as source:
        reports: list[Report] = []
        rate = Rate.of(len(pages.texts), lambda: reports.append(IngestJob(index, dense, sparse, settings).run(source)))
    if reports[0].failures or reports[0].chunks != len(pages.texts):
        raise RuntimeError(
            f"the job wrote {reports[0].chunks} chunks and {reports[0].failures} documents failed; the peers are given "
            f"{len(pages.texts)} chunks of the same pages"
        )
    return rate


def quality_of_job(
    questions: Sequence[Question], index: EmbeddedIndex, dense: DenseEncoder, sparse: Bm25Encoder, settings: Settings
) -> dict[str, float]:
    """nDCG@10 of the index that the job wrote: dense alone, as the peers search, and hybrid, as Librarian does."""

    def search(text: str) -> tuple[list[str], list[str]]:
        legs = [
            DenseLeg(dense.encode_query(text).tolist(), _CANDIDATES),
            SparseLeg(sparse.encode_query(text), _CANDIDATES),
        ]
        near, words = index.query(settings.collection, legs, Scope())
        fused = ranked(reciprocal_rank_fusion(near, words, settings.rrf_k), near, words)
        return paths([each.id for each in near]), paths([each.id for each in fused])

    def paths(ids: Sequence[str]) -> list[str]:
        return [str(each.payload["path"]) for each in index.fetch(settings.collection, ids, Scope())]

    found = [search(each.text) for each in questions]
    return {
        "dense": mean_ndcg(questions, [near for near, _ in found]),
        "hybrid": mean_ndcg(questions, [fused for _, fused in found]),
    }


def quality_of(questions: Sequence[Question], search: Callable[[str, int], list[str]]) -> dict[str, float]:
    """nDCG@10 of a store with one dense leg."""
    return {"dense": mean_ndcg(questions, [search(each.text, _CANDIDATES) for each in questions])}


def mean_ndcg(questions: Sequence[Question], found: Sequence[Sequence[str]]) -> float:
    """nDCG@10 (Järvelin and Kekäläinen, 2002; relevance 0 or 1). A page stands where the best of its chunks does."""
    return sum(_ndcg(each.pages, pages) for each, pages in zip(questions, found, strict=True)) / len(questions)


def _ndcg(relevant: frozenset[str], found: Sequence[str]) -> float:
    ranked = list(dict.fromkeys(found))[:DEPTH]
    gained = sum(1 / math.log2(rank + 1) for rank, page in enumerate(ranked, start=1) if page in relevant)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), DEPTH) + 1))
    return gained / best


def time_peer(framework: str, model: Path, texts: Sequence[str], folder: Path) -> Row:
    """A framework in the environment that peers.sh makes, in a process of its own that times itself."""
    row = Row(framework)
    if not PEERS_PYTHON.exists():
        row.note = "SKIPPED: benchmarks/peers.sh makes its environment"
        return row
    folder.mkdir()
    given = folder / "texts.json"
    given.write_text(json.dumps(list(texts)), encoding="utf-8")
    script = str(Path(__file__).with_name("ingest_peers.py"))
    command = [str(PEERS_PYTHON), script, framework, str(model), str(given), str(folder / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PEER_SECONDS, check=False)
    if done.returncode:
        row.note = f"FAILED: {' '.join(done.stderr.split())[-200:]}"
        return row
    said = json.loads(done.stdout.splitlines()[-1])
    if said["stored"] != len(texts):
        row.note = f"FAILED: it stored {said['stored']} of {len(texts)} chunks"
        return row
    row.title = said["title"]
    row.rate = Rate(len(texts), said["seconds"])
    return row


def _cpu_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def say(message: str) -> None:
    """Progress, with the clock in front, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)
