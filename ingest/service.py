"""The ingestion engine inside a serving process: a bounded queue, one job at a time, signs of life beside it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from ingest.counting import Counted
from ingest.permissions import check_replaceable, not_yours, sees
from ingest.polite import PoliteEncoder
from ingest.report import Progress
from ingest.uploads import UploadFolder, upload_uri
from ingest.work import Work, handed_work, upload_work
from ingest.writer import Writer
from rag.collections import fingerprint
from rag.documents import groups_of
from rag.encoders import DenseEncoder, SparseEncoder, same_encoder
from rag.errors import (
    BadInput,
    Cancelled,
    FingerprintMismatch,
    IndexLocked,
    LibrarianError,
    TooManyFailures,
)
from rag.feeding import UPLOAD_SCHEME, DocumentBusy, Handed, NotYours, Spool, Tally, TooManyJobs, Upload, may_write
from rag.index.interface import Index
from rag.jobs import STALE_SECONDS, Job, JobStore, State, Trouble
from rag.records import Records, check_askable, check_not_reserved
from rag.schema import Scope
from rag.settings import Settings

# Four signs of life may fail to be written before a job is taken for dead.
HEARTBEAT_SECONDS = 10.0
STOP_SECONDS = 30.0
PRUNE_SECONDS = 3600.0
MAX_NAMED_SOURCES = 100
# How long a job waits for one of another process that writes the same collection, and how often it asks.
LEASE_PATIENCE_SECONDS = 900.0
LEASE_POLL_SECONDS = 2.0
# Only who may read local paths and addresses of sources sees the jobs that name them: owners, never a reader's groups.
HOLDER_ONLY = ("librarian:holder",)

AS_ASKED = "cancelled as asked; what was written stays."
SHUT_DOWN = "cancelled by the server's shutdown; what was written stays: send it again."
TAKEN_FOR_DEAD = "another process took this one for dead; what was written stays: send it again."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Queued:
    identity: str
    work: Work
    spool: Spool | None = None


class Service:
    """An Ingestor over one index and one pair of encoders, which stay the caller's."""

    def __init__(
        self,
        settings: Settings,
        index: Index,
        dense: DenseEncoder,
        sparse: SparseEncoder,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        """Start. Jobs that a process which held the embedded index left unfinished are failed at once.

        Raises DiskFull where uploads cannot be kept, IndexUnavailable.
        """
        self._settings = settings
        self._index = index
        self._dense: Any = PoliteEncoder(dense)
        self._sparse = sparse
        self._heartbeat = heartbeat_seconds
        self._store = JobStore(Records(index), settings.tenant, stale_seconds=stale_seconds)
        self._uploads = UploadFolder(settings.data_dir / "uploads")
        self._places = threading.BoundedSemaphore(settings.max_queued_jobs)
        self._lock = threading.Lock()
        self._waiting: dict[str, _Queued] = {}  # in the order in which they came
        self._changed = threading.Condition(self._lock)
        self._ids: set[str] = set()
        self._asked: dict[str, str] = {}  # why a job of this process is to stop
        self._at_work: Work | None = None
        self._counted = Counted()
        self._closing = threading.Event()
        if not settings.qdrant_url:
            self._store.abandon()
        self._worker = threading.Thread(target=self._run, name="librarian-jobs", daemon=True)
        self._pulse = threading.Thread(target=self._beat, name="librarian-pulse", daemon=True)
        self._worker.start()
        self._pulse.start()

    @property
    def index(self) -> Index:
        """The index that jobs write."""
        return self._index

    def spool(self, size: int) -> Spool:
        """As in Ingestor."""
        if self._closing.is_set() or len(self._ids) >= self._settings.max_queued_jobs:
            raise self._full()
        return self._uploads.spool(size)

    def upload(self, spool: Spool, documents: Sequence[Upload], collection: str, scope: Scope) -> Job:
        """As in Ingestor."""
        check_not_reserved(collection)
        if scope.tenant != self._settings.tenant:  # its jobs and their points are of the service's own tenant
            raise NotYours(
                f"this service takes documents in for tenant '{self._settings.tenant}', not '{scope.tenant}': send "
                "them to one whose LIBRARIAN_TENANT is that."
            )
        for each in documents:
            if not may_write(scope, each.groups):
                raise NotYours(not_yours(each.name, each.groups, scope))
        check_replaceable(self._index, collection, [upload_uri(each.name) for each in documents], scope)
        work = upload_work(self._settings.model_copy(update={"collection": collection}), documents)
        names = [each.name for each in documents]
        return self._enqueue("upload", work, collection, sorted(scope.groups or ()), names, spool)

    def ingest(self, handed: Handed) -> Job:
        """As in Ingestor."""
        check_not_reserved(handed.collection)
        if handed.tenant != self._settings.tenant:
            raise BadInput(
                f"the running server works for tenant '{self._settings.tenant}', not '{handed.tenant}': stop it first, "
                "or give both the same LIBRARIAN_TENANT."
            )
        ours = fingerprint(self._dense, self._sparse)
        if not _same(handed.fingerprint, ours):
            raise FingerprintMismatch(
                f"the running server encodes with '{ours['dense'].get('name')}' and keywords in "
                f"{ours['sparse'].get('language')}, this command with something else: give both the same encoder "
                "settings, or stop the server first."
            )
        work = handed_work(self._settings, handed)
        return self._enqueue("ingest", work, handed.collection, HOLDER_ONLY, _some(handed.sources), None)

    def job(self, identity: str, scope: Scope) -> Job:
        """As in Ingestor."""
        return self._store.get(identity, scope)

    def jobs(self, scope: Scope, limit: int) -> list[Job]:
        """As in Ingestor."""
        return self._store.latest(scope, limit)

    def tally(self) -> Tally:
        """As in Ingestor."""
        with self._lock:
            queued, running = len(self._waiting), len(self._ids) - len(self._waiting)
        return self._counted.tally(queued, running)

    def cancel(self, identity: str, scope: Scope) -> Job:
        """As in Ingestor. A job that waits is ended here and now."""
        job = self._store.ask_to_cancel(identity, scope)
        with self._lock:
            if identity in self._ids:
                self._asked.setdefault(identity, AS_ASKED)
        if self._withdraw(identity, "cancelled as asked, before it began."):
            return self._store.get(identity, scope)
        return job

    def delete(self, collection: str, uris: Sequence[str], scope: Scope) -> int:
        """As in Ingestor."""
        name = self._index.describe(check_askable(collection)).name
        held = groups_of(self._index, name, uris, scope.tenant)
        seen = {uri: groups for uri, groups in held.items() if any(sees(scope, each) for each in groups)}
        for uri, groups in seen.items():
            if not all(may_write(scope, each) for each in groups):
                raise NotYours(not_yours(uri, next(iter(groups)), scope))
        self._check_not_busy(collection, seen)
        Writer(self._index, name, Scope.owner(scope.tenant), self._sparse, "").delete(list(seen))
        return len(seen)

    def close(self) -> None:
        """As in Ingestor: waits at most `STOP_SECONDS` for the job at work to reach a safe point."""
        if self._closing.is_set():
            return
        with self._lock:
            self._closing.set()
            for identity in self._ids:
                self._asked.setdefault(identity, SHUT_DOWN)
            waiting = list(self._waiting)
            self._changed.notify()
        for identity in waiting:
            self._withdraw(identity, SHUT_DOWN)
        self._worker.join(STOP_SECONDS)
        self._pulse.join(5)
        for identity in list(self._ids):
            self._end(identity, "cancelled", Trouble("cancelled", SHUT_DOWN))
        self._uploads.close()

    def _enqueue(
        self,
        kind: Any,
        work: Work,
        collection: str,
        groups: Sequence[str],
        names: Sequence[str],
        spool: Spool | None,
    ) -> Job:
        if not self._places.acquire(blocking=False):
            raise self._full()
        try:
            with self._lock:
                if self._closing.is_set():
                    raise self._full()
                job = self._store.create(kind, collection, groups, names)
                self._ids.add(job.id)
                self._waiting[job.id] = _Queued(job.id, work, spool)
                self._changed.notify()
        except BaseException:
            self._places.release()
            raise
        return job

    def _next(self) -> _Queued | None:
        """The job that came first of those that wait, once there is one; None where this process stops."""
        with self._changed:
            while not self._waiting and not self._closing.is_set():
                self._changed.wait()
            if self._closing.is_set():
                return None
            return self._waiting.pop(next(iter(self._waiting)))

    def _withdraw(self, identity: str, why: str) -> bool:
        """End a job that waits and give back its place and its bytes; says whether it was one."""
        with self._lock:
            queued = self._waiting.pop(identity, None)
        if queued is None:
            return False
        try:
            self._end(identity, "cancelled", Trouble("cancelled", why, Cancelled.exit_code))
        finally:
            self._give_back(queued)
        return True

    def _give_back(self, queued: _Queued) -> None:
        if queued.spool:
            queued.spool.discard()
        self._places.release()

    def _run(self) -> None:
        while (queued := self._next()) is not None:
            try:
                self._do(queued)
            except Exception as error:  # this thread must live: it does every later job
                log.error("the end of a job failed", job=queued.identity, exc_info=error)
                self._store.let_go(queued.identity)
            finally:
                self._give_back(queued)

    def _do(self, queued: _Queued) -> None:
        identity = queued.identity
        try:
            self._store.change(identity, state="running")
            self._hear(identity)
            self._stop_if_asked(identity)
            self._at_work = queued.work
            report = self._patiently(queued)
            self._end(identity, "done", report=report)
        except Cancelled:
            why = self._asked.get(identity, AS_ASKED)
            self._end(identity, "cancelled", Trouble("cancelled", why, Cancelled.exit_code))
        except TooManyFailures as error:
            failed = [asdict(each) for each in error.failures]  # type: ignore[call-overload]
            self._end(identity, "failed", Trouble.of(error), {"failed": failed})
        except LibrarianError as error:
            self._end(identity, "failed", Trouble.of(error))
        except Exception as error:  # a job must end in its record, whatever happened
            log.error("job failed", job=identity, exc_info=error)
            self._end(identity, "failed", Trouble("internal_error", "an internal error; the service's log has more."))
        finally:
            self._at_work = None

    def _patiently(self, queued: _Queued) -> dict[str, Any]:
        """Do the work once no job of another process writes the same collection."""
        until = time.monotonic() + LEASE_PATIENCE_SECONDS
        while True:
            try:
                return queued.work.run(
                    self._index,
                    self._dense,
                    self._sparse,
                    lambda progress: self._progressed(queued.identity, progress),
                    lambda: queued.identity in self._asked,
                )
            except IndexLocked:
                if time.monotonic() > until:
                    raise
                self._stop_if_asked(queued.identity)
                time.sleep(LEASE_POLL_SECONDS)

    def _progressed(self, identity: str, progress: Progress) -> None:
        self._counted.progressed(identity, progress)
        self._store.change(identity, progress=asdict(progress))

    def _stop_if_asked(self, identity: str) -> None:
        if identity in self._asked:
            raise Cancelled(self._asked[identity])

    def _end(
        self, identity: str, state: State, error: Trouble | None = None, report: dict[str, Any] | None = None
    ) -> None:
        with self._lock:
            if identity not in self._ids:
                return
            self._ids.discard(identity)
            self._asked.pop(identity, None)
        self._counted.ended(state)
        for wait in (0.0, 1.0, 4.0):
            time.sleep(wait)
            with suppress(LibrarianError):
                self._store.finish(identity, state, error, report)
                return
        log.error("the end of a job could not be written", job=identity, state=state)
        self._store.let_go(identity)

    def _beat(self) -> None:
        pruned = -PRUNE_SECONDS
        while not self._closing.wait(self._heartbeat):
            for identity in list(self._ids):
                with suppress(LibrarianError):  # Qdrant is away: the next sign of life says the same
                    self._hear(identity)
            if time.monotonic() - pruned > PRUNE_SECONDS:
                pruned = time.monotonic()
                with suppress(LibrarianError):
                    self._store.prune()

    def _hear(self, identity: str) -> None:
        said = self._store.beat(identity)
        if said == "on":
            return
        why = TAKEN_FOR_DEAD if said == "lost" else AS_ASKED
        with self._lock:
            if identity in self._ids:
                self._asked.setdefault(identity, why)
        self._withdraw(identity, why)

    def _check_not_busy(self, collection: str, uris: Any) -> None:
        for job in self._store.active():
            if job.collection != collection:
                continue
            if job.kind == "upload":
                written = {upload_uri(each) for each in job.send_again}
                busy = next((each for each in uris if each in written), None)
            else:
                work = self._at_work
                busy = next(
                    (
                        each
                        for each in uris
                        if not each.startswith(UPLOAD_SCHEME) and (work is None or work.may_write(each))
                    ),
                    None,
                )
            if busy:
                raise DocumentBusy(f"job {job.id} is about to write '{busy}': delete it when that has ended.")

    def _full(self) -> TooManyJobs:
        if self._closing.is_set():
            return TooManyJobs("the server is shutting down: send it again when it is back.")
        return TooManyJobs(
            f"{self._settings.max_queued_jobs} jobs wait already (LIBRARIAN_MAX_QUEUED_JOBS): try again when one has "
            "ended."
        )


def _same(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether both index alike: a moved folder, or a server that encodes again, is the same encoder."""
    dense = theirs.get("dense")
    rest = [json.loads(json.dumps({**each, "dense": None})) for each in (theirs, ours)]
    return isinstance(dense, Mapping) and same_encoder(dense, ours["dense"]) and rest[0] == rest[1]


def _some(sources: Sequence[str]) -> list[str]:
    """What a job's record names of its sources: it is written every few seconds."""
    more = len(sources) - MAX_NAMED_SOURCES
    return [*sources[:MAX_NAMED_SOURCES], *([f"… and {more} more"] if more > 0 else [])]
