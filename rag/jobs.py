"""Jobs of the service: what one is, and the store that all its replicas share.

The process that runs a job writes a sign of life into its record every few seconds. A job that was not finished and
whose last sign is older than `stale_seconds` has no process any more: whoever reads it then makes it failed. A state in
which a job has ended never changes again, and a process that finds its own job ended by another stops it.

Times are Unix seconds of the clock of whoever writes them: machines whose clocks differ by more than about half a
minute would declare each other's jobs dead.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from rag.errors import LibrarianError
from rag.records import Records
from rag.schema import Scope

State = Literal["queued", "running", "done", "failed", "cancelled"]
Kind = Literal["upload", "ingest"]
ENDED = frozenset({"done", "failed", "cancelled"})

STALE_SECONDS = 45.0
KEPT_JOBS = 1000
KEPT_SECONDS = 7 * 24 * 3600.0

_JOB = "job"
_CANCEL = "cancel"


class JobNotFound(LibrarianError):
    """No job of that id, or none that the caller may see."""

    code = "job_not_found"
    exit_code = 4
    http_status = 404


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a job did not end well: the error's code and exit code, and one line for people."""

    code: str
    message: str
    exit_code: int = 1

    @classmethod
    def of(cls, error: LibrarianError) -> Trouble:
        """What an error says."""
        return cls(error.code, str(error), error.exit_code)


@dataclass(frozen=True, slots=True)
class Job:
    """Work that outlives the request for it.

    `progress` and `report` are `ingest.report`'s as plain JSON. `send_again` names what must be sent again where the
    job did not do it. Only readers who see `groups` see the job.
    """

    id: str
    kind: Kind
    collection: str
    owner: str
    created: float
    heartbeat: float
    state: State = "queued"
    groups: tuple[str, ...] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] | None = None
    error: Trouble | None = None
    send_again: tuple[str, ...] = ()
    finished: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


class JobStore:
    """The jobs of one tenant, shared through Qdrant. Safe to call from many threads."""

    def __init__(
        self,
        records: Records,
        tenant: str,
        clock: Callable[[], float] = time.time,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._records = records
        self._own = Scope.owner(tenant)
        self._clock = clock
        self._stale = stale_seconds
        self._owner = process_name()
        self._lock = threading.RLock()
        self._held: dict[str, Job] = {}

    def create(self, kind: Kind, collection: str, groups: Sequence[str], send_again: Sequence[str]) -> Job:
        """A queued job that this process will run."""
        now = self._clock()
        job = Job(
            uuid.uuid4().hex,
            kind,
            collection,
            self._owner,
            created=now,
            heartbeat=now,
            groups=tuple(groups),
            send_again=tuple(send_again),
        )
        with self._lock:
            self._put(job)
            self._held[job.id] = job
        return job

    def get(self, identity: str, scope: Scope) -> Job:
        """The job as it stands. Raises JobNotFound."""
        data = self._records.get(_JOB, identity, scope)
        if data is None:
            raise JobNotFound(f"there is no job '{identity[:64]}'; ended jobs are kept for a week.")
        return self._judged(_from_record(data))

    def latest(self, scope: Scope, limit: int = 100) -> list[Job]:
        """The newest jobs that the scope sees, newest first."""
        created = sorted(((data["created"], each) for each, data in self._records.scan(_JOB, scope, ["created"])))
        newest = [each for _, each in reversed(created)][:limit]
        return [self._judged(_from_record(data)) for _, data in self._records.some(_JOB, newest, scope)]

    def active(self) -> list[Job]:
        """Every job of the tenant that has not ended."""
        unended = [each for each, data in self._records.scan(_JOB, self._own, ["state"]) if data["state"] not in ENDED]
        jobs = [self._judged(_from_record(data)) for _, data in self._records.some(_JOB, unended, self._own)]
        return [each for each in jobs if not each.ended]

    def change(self, identity: str, **changes: Any) -> None:
        """Note something of a job that this process runs; others see it with the next sign of life."""
        with self._lock:
            if identity in self._held:
                self._held[identity] = replace(self._held[identity], **changes)

    def beat(self, identity: str) -> Literal["on", "cancel", "lost"]:
        """Write a sign of life of a job that this process runs, with what was noted of it.

        "cancel": somebody asked for its end. "lost": another process has ended it in the belief that this one was dead.
        """
        with self._lock:
            held = self._held.get(identity)
            if held is None:
                return "on"
            stored = self._records.get(_JOB, identity, self._own)
            if stored is not None and stored["state"] in ENDED:
                return "lost"
            self._held[identity] = replace(held, heartbeat=self._clock())
            self._put(self._held[identity])
        return "cancel" if self._records.get(_CANCEL, identity, self._own) else "on"

    def finish(
        self, identity: str, state: State, error: Trouble | None = None, report: Mapping[str, Any] | None = None
    ) -> None:
        """Write how a job of this process ended; a job that another process has ended stays as that one left it."""
        with self._lock:
            job = self._held.get(identity)
            if job is None:  # its end is written already
                return
            stored = self._records.get(_JOB, identity, self._own)
            if stored is None or stored["state"] not in ENDED:
                now = self._clock()
                again = () if state == "done" else job.send_again
                self._put(
                    replace(job, state=state, error=error, report=report, send_again=again, heartbeat=now, finished=now)
                )
            del self._held[identity]
        with suppress(LibrarianError):  # left over, it harms nothing
            self._records.delete(_CANCEL, [identity], self._own)

    def let_go(self, identity: str) -> None:
        """Give up a job whose end cannot be written: without signs of life it will be read as failed."""
        with self._lock:
            self._held.pop(identity, None)

    def ask_to_cancel(self, identity: str, scope: Scope) -> Job:
        """Ask whichever process runs the job to stop it, at the latest at its next sign of life. Raises JobNotFound."""
        job = self.get(identity, scope)
        if not job.ended:
            self._records.put(_CANCEL, identity, {"asked": self._clock()}, self._own)
        return job

    def abandon(self) -> None:
        """Fail every unfinished job that this process does not run: right where no other process can."""
        for job in self.active():
            with self._lock:
                if job.id not in self._held:
                    self._put(self._dead(job))

    def prune(self) -> None:
        """Forget ended jobs beyond the newest `KEPT_JOBS`, and those older than `KEPT_SECONDS`."""
        ended = [
            (float(data.get("finished") or 0), each)
            for each, data in self._records.scan(_JOB, self._own, ["state", "finished"])
            if data["state"] in ENDED
        ]
        ended.sort(reverse=True)
        oldest = self._clock() - KEPT_SECONDS
        old = [each for place, (finished, each) in enumerate(ended) if place >= KEPT_JOBS or finished < oldest]
        self._records.delete(_JOB, old, self._own)

    def _judged(self, job: Job) -> Job:
        with self._lock:
            held = self._held.get(job.id)
            if held is not None:  # newer than its record
                return held
            if job.ended or self._clock() - job.heartbeat <= self._stale:
                return job
            dead = self._dead(job)
            self._put(dead)
            return dead

    def _dead(self, job: Job) -> Job:
        what = "the documents under 'send_again'" if job.kind == "upload" else "the sources under 'send_again'"
        message = f"the process that ran this job ({job.owner}) died; send again: {what}."
        return replace(job, state="failed", error=Trouble("worker_died", message), finished=self._clock())

    def _put(self, job: Job) -> None:
        self._records.put(_JOB, job.id, asdict(job), self._own, job.groups)


def process_name() -> str:
    """Host and process id, and something that a later process with the same id does not have."""
    return f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _from_record(data: Mapping[str, Any]) -> Job:
    known = {name: data[name] for name in Job.__dataclass_fields__ if name in data}  # one written by a later version
    trouble = known.get("error")
    return Job(
        **{
            **known,
            "groups": tuple(known.get("groups", ())),
            "send_again": tuple(known.get("send_again", ())),
            "error": Trouble(**trouble) if trouble else None,
        }
    )
