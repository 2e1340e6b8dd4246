"""What a job of the service does, made from what was sent to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ingest.job import IngestJob
from ingest.options import Options, Shard
from ingest.report import Progress, Report
from ingest.sources import open_sources
from ingest.sources.interface import Source
from ingest.sources.stoppable import Stoppable
from ingest.uploads import UploadSource
from rag.encoders import DenseEncoder, SparseEncoder
from rag.errors import BadInput, SettingsError
from rag.feeding import JOB_SETTINGS, Handed, Upload
from rag.index.interface import Index
from rag.settings import Settings

OnProgress = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


class Work(Protocol):
    """The work of one job."""

    def run(
        self, index: Index, dense: DenseEncoder, sparse: SparseEncoder, on_progress: OnProgress, cancelled: IsCancelled
    ) -> dict[str, Any]:
        """Do it; returns the report as plain JSON. Raises what IngestJob raises, Cancelled among it."""
        ...

    def may_write(self, uri: str) -> bool:
        """Whether it may write or delete this document."""
        ...


@dataclass(frozen=True, slots=True)
class UploadWork:
    """Documents that were sent, as one job for each set of groups among them."""

    settings: Settings
    parts: Mapping[tuple[str, ...], UploadSource]

    def run(
        self, index: Index, dense: DenseEncoder, sparse: SparseEncoder, on_progress: OnProgress, cancelled: IsCancelled
    ) -> dict[str, Any]:
        """As in Work."""
        whole: Report | None = None
        for groups, source in self.parts.items():
            # Each failure is in the report, and nothing that was sent is left untried because another part is bad.
            options = Options(groups=groups, prune=False, max_failures=float(2**31))
            before = whole

            def tell(progress: Progress, before: Report | None = before) -> None:
                on_progress(_after(before, progress) if before else progress)

            job = IngestJob(index, dense, sparse, self.settings, options)
            report = job.run(source, tell, cancelled, only=frozenset(source.uris))
            whole = _joined(whole, report) if whole else report
        return asdict(whole) if whole else {}

    def may_write(self, uri: str) -> bool:
        """As in Work."""
        return any(each.owns(uri) for each in self.parts.values())


class HandedWork:
    """What a command asked for."""

    def __init__(self, settings: Settings, handed: Handed, options: Options) -> None:
        self._settings = settings
        self._handed = handed
        self._options = options
        self._source: Source | None = None

    def run(
        self, index: Index, dense: DenseEncoder, sparse: SparseEncoder, on_progress: OnProgress, cancelled: IsCancelled
    ) -> dict[str, Any]:
        """As in Work."""
        handed = self._handed
        with closing(
            open_sources(handed.sources, self._settings, include=handed.include, exclude=handed.exclude)
        ) as opened:
            self._source = source = Stoppable(opened, cancelled)
            job = IngestJob(index, dense, sparse, self._settings, self._options)
            if handed.action == "plan":
                return asdict(job.plan(source))
            if handed.action == "check":
                return asdict(job.check(source))
            only = None if handed.only is None else frozenset(handed.only)
            return asdict(job.run(source, on_progress, cancelled, only))

    def may_write(self, uri: str) -> bool:
        """As in Work: a source that is not open yet may own anything."""
        return self._source is None or self._source.owns(uri)


def upload_work(settings: Settings, documents: Sequence[Upload]) -> UploadWork:
    """The work of indexing what was sent."""
    parts: dict[tuple[str, ...], list[Upload]] = {}
    for each in documents:
        parts.setdefault(tuple(sorted(each.groups)), []).append(each)
    return UploadWork(settings, {groups: UploadSource(some) for groups, some in parts.items()})


def handed_work(settings: Settings, handed: Handed) -> HandedWork:
    """The work that a command hands over, under its own limits. Raises BadInput where it makes no sense."""
    unknown = handed.settings.keys() - set(JOB_SETTINGS)
    if unknown:
        raise BadInput(f"the setting '{min(unknown)}' cannot be handed over: command and server differ in version.")
    try:
        values = {**settings.model_dump(), **handed.settings, "collection": handed.collection}
        given = dict(handed.options)
        shard = Shard(**given.pop("shard", {}))
        options = Options(**{**given, "groups": tuple(given.get("groups", ())), "shard": shard})
        return HandedWork(Settings(**values), handed, options)
    except (TypeError, ValueError, SettingsError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"the server cannot take over this work: {reason}; is it of the same version?") from None


def _joined(first: Report, second: Report) -> Report:
    return Report(
        collection=first.collection,
        source=first.source,
        failed=[*first.failed, *second.failed],
        empty=[*first.empty, *second.empty],
        skipped={
            kind: first.skipped.get(kind, 0) + second.skipped.get(kind, 0) for kind in {*first.skipped, *second.skipped}
        },
        **{name: getattr(first, name) + getattr(second, name) for name in _SUMS},
    )


_SUMS = ("added", "replaced", "kept", "deleted", "chunks", "bytes", "seconds", "failures", "empties")


def _after(before: Report, progress: Progress) -> Progress:
    written = before.added + before.replaced + before.empties
    return Progress(
        documents=written + before.failures + progress.documents,
        listed=progress.listed,
        done=written + progress.done,
        kept=before.kept + progress.kept,
        chunks=before.chunks + progress.chunks,
        failed=before.failures + progress.failed,
        deleted=before.deleted + progress.deleted,
        stage=progress.stage,
        written=before.chunks + progress.written,
    )
