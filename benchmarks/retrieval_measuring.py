"""Timing what retrieval.py compares: a whole search, its bare parts, and LangChain in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ingest_measuring import PEERS_PYTHON
from retrieval_corpus import Corpus

from rag.encoders import Bm25Encoder, LocalEncoder
from rag.index.interface import DenseLeg, Index, SparseLeg
from rag.retrieval import Retriever
from rag.schema import Scope, SearchResult
from rag.settings import Settings

TOP = 10

_WARM_UP = 20
_PEER_SECONDS = 1800

Ask = Callable[[str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds a query, and queries a second, all callers together."""

    p50: float
    p95: float
    per_s: float
    asked: int

    @classmethod
    def of(cls, times_ms: Sequence[float], wall_s: float) -> Timing:
        """From each query's milliseconds and the seconds that all of them took together."""
        p50, p95 = np.percentile(times_ms, [50, 95]).tolist()
        return cls(p50, p95, len(times_ms) / wall_s, len(times_ms))


@dataclass(frozen=True, slots=True)
class Compared:
    """A whole search and its bare parts with so many callers. `rounds` are the ratios of the medians, round by round;
    `stages` are medians in milliseconds of what the search says of itself."""

    callers: int
    whole: Timing
    bare: Timing
    rounds: tuple[float, ...]
    stages: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """Median to median."""
        return self.whole.p50 / self.bare.p50


class Bare:
    """Encode a query and ask the index for both legs; nothing else."""

    def __init__(self, index: Index, dense: LocalEncoder, sparse: Bm25Encoder, name: str, settings: Settings) -> None:
        self._index, self._dense, self._sparse = index, dense, sparse
        self._own = index.describe(name).name
        self._limit = settings.candidates
        self._scope = Scope()

    def __call__(self, query: str) -> None:
        dense = DenseLeg(self._dense.encode_query(query).tolist(), self._limit)
        sparse = SparseLeg(self._sparse.encode_query(query), self._limit)
        self._index.query(self._own, [dense, sparse], self._scope)

    def nearest(self, query: str) -> list[str]:
        """The dense leg's best ids."""
        (hits,) = self._index.query(self._own, [DenseLeg(self._dense.encode_query(query).tolist(), TOP)], self._scope)
        return [each.id for each in hits]


def compare(
    runner: asyncio.Runner, retriever: Retriever, bare: Bare, queries: Sequence[str], callers: int, rounds: int
) -> Compared:
    """Whole and bare in turn, `rounds` times all queries, each time the other one first."""
    stages: defaultdict[str, list[float]] = defaultdict(list)

    async def search(query: str) -> None:
        for stage, took in (await retriever.search(query, Scope())).timings_ms.items():
            stages[stage].append(took)

    def whole(texts: Sequence[str]) -> tuple[list[float], float]:
        return runner.run(ask_awaiting(search, texts, callers))

    def parts(texts: Sequence[str]) -> tuple[list[float], float]:
        return ask_threaded(bare, texts, callers)

    whole(queries[:_WARM_UP])
    parts(queries[:_WARM_UP])
    stages.clear()
    found: dict[str, list[tuple[list[float], float]]] = {"whole": [], "bare": []}
    for number in range(rounds):
        turns = [("whole", whole), ("bare", parts)]
        for kind, ask in turns if number % 2 == 0 else reversed(turns):
            found[kind].append(ask(queries))
    ratios = [
        float(np.median(one) / np.median(other))
        for (one, _), (other, _) in zip(found["whole"], found["bare"], strict=True)
    ]
    taken = {stage: float(np.median(times)) for stage, times in stages.items()}
    return Compared(callers, _timing(found["whole"]), _timing(found["bare"]), tuple(ratios), taken)


def time_whole(
    runner: asyncio.Runner, retriever: Retriever, queries: Sequence[str], callers: int, rounds: int
) -> tuple[Timing, list[SearchResult]]:
    """Searches for TOP passages, with their answers in the order of the queries."""
    answers: dict[str, SearchResult] = {}

    async def search(query: str) -> None:
        answers[query] = await retriever.search(query, Scope(), top_k=TOP)

    runner.run(ask_awaiting(search, queries[:_WARM_UP], callers))
    runs = [runner.run(ask_awaiting(search, queries, callers)) for _ in range(rounds)]
    return _timing(runs), [answers[each] for each in queries]


async def ask_awaiting(ask: Ask, queries: Sequence[str], callers: int) -> tuple[list[float], float]:
    """Each query's milliseconds and the seconds of all; so many tasks take the next query as soon as they are free."""
    waiting, times = deque(queries), list[float]()

    async def caller() -> None:
        while waiting:
            query = waiting.popleft()
            started = time.perf_counter()
            await ask(query)
            times.append((time.perf_counter() - started) * 1e3)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times, time.perf_counter() - started


def ask_threaded(ask: Callable[[str], object], queries: Sequence[str], callers: int) -> tuple[list[float], float]:
    """The same by threads; a single caller is this one. An error in one of them is raised here."""
    waiting, times, errors = deque(queries), list[float](), list[Exception]()

    def caller() -> None:
        try:
            while True:
                try:
                    query = waiting.popleft()
                except IndexError:
                    return
                started = time.perf_counter()
                ask(query)
                times.append((time.perf_counter() - started) * 1e3)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=caller) for _ in range(callers)] if callers > 1 else []
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not threads:
        caller()
    wall = time.perf_counter() - started
    if errors:
        raise errors[0]
    return times, wall


def ask_langchain(
    model: Path, corpus: Corpus, count: int, queries: Sequence[str], callers: Sequence[int], folder: Path
) -> dict[str, Any]:
    """What retrieval_peers.py reports of the first `count` chunks. Raises RuntimeError where it cannot be had."""
    if not PEERS_PYTHON.exists():
        raise RuntimeError("SKIPPED: benchmarks/peers.sh makes its environment")
    chunks = [
        [corpus.identity(number), point.document.uri, point.prepared.embedded]
        for number, point in enumerate(corpus.points[:count])
    ]
    (folder / "chunks.json").write_text(json.dumps(chunks), encoding="utf-8")
    (folder / "queries.json").write_text(json.dumps(list(queries)), encoding="utf-8")
    np.save(folder / "vectors.npy", corpus.vectors[:count])
    script = str(Path(__file__).with_name("retrieval_peers.py"))
    command = [str(PEERS_PYTHON), script, str(model), str(folder), ",".join(map(str, callers))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PEER_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"FAILED: {' '.join(done.stderr.split())[-200:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _timing(runs: Sequence[tuple[Sequence[float], float]]) -> Timing:
    return Timing.of([each for times, _ in runs for each in times], sum(wall for _, wall in runs))


def overlap(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> float:
    """The mean share of our different names that are among theirs."""
    shares = [len(set(a) & set(b)) / max(len(set(a)), 1) for a, b in zip(ours, theirs, strict=True)]
    return sum(shares) / len(shares)
