"""How a job's progress is shown: a bar on a terminal, a line of facts every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.options import Shard
from ingest.report import Progress
from ingest.selection import Selection
from ingest.sources.interface import Source
from ingest.sources.stoppable import Stoppable
from rag.errors import LibrarianError

LINE_SECONDS = 5.0

Show = Callable[[Progress], None]
_STAGES = {"planning": "Reading", "writing": "Embedding", "deleting": "Deleting"}


class Total:
    """How many documents a job will settle, counted beside it by walking its source once more; None until known."""

    def __init__(self, source: Source | None, selection: Selection | None = None) -> None:
        """`selection`: those of the source that the job is about; by default all."""
        self.documents: int | None = None
        self._source = source
        self._selection = selection or Selection(Shard())
        self._stop = threading.Event()
        if source is not None:
            threading.Thread(target=self._count, name="librarian-count", daemon=True).start()

    def stop(self) -> None:
        """Count no further."""
        self._stop.set()

    def _count(self) -> None:
        if self._source is None:
            return
        try:
            count = self._selection.count(Stoppable(self._source, self._stop.is_set).items())
        except LibrarianError:
            return  # stopped; or the job meets the same and says so
        finally:
            self._source.close()
        self.documents = count


@contextmanager
def shown_progress(quiet: bool = False, total: Total | None = None) -> Iterator[Show]:
    """A callback that shows progress on stderr until the block ends; `quiet` shows nothing."""
    total = total or Total(None)
    try:
        if quiet:
            yield lambda _: None
        elif sys.stderr.isatty():
            with _bar(total) as show:
                yield show
        else:
            yield _lines(total)
    finally:
        total.stop()


def _of(progress: Progress, total: Total) -> tuple[int, int | None]:
    """Documents that are settled, and how many there are where that is known."""
    settled = progress.done + progress.kept + progress.failed
    if progress.listed:
        return settled, progress.documents + progress.kept + progress.failed
    return settled, total.documents


@contextmanager
def _bar(total: Total) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(
            "documents · {task.fields[chunks]} chunks · {task.fields[rate]:.0f}/s · {task.fields[failed]} failed"
        ),
        TimeRemainingColumn(),
    )
    clock = _Clock()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None, chunks=0, rate=0.0, failed=0)

        def show(progress: Progress) -> None:
            settled, documents = _of(progress, total)
            bar.update(
                task,
                description=_STAGES[progress.stage],
                total=documents,
                completed=settled,
                chunks=progress.chunks,
                rate=clock.rate(progress.chunks),
                failed=progress.failed,
            )

        yield show


def _lines(total: Total) -> Show:
    clock = _Clock()
    last = time.monotonic()
    lock = threading.Lock()

    def show(progress: Progress) -> None:
        nonlocal last
        with lock:
            now = time.monotonic()
            if now - last < LINE_SECONDS:
                return
            last = now
        settled, documents = _of(progress, total)
        left = clock.left(progress, settled, documents)
        print(
            f"ingest: stage={progress.stage} documents={settled}/{documents or '?'} kept={progress.kept} "
            f"chunks={progress.chunks} chunks_per_s={clock.rate(progress.chunks):.0f} failed={progress.failed} "
            f"eta_s={'?' if left is None else round(left)}",
            file=sys.stderr,
            flush=True,
        )

    return show


class _Clock:
    """Rates since the first chunk: planning and loading the encoder are no part of them."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first: tuple[float, int] | None = None

    def rate(self, chunks: int) -> float:
        """Chunks a second."""
        now = time.monotonic()
        if self._first is None:
            if chunks:
                self._first = (now, chunks)
            return 0.0
        since, before = self._first
        return (chunks - before) / max(now - since, 1e-9)

    def left(self, progress: Progress, settled: int, documents: int | None) -> float | None:
        """Seconds until the documents are done at the pace so far: in chunks, which are done one after the other."""
        if not documents or not settled:
            return None
        rate = self.rate(progress.chunks)
        if rate and progress.written:
            expected = progress.written / settled * documents  # chunks, with what the kept documents cost: none
            return max(0.0, expected - progress.chunks) / rate
        passed = time.monotonic() - self._started
        return (documents - settled) * passed / settled
