"""The ingestion job: brings a collection in line with a source. Run it again to finish a killed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.lease import lease
from ingest.ledger import Ledger
from ingest.options import Options
from ingest.planning import Keep, Planner, Write
from ingest.pool import Refused
from ingest.preparing import Task
from ingest.report import Drift, Failure, PlanReport, Progress, Report
from ingest.run import Run, empty
from ingest.sources.interface import Source
from ingest.target import Target
from rag.encoders import DenseEncoder, SparseEncoder
from rag.index.interface import Index
from rag.settings import Settings

# So many documents are looked up by name rather than by reading what the whole collection holds.
FEW = 2000


class IngestJob:
    """Brings one collection in line with one source, or tells how it differs."""

    def __init__(
        self,
        index: Index,
        dense: DenseEncoder,
        sparse: SparseEncoder,
        settings: Settings,
        options: Options | None = None,
    ) -> None:
        self._index = index
        self._dense = dense
        self._sparse = sparse
        self._settings = settings
        self._options = options or Options(max_failures=settings.max_failures)

    def run(
        self,
        source: Source,
        on_progress: Callable[[Progress], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
        only: frozenset[str] | None = None,
    ) -> Report:
        """Reconcile; with `only`, nothing but the documents of these URIs.

        A document that fails is in the report, and what was indexed of it before stays. Raises SourceError where the
        source cannot be listed, FingerprintMismatch where the collection was built with something else,
        TooManyFailures, IndexLocked where another job writes the collection, and Cancelled. In every case what was
        written stays, nothing is deleted for being gone, and running again goes on from there.
        """
        self._target()  # what is wrong with the collection is said before anything is waited for
        with lease(self._index, self._settings, self._options.shard) as held:
            target = self._target()  # a re-index may have ended meanwhile

            def stop() -> bool:
                held.check()
                return cancelled()

            with self._ledger(target, only=only) as ledger:
                planner = self._planner(source, ledger)
                return Run(target, planner, self._settings, self._options, source.shown, on_progress, stop).go(only)

    def plan(self, source: Source) -> PlanReport:
        """What `run` would do, with nothing done. A document that holds no text counts as one to add."""
        target = self._target()
        report = PlanReport(self._settings.collection, source.shown)
        with self._ledger(target) as ledger:
            planner = self._planner(source, ledger)
            for step in planner.steps():
                if isinstance(step, Keep):
                    report.count("keep", step.held.uri, step.size)
                elif isinstance(step, Write):
                    report.count("replace" if step.held else "add", step.item.path, len(step.data))
                else:
                    report.fail(step.failure)
            for held in planner.gone() if self._options.prune else ():
                report.count("delete", held.uri, 0)
        report.skipped = dict(planner.skipped.most_common())
        return report

    def check(self, source: Source) -> Drift:
        """How the index differs from the source: every point is looked at, every document read and compared.

        A document that holds no text or cannot be turned into text is not missing in the index: those that are not
        there are read as `run` would, to tell.
        """
        target = self._target()
        drift = Drift(self._settings.collection, source.shown)
        with self._ledger(target, thorough=True) as ledger:
            planner = self._planner(source, ledger, verify=True)
            with target.pool() as pool:
                for outcome in pool.run(self._not_there(planner, drift)):
                    if not isinstance(outcome, Refused):
                        drift.add("missing", outcome.item.path)
                    elif not empty(outcome):
                        drift.fail(Failure(outcome.item.uri, outcome.item.path, outcome.code, outcome.reason))
            for held in planner.gone():
                drift.add("gone", held.uri)
        return drift

    def _not_there(self, planner: Planner, drift: Drift) -> Iterator[Task]:
        for step in planner.steps():
            if isinstance(step, Keep):
                drift.same += 1
            elif not isinstance(step, Write):
                drift.fail(step.failure)
            elif step.held is None:
                yield Task(step.item, step.data, self._options.groups, self._options.metadata, step.hash)
            else:
                drift.add("changed" if step.held.sound else "damaged", step.item.path)

    def _target(self) -> Target:
        return Target(self._index, self._settings, self._dense, self._sparse)

    def _ledger(self, target: Target, thorough: bool = False, only: frozenset[str] | None = None) -> Ledger:
        ledger = Ledger()
        # Folders and archives among those named stand for documents whose names are not known before they are listed.
        exact = only is not None and len(only) <= FEW and not any(each.endswith(("/", "#")) for each in only)
        if target.name:
            try:
                some = sorted(only) if only is not None and exact else None
                ledger.read(self._index, target.name, target.scope, thorough, some)
            except BaseException:
                ledger.close()
                raise
        return ledger

    def _planner(self, source: Source, ledger: Ledger, verify: bool = False) -> Planner:
        return Planner(source, ledger, self._options, self._settings.max_document_bytes, verify)
