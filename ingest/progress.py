"""How a job's progress is shown: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.job import Progress

LINE_SECONDS = 5.0


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A callback that shows progress on stderr until the block ends; `quiet` shows nothing."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
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
    started = time.monotonic()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None, chunks=0, rate=0.0, failed=0)

        def show(progress: Progress) -> None:
            rate = progress.chunks / max(time.monotonic() - started, 1e-9)
            bar.update(
                task,
                description="Embedding",
                total=progress.documents,
                completed=progress.done,
                chunks=progress.chunks,
                rate=rate,
                failed=progress.failed,
            )

        yield show


def _lines() -> Callable[[Progress], None]:
    started = last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_SECONDS:
            return
        last = now
        rate = progress.chunks / (now - started)
        print(
            f"ingest: {progress.done}/{progress.documents} documents, {progress.chunks} chunks, {rate:.0f} chunks/s, "
            f"{progress.failed} failed",
            file=sys.stderr,
            flush=True,
        )

    return show
