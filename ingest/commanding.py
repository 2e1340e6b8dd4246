"""What `librarian ingest` does once its words are understood: here, or by the process that holds the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ingest.compacting import compact
from ingest.failures import Failures, failures_file, read_failures, write_failures
from ingest.handover import hand_over, hand_over_check, hand_over_plan
from ingest.job import IngestJob
from ingest.options import Options, Shard
from ingest.progress import Total, shown_progress
from ingest.report import Drift, Failure, PlanReport, Report
from ingest.selection import Selection
from ingest.sources import Source, open_sources
from rag.encoders import dense_encoder, sparse_encoder
from rag.errors import BadInput, TooManyFailures
from rag.index import Index, holder, open_index
from rag.index.folder import Holder
from rag.settings import Settings, job_completion_index

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One ingest, understood."""

    settings: Settings
    sources: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    options: Options
    only: frozenset[str] | None
    failures_file: Path

    def open(self) -> Source:
        """The sources as one."""
        return open_sources(self.sources, self.settings, include=self.include, exclude=self.exclude)


def asked(
    settings: Settings,
    sources: Sequence[str],
    groups: str | None,
    metadata: Sequence[str],
    include: Sequence[str],
    exclude: Sequence[str],
    prune: bool,
    shard: str | None,
    retry: Path | None,
    failures: Path | None,
) -> Asked:
    """The command's words as an ingest. Raises BadInput and SourceError where they make no sense."""
    again: Failures | None = None
    if retry is not None:
        again = read_failures(retry)
        if (again.collection, again.tenant) != (settings.collection, settings.tenant):
            raise BadInput(
                f"{retry} is of collection '{again.collection}' and tenant '{again.tenant}': add "
                f"--collection {again.collection} --tenant {again.tenant}."
            )
    named = tuple(sources) or (again.sources if again else ())
    if not named:
        raise BadInput("name what to ingest: librarian ingest FOLDER (see --help).")
    given = tuple(sorted({each.strip() for each in (groups or "").split(",") if each.strip()}))
    if again and groups is None:  # the same readers as before, or a second try would publish what was restricted
        given = again.groups
    options = Options(
        groups=given,
        metadata=dict(_pair(each) for each in metadata) or dict(again.metadata if again else {}),
        prune=prune,
        shard=_shard(shard) if shard else Shard(),
        max_failures=settings.max_failures,
    )
    return Asked(
        settings,
        named,
        tuple(include) or (again.include if again else ()),
        tuple(exclude) or (again.exclude if again else ()),
        options,
        again.uris if again else None,
        failures or failures_file(settings, options.shard),
    )


def run(what: Asked, quiet: bool) -> Report:
    """Ingest, with progress on stderr; the failures file is written. Raises what IngestJob.run and hand_over do."""
    walked = None if quiet or _remote(what.sources) else what.open()
    total = Total(walked, Selection(what.options.shard, what.only))
    try:
        with shown_progress(quiet, total) as show:
            if held := _server(what.settings):
                report = hand_over(what, held, show)
            else:
                report = _here(what, lambda job, source: job.run(source, show, only=what.only), compact)
    except TooManyFailures as error:
        if what.only is None:  # else the file still names those that were not tried
            _write(what, [each for each in error.failures if isinstance(each, Failure)])
        raise
    _write(what, report.failed)
    return report


def _write(what: Asked, failed: Sequence[Failure]) -> None:
    settings, options = what.settings, what.options
    asked = Failures(
        what.sources,
        settings.collection,
        settings.tenant,
        frozenset(),
        options.groups,
        options.metadata,
        what.include,
        what.exclude,
    )
    write_failures(what.failures_file, settings, asked, failed)


def plan(what: Asked) -> PlanReport:
    """What `run` would do."""
    if held := _server(what.settings):
        return hand_over_plan(what, held)
    return _here(what, lambda job, source: job.plan(source))


def check(what: Asked) -> Drift:
    """How the index differs from the sources."""
    if held := _server(what.settings):
        return hand_over_check(what, held)
    return _here(what, lambda job, source: job.check(source))


def _server(settings: Settings) -> Holder | None:
    """The running service that holds the embedded index, if one does."""
    held = None if settings.qdrant_url else holder(settings)
    return held if held and held.url else None


def _here(
    what: Asked,
    work: Callable[[IngestJob, Source], _T],
    afterwards: Callable[[Index, Settings], None] = lambda *_: None,
) -> _T:
    settings = what.settings
    with closing(what.open()) as source, closing(open_index(settings)) as index:
        job = IngestJob(index, dense_encoder(settings), sparse_encoder(settings), settings, what.options)
        done = work(job, source)
        afterwards(index, settings)
        return done


def _remote(sources: Sequence[str]) -> bool:
    return any("://" in each for each in sources)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"--metadata takes KEY=VALUE, not '{text}'.")
    return key.strip(), value.strip()


def _shard(text: str) -> Shard:
    index, slash, count = text.partition("/")
    try:
        number = job_completion_index() if index in {"", "auto"} else int(index)
        shard = Shard(number, int(count))
    except ValueError:
        raise BadInput(f"--shard takes I/N as in 0/4, or auto/4 in an Indexed Job, not '{text}'.") from None
    if not slash or not 0 <= shard.index < shard.count:
        raise BadInput(f"--shard {text}: there is no part {shard.index} of {shard.count}; the first is 0.")
    return shard
