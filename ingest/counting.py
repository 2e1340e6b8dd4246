"""What a serving process has ingested since it started, counted as jobs tell of their progress."""

from __future__ import annotations

import threading
from collections import Counter

from ingest.report import Progress
from rag.feeding import Tally
from rag.jobs import State

_COUNTED = {"documents": "done", "failed": "failed", "deleted": "deleted", "chunks": "written"}


class Counted:
    """Sums of jobs, one of which runs at a time. Thread-safe.

    A job that is tried again (another process held its collection) tells of its progress from nothing: only what goes
    beyond the most that it told before is added, so no count falls.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._ends: Counter[State] = Counter()
        self._sums: Counter[str] = Counter()
        self._job = ""
        self._told: dict[str, int] = {}

    def progressed(self, job: str, progress: Progress) -> None:
        """Add what the job has done since it told last."""
        with self._turn:
            if job != self._job:
                self._job, self._told = job, dict.fromkeys(_COUNTED, 0)
            for name, attribute in _COUNTED.items():
                now: int = getattr(progress, attribute)
                self._sums[name] += max(0, now - self._told[name])
                self._told[name] = max(now, self._told[name])

    def ended(self, state: State) -> None:
        """Count a job's end."""
        with self._turn:
            self._ends[state] += 1

    def tally(self, queued: int, running: int) -> Tally:
        """The sums, beside what waits and runs now."""
        with self._turn:
            jobs: dict[State, int] = {"queued": queued, "running": running}
            for state in ("done", "failed", "cancelled"):
                jobs[state] = self._ends[state]
            return Tally(jobs, **self._sums)
