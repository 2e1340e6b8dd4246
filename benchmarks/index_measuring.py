"""Loading the stores that index.py compares, asking them, and keeping time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from corpus import MAIN, SMALL, Corpus, Query
from index_stores import BATCH, TOP, LangChainStore, LibrarianStore, LocalStore, Store, SyncedLibrarianStore

MEASURES = ("dense", "filtered", "hybrid")
FEWEST_QUERIES = 10

WARM_UP = 2
_DURABILITY_SECONDS = 20.0
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that one store's upserts, and each of its kinds of query, are measured for at most."""

    upsert_s: float
    query_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per query, over `asked` queries, with what they returned."""

    p50: float
    p95: float
    asked: int
    answers: list[list[str]]


@dataclass(slots=True)
class Row:
    """What one store came to. `error` is set where it failed, and what was measured before stays."""

    title: str
    upserts_per_s: float | None = None
    points_timed: int = 0
    timings: dict[str, Timing] = field(default_factory=dict)
    same_hits: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class LargeRun:
    """Librarian alone, before and after `optimize`."""

    points: int
    before: Row = field(default_factory=lambda: Row("as written"))
    after: Row = field(default_factory=lambda: Row("after `optimize()`"))
    recall_before: float | None = None
    recall_after: float | None = None
    optimize_s: float | None = None
    reopen_s: float | None = None
    error: str | None = None


def say(message: str) -> None:
    """Progress, with the clock in front, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def compare(corpus: Corpus, folder: Path, limits: Limits) -> list[Row]:
    """Librarian and its peers, in this order."""
    makers: dict[str, Callable[[], Store]] = {
        "Librarian (embedded)": lambda: LibrarianStore.create(folder / "librarian"),
        "qdrant-client, local mode on disk": lambda: LocalStore(folder / "local"),
        "langchain-qdrant, local mode on disk": lambda: LangChainStore(folder / "langchain", corpus.queries),
    }
    rows = [Row(title) for title in makers]
    for row, make in zip(rows, makers.values(), strict=True):
        say(f"{row.title}: {len(corpus.ids):,} points")
        with _reported(row), closing(make()) as store:
            _load(store, corpus, row, limits.upsert_s)
            say(f"  {row.title}: {row.upserts_per_s:,.0f} upserts/s over {row.points_timed:,} points")
            if isinstance(store, LibrarianStore):
                store.load_as_one_tenant(corpus)
            _ask_all(store, corpus, row, limits.query_s)
    for row in rows[1:]:
        row.same_hits = _same_hits(rows[0], row)
    return rows


def compare_durability(corpus: Corpus, folder: Path) -> list[Row]:
    """Upserts alone, with Librarian syncing every batch and with a peer that syncs nothing."""
    makers: dict[str, Callable[[], Store]] = {
        "Librarian, log synced to disk after each batch": lambda: SyncedLibrarianStore.create(folder / "synced"),
        "qdrant-client, local mode in memory": lambda: LocalStore(None),
    }
    rows = [Row(title) for title in makers]
    for row, make in zip(rows, makers.values(), strict=True):
        say(f"{row.title}: upserts")
        with _reported(row), closing(make()) as store:
            _load(store, corpus, row, _DURABILITY_SECONDS, all_points=False)
    return rows


def run_large(corpus: Corpus, folder: Path, limits: Limits) -> LargeRun:
    """Librarian alone: load, ask, optimise, ask, reopen. Recall is of the dense top 10 against brute force."""
    run = LargeRun(len(corpus.ids))
    say(f"Librarian alone: {run.points:,} points")
    with _reported(run):
        exact = [corpus.nearest(query, MAIN, TOP) for query in corpus.queries]
        with closing(LibrarianStore.create(folder / "large")) as store:
            _load(store, corpus, run.before, float("inf"))
            _ask_all(store, corpus, run.before, limits.query_s)
            run.recall_before = overlap(exact, run.before.timings["dense"].answers)
            say("  optimising (minutes at 100,000 points)")
            started = time.perf_counter()
            store.index.optimize("tenants")
            run.optimize_s = time.perf_counter() - started
            _ask_all(store, corpus, run.after, limits.query_s)
            run.recall_after = overlap(exact, run.after.timings["dense"].answers)
        started = time.perf_counter()
        with closing(LibrarianStore(folder / "large")) as store:
            store.dense(corpus.queries[0], None)
            run.reopen_s = time.perf_counter() - started
    return run


@contextmanager
def _reported(result: Row | LargeRun) -> Iterator[None]:
    """Note a failure in the result and go on: one store's failure must not cost the others their numbers."""
    try:
        yield
    except Exception as error:
        result.error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        say(f"  failed: {result.error}")


def _load(store: Store, corpus: Corpus, row: Row, seconds: float, *, all_points: bool = True) -> None:
    """Write the corpus and note the rate over the batches of the first `seconds`.

    What remains then is loaded unmeasured, or left out unless `all_points`.
    """
    spent, loaded, shown = 0.0, 0, time.monotonic()
    for tenant, records in corpus.batches(BATCH):
        started = time.perf_counter()
        store.upsert(tenant, records)
        took = time.perf_counter() - started
        loaded += len(records)
        if spent < seconds:
            spent += took
            row.points_timed = loaded
            row.upserts_per_s = loaded / spent
            if spent >= seconds:
                if not all_points:
                    return
                store.stop_syncing()
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            say(f"  {row.title}: {loaded:,} of {len(corpus.ids):,} points")


def _ask_all(store: Store, corpus: Corpus, row: Row, seconds: float) -> None:
    """Every kind of query, into the row."""
    asks: dict[str, Callable[[Query], list[str]]] = {
        "dense": lambda query: store.dense(query, None),
        "filtered": lambda query: store.dense(query, SMALL),
        "hybrid": store.hybrid,
    }
    for name in MEASURES:
        timing = row.timings[name] = ask_each(asks[name], corpus.queries, seconds)
        say(f"  {row.title}: {name} p50 {timing.p50:.2f} ms, p95 {timing.p95:.2f} ms over {timing.asked} queries")


def ask_each(ask: Callable[[Query], list[str]], queries: Sequence[Query], seconds: float) -> Timing:
    """Ask the queries one by one, stopping after `seconds` but not before ten of them."""
    for query in queries[-WARM_UP:]:
        ask(query)
    times: list[float] = []
    answers: list[list[str]] = []
    deadline = time.perf_counter() + seconds
    for query in queries:
        started = time.perf_counter()
        answers.append(ask(query))
        times.append((time.perf_counter() - started) * 1e3)
        if len(times) >= FEWEST_QUERIES and time.perf_counter() > deadline:
            break
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return Timing(p50, p95, len(times), answers)


def overlap(expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """The mean share of the expected ids that were found, over the queries that both have."""
    shares = [len(set(a) & set(b)) / max(len(a), 1) for a, b in zip(expected, found, strict=False)]
    return sum(shares) / len(shares)


def _same_hits(ours: Row, theirs: Row) -> dict[str, float]:
    return {
        name: overlap(ours.timings[name].answers, theirs.timings[name].answers)
        for name in MEASURES
        if name in ours.timings and name in theirs.timings
    }
