"""One size of scale.py: a collection of so many points, written, asked, optimised, asked again. In its own process."""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from corpus import MAIN, Corpus
from index_measuring import WARM_UP, ask_each, overlap, say
from index_stores import BATCH, TOP, LibrarianStore

_BLOCK = 100_000
_PROGRESS_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Served:
    """The collection as a service has it: opened anew, then asked.

    Seconds to the first answer; milliseconds a query; `hybrid_cpu`: milliseconds of processor time of a hybrid one,
    all threads (the mean), which other work on the machine changes less; share of the dense top ten that brute force
    finds; bytes that opening and asking added to the process, of its own (`anonymous`) and mapped from the engine's
    files (`mapped`, which the kernel may take back).
    """

    open_s: float
    dense_p50: float
    dense_p95: float
    hybrid_p50: float
    hybrid_p95: float
    hybrid_cpu: float
    asked: int
    recall: float
    anonymous: int
    mapped: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One size. `load_s` is the engine's time for all upserts; `disk` the folder's bytes as it was last.

    `_cpu_s`: seconds of processor time of the same, all threads.
    """

    points: int
    load_s: float
    load_cpu_s: float
    disk: int
    before: Served
    optimize_s: float | None = None
    optimize_cpu_s: float | None = None
    after: Served | None = None


def in_a_process(points: int, queries: int, seconds: float, folder: Path, *, optimize: bool) -> Measured:
    """Measure one size in a new process, so that the sizes before it have left nothing in its memory."""
    command = [sys.executable, __file__, str(points), str(queries), str(seconds), str(folder), str(int(optimize))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    after = Served(**found["after"]) if found["after"] else None
    return Measured(**{**found, "before": Served(**found["before"]), "after": after})


def measure(points: int, queries: int, seconds: float, folder: Path, *, optimize: bool) -> Measured:
    """Write, reopen, ask; where `optimize`, that too, and ask again. Each kind of query: for `seconds` at most."""
    say(f"{points:,} points: drawing")
    corpus = Corpus.make(points, queries)
    nearest = _nearest(corpus)
    say(f"{points:,} points: writing")
    load_s, load_cpu_s = _write(corpus, folder)
    before = _served(folder, corpus, nearest, seconds)
    say(f"{points:,} points: hybrid p50 {before.hybrid_p50:.2f} ms as written")
    if not optimize:
        return Measured(points, load_s, load_cpu_s, _bytes(folder), before)
    with closing(LibrarianStore(folder)) as store:
        started, worked = time.perf_counter(), time.process_time()
        store.index.optimize("tenants")
        optimize_s, optimize_cpu_s = time.perf_counter() - started, time.process_time() - worked
    after = _served(folder, corpus, nearest, seconds)
    say(f"{points:,} points: hybrid p50 {after.hybrid_p50:.2f} ms, optimised in {optimize_s:.0f} s")
    return Measured(points, load_s, load_cpu_s, _bytes(folder), before, optimize_s, optimize_cpu_s, after)


def _write(corpus: Corpus, folder: Path) -> tuple[float, float]:
    """Every point, all of one tenant; the seconds that the index took, and those of processor time."""
    spent, worked, shown = 0.0, 0.0, time.monotonic()
    with closing(LibrarianStore.create(folder)) as store:
        for number, (_, records) in enumerate(corpus.batches(BATCH)):
            started, began = time.perf_counter(), time.process_time()
            store.upsert(MAIN, records)
            spent += time.perf_counter() - started
            worked += time.process_time() - began
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                say(f"  {(number + 1) * BATCH:,} points, {(number + 1) * BATCH / spent:,.0f} upserts/s")
    return spent, worked


def _served(folder: Path, corpus: Corpus, nearest: list[list[str]], seconds: float) -> Served:
    base = _memory()
    started = time.perf_counter()
    with closing(LibrarianStore(folder)) as store:
        store.hybrid(corpus.queries[0])
        open_s = time.perf_counter() - started
        dense = ask_each(lambda query: store.dense(query, None), corpus.queries, seconds)
        worked = time.process_time()
        hybrid = ask_each(store.hybrid, corpus.queries, seconds)
        worked = time.process_time() - worked
        held = _memory()
    return Served(
        open_s=open_s,
        dense_p50=dense.p50,
        dense_p95=dense.p95,
        hybrid_p50=hybrid.p50,
        hybrid_p95=hybrid.p95,
        hybrid_cpu=worked * 1e3 / (hybrid.asked + WARM_UP),
        asked=min(dense.asked, hybrid.asked),
        recall=overlap(nearest, dense.answers),
        anonymous=max(held[0] - base[0], 0),
        mapped=max(held[1] - base[1], 0),
    )


def _nearest(corpus: Corpus) -> list[list[str]]:
    """Each query's TOP nearest points by brute force, a block of points at a time."""
    asked = np.asarray([query.dense for query in corpus.queries], dtype=np.float32)
    numbers = np.empty((len(asked), 0), dtype=np.int64)
    cosines = np.empty((len(asked), 0), dtype=np.float32)
    for start in range(0, len(corpus.ids), _BLOCK):
        found = asked @ corpus.dense[start : start + _BLOCK].T
        numbers = np.hstack([numbers, np.broadcast_to(np.arange(start, start + found.shape[1]), found.shape)])
        cosines = np.hstack([cosines, found])
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :TOP]
        numbers, cosines = np.take_along_axis(numbers, best, axis=1), np.take_along_axis(cosines, best, axis=1)
    return [[corpus.ids[number] for number in row] for row in numbers]


def _memory() -> tuple[int, int]:
    """Bytes of this process: anonymous and mapped from files, once what is free was given back."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
    return sizes["RssAnon"], sizes["RssFile"]


def _bytes(folder: Path) -> int:
    """What the files take on the disk; those with holes count as what is written in them."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    size, count, limit, place, whether = sys.argv[1:]
    result = measure(int(size), int(count), float(limit), Path(place), optimize=bool(int(whether)))
    print(json.dumps(asdict(result)))
