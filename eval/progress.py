"""How far an evaluation is: a bar on a terminal, a line every few seconds elsewhere, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_SECONDS = 5.0

# What is being done, how much of it is done, of how much (None: not known yet), and anything else worth saying.
Show = Callable[[str, int, int | None, str], None]


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[Show]:
    """A callback that shows progress until the block ends; `quiet` shows nothing."""
    if quiet:
        yield lambda *_: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None, note="")
        stage = ""

        def show(what: str, done: int, total: int | None, note: str) -> None:
            nonlocal stage
            if what != stage:
                bar.reset(task)
                stage = what
            bar.update(task, description=escape(what), completed=done, total=total, note=escape(note))

        yield show


def _lines() -> Show:
    last = time.monotonic()

    def show(what: str, done: int, total: int | None, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            print(f"eval: {what}: {done}/{total or '?'} {note}".rstrip(), file=sys.stderr, flush=True)

    return show
