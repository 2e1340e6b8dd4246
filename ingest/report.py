"""What a job says of itself: while it runs, at its end, before it begins (a plan) and instead of it (drift)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["add", "replace", "delete", "keep"]
Difference = Literal["missing", "changed", "damaged", "gone"]
Stage = Literal["planning", "writing", "deleting"]

# So many of each are named; all are counted. Failures are named to be tried again.
MAX_NAMED = 1000
MAX_FAILED = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands. `documents` counts those found so far that must be written; `listed`: all of it is known.

    `stage` is "planning" until the first document is written. `chunks` are encoded, `written` of them stored.
    """

    documents: int = 0
    listed: bool = False
    done: int = 0
    kept: int = 0
    chunks: int = 0
    failed: int = 0
    deleted: int = 0
    stage: Stage = "planning"
    written: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be ingested, and why. `uri` is what a re-run from the failures file reads again."""

    uri: str
    path: str
    code: str
    reason: str


@dataclass(slots=True)
class Report:
    """What a job did. Documents are counted; those that failed or were empty are named.

    `empty` and `failed` hold the first of them, `empties` and `failures` count all.
    """

    collection: str
    source: str
    added: int = 0
    replaced: int = 0
    kept: int = 0
    deleted: int = 0
    chunks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: int = 0
    failed: list[Failure] = field(default_factory=list)
    empties: int = 0
    empty: list[str] = field(default_factory=list)
    skipped: Mapping[str, int] = field(default_factory=dict)

    def fail(self, failure: Failure) -> None:
        """Count a failure, and name it while there is room."""
        self.failures += 1
        if len(self.failed) < MAX_FAILED:
            self.failed.append(failure)

    def leave_out(self, path: str) -> None:
        """Count a document that holds no text, and name it while there is room."""
        self.empties += 1
        if len(self.empty) < MAX_NAMED:
            self.empty.append(path)


@dataclass(slots=True)
class PlanReport:
    """What a job would do: documents and bytes by action, and the first MAX_NAMED of each to be changed."""

    collection: str
    source: str
    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(("add", "replace", "delete", "keep"), 0))
    bytes: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(("add", "replace", "delete", "keep"), 0))
    named: dict[Action, list[str]] = field(default_factory=dict)
    failures: int = 0
    failed: list[Failure] = field(default_factory=list)
    skipped: Mapping[str, int] = field(default_factory=dict)

    def count(self, action: Action, name: str, size: int) -> None:
        """Count a document of `size` bytes under what would be done with it; name it unless it would be kept."""
        self.counts[action] += 1
        self.bytes[action] += size
        named = self.named.setdefault(action, [])
        if action != "keep" and len(named) < MAX_NAMED:
            named.append(name)

    def fail(self, failure: Failure) -> None:
        """Count a document that cannot be read."""
        self.failures += 1
        if len(self.failed) < MAX_FAILED:
            self.failed.append(failure)


@dataclass(slots=True)
class Drift:
    """How an index differs from a source.

    "missing": in the source only; "changed": in both, with different content; "damaged": in both, but in the index not
    whole, or in two versions; "gone": in the index only. Documents that cannot be read are in `failed`: nothing can be
    said of them.
    """

    collection: str
    source: str
    same: int = 0
    counts: dict[Difference, int] = field(
        default_factory=lambda: dict.fromkeys(("missing", "changed", "damaged", "gone"), 0)
    )
    named: dict[Difference, list[str]] = field(default_factory=dict)
    failures: int = 0
    failed: list[Failure] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there is any difference."""
        return any(self.counts.values())

    def add(self, difference: Difference, name: str) -> None:
        """Count a document that differs, and name it while there is room."""
        self.counts[difference] += 1
        named = self.named.setdefault(difference, [])
        if len(named) < MAX_NAMED:
            named.append(name)

    def fail(self, failure: Failure) -> None:
        """Count a document that cannot be read."""
        self.failures += 1
        if len(self.failed) < MAX_FAILED:
            self.failed.append(failure)
