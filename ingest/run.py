"""One run of an ingestion job: its stages joined, and what they did counted.

    walk and plan → read → parse and cut (worker processes) → encode → write

Each stage works ahead of the next by a bounded amount, so loading and writing hide behind the encoder and memory does
not follow the size of the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from ingest.background import Halt, ahead
from ingest.loading import EmptyDocument
from ingest.options import Options
from ingest.pipeline import encoded, windows
from ingest.planning import Keep, Planner, Write
from ingest.pool import PreparePool, Refused
from ingest.preparing import Task
from ingest.report import Failure, Progress, Report, Stage
from ingest.target import Target
from ingest.writer import Part, Writer
from rag.errors import Cancelled, TooManyFailures
from rag.settings import Settings

# A share of failures means something once so many documents were tried.
SHARE_COUNTS_FROM = 20
_DELETED_TOGETHER = 256
_TELL_EVERY = 1000


class Run:
    """The stages over one source and one collection. `go` once."""

    def __init__(
        self,
        target: Target,
        planner: Planner,
        settings: Settings,
        options: Options,
        shown: str,
        on_progress: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> None:
        self._target = target
        self._planner = planner
        self._options = options
        self._on_progress = on_progress
        self._stop = stop
        self._report = Report(settings.collection, shown)
        self._waiting: dict[str, Write] = {}  # what the workers are at: as bounded as they are
        self._emptied: list[str] = []
        self._found = 0
        self._unread = 0  # failed before there was anything to read: not among those found
        self._encoded = 0
        self._listed = False
        self._stage: Stage = "planning"

    def go(self, only: frozenset[str] | None) -> Report:
        """Run the stages to their end."""
        started = time.monotonic()
        report = self._report
        with (
            self._target.pool() as pool,
            closing(ahead(windows(self._prepared(pool, only)), 1, halt := Halt(pool.close))) as filled,
            closing(ahead(encoded(filled, self._target.dense, self._on_encoded), 1, halt)) as ready,
        ):
            for window in ready:
                self._stop_if_asked()
                self._stage = "writing"
                self._target.writer().write(window)
                self._written(window)
        self._check_failures()
        if self._target.name:
            self._delete(self._target.writer(), prune=self._options.prune and only is None)
        report.skipped = dict(self._planner.skipped.most_common())
        report.seconds = time.monotonic() - started
        return report

    def _prepared(self, pool: PreparePool, only: frozenset[str] | None) -> Iterator[Part]:
        """Documents that are to be written, as the workers get done with them."""
        for outcome in pool.run(self._tasks(only)):
            step = self._waiting.pop(outcome.item.uri)
            if not isinstance(outcome, Refused):
                document, chunks = outcome.prepared.document, outcome.prepared.chunks
                yield Part(document, chunks, len(chunks), step.stamp, step.held is not None, last=True)
            elif empty(outcome):
                self._report.leave_out(step.item.path)
                if step.held:
                    self._emptied.append(step.item.uri)
            else:
                self._fail(Failure(step.item.uri, step.item.path, outcome.code, outcome.reason))

    def _tasks(self, only: frozenset[str] | None) -> Iterator[Task]:
        """What the workers are to do; what needs no work is counted on the way."""
        for number, step in enumerate(self._planner.steps(only), start=1):
            if number % _TELL_EVERY == 0:
                self._tell()
            self._stop_if_asked()
            if isinstance(step, Keep):
                self._report.kept += 1
                if step.stamp is not None:
                    self._target.writer().restamp(step.held.uri, step.held.hash, step.stamp)
            elif isinstance(step, Write):
                self._found += 1
                self._report.bytes += len(step.data)
                self._waiting[step.item.uri] = replace(step, data=b"")
                yield Task(step.item, step.data, self._options.groups, self._options.metadata, step.hash)
            else:
                self._unread += 1
                self._fail(step.failure)
        self._listed = True
        self._tell()

    def _delete(self, writer: Writer, prune: bool) -> None:
        """Take out documents that hold no text any more and (prune) those that are gone from the source."""
        self._stage = "deleting"
        gone = list(self._emptied)
        for held in self._planner.gone() if prune else ():
            gone.append(held.uri)
            if len(gone) >= _DELETED_TOGETHER:
                self._stop_if_asked()
                self._delete_some(writer, gone)
                gone = []
        self._delete_some(writer, gone)

    def _delete_some(self, writer: Writer, uris: Sequence[str]) -> None:
        writer.delete(uris)
        self._report.deleted += len(uris)
        self._tell()

    def _written(self, window: Sequence[Part]) -> None:
        for part in window:
            self._report.chunks += len(part.chunks)
            if part.last and part.replaces:
                self._report.replaced += 1
            elif part.last:
                self._report.added += 1
        self._tell()

    def _on_encoded(self, chunks: int) -> None:
        self._stop_if_asked()
        self._encoded += chunks
        self._tell()

    def _fail(self, failure: Failure) -> None:
        self._report.fail(failure)
        self._check_failures()

    def _check_failures(self) -> None:
        failures, limit = self._report.failures, self._options.max_failures
        tried = self._report.kept + self._found + self._unread
        too_many = failures > limit if limit >= 1 else tried >= SHARE_COUNTS_FROM and failures > limit * tried
        if too_many:
            first = self._report.failed[0]
            raise TooManyFailures(
                f"{failures} of {tried} documents failed, more than --max-failures {limit:g} allows; the job stopped "
                f"and deleted nothing. The first: {first.path}: {first.reason}",
                self._report.failed,
            )

    def _stop_if_asked(self) -> None:
        if self._stop():
            raise Cancelled("the job was cancelled; what was written stays, and running it again goes on from there.")

    def _tell(self) -> None:
        report = self._report
        self._on_progress(
            Progress(
                documents=self._found - (report.failures - self._unread),
                listed=self._listed,
                done=report.added + report.replaced + report.empties,
                kept=report.kept,
                chunks=self._encoded,
                failed=report.failures,
                deleted=report.deleted,
                stage=self._stage,
                written=report.chunks,
            )
        )


def empty(outcome: Refused) -> bool:
    """Whether the document was read and holds no text: nothing to index, nothing wrong."""
    return outcome.code == EmptyDocument.code
