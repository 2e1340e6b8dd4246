"""What the service asks of the ingestion engine, which it does not import: documents in, jobs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from rag.errors import BadInput, LibrarianError
from rag.index.interface import Index
from rag.jobs import Job, State
from rag.schema import Scope

UPLOAD_SCHEME = "upload:"

# Sent by a command that hands its work over: the token that the holder of the embedded index keeps in its folder.
HOLDER_HEADER = "X-Librarian-Holder"

# What a command may hand over: more than a command line holds, and the longest list of failures to try again.
MAX_HANDED_SOURCES = 100_000
MAX_HANDED_BYTES = 64 * 1024 * 1024

# Of the settings that a command was started with, those that a job it hands over runs under.
JOB_SETTINGS = (
    "max_document_bytes",
    "max_document_pages",
    "max_document_characters",
    "max_document_seconds",
    "max_document_memory",
    "max_expansion",
    "max_archive_files",
    "ingest_workers",
    "allow_urls",
    "allow_private_urls",
    "url_timeout",
    "chunk_tokens",
)


class TooManyJobs(LibrarianError):
    """As many jobs wait already as may."""

    code = "too_many_jobs"
    http_status = 429


class DiskFull(LibrarianError):
    """What was sent does not fit on the disk."""

    code = "disk_full"
    http_status = 507


class DocumentBusy(LibrarianError):
    """A job that has not ended writes the document."""

    code = "document_busy"
    http_status = 409


class NotYours(BadInput):
    """The caller may not write documents of these groups."""

    code = "forbidden"
    http_status = 403


@dataclass(frozen=True, slots=True)
class Upload:
    """One document that was sent: its bytes lie in `file`. `name` identifies it.

    `suffix` (".md") tells its format; empty: the suffix of the name does. `groups` are those that may read it; none:
    everyone of the tenant.
    """

    name: str
    file: Path
    groups: tuple[str, ...] = ()
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Handed:
    """What a command asks the process that holds the embedded index to do for it.

    `fingerprint` is what the command would index with; `settings` holds values of JOB_SETTINGS, `options` the fields of
    `ingest.options.Options`. `only`: nothing but the documents of these URIs.
    """

    action: Literal["run", "plan", "check"]
    sources: tuple[str, ...]
    collection: str
    tenant: str
    fingerprint: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What this process has done of ingestion since it started: jobs by where they are, and what they wrote.

    `jobs` counts those that wait or run now under "queued" and "running", those that ended under their end.
    """

    jobs: Mapping[State, int]
    documents: int = 0
    failed: int = 0
    deleted: int = 0
    chunks: int = 0


class Spool(Protocol):
    """A folder for the bytes of one upload. It is gone when the job has ended, or by `discard`."""

    @property
    def folder(self) -> Path:
        """Where its files go."""
        ...

    def discard(self) -> None:
        """Delete it. Calling it twice is no error."""
        ...


class Ingestor(Protocol):
    """Runs ingestion jobs one after the other beside whatever else the process does. Safe to call from many threads."""

    @property
    def index(self) -> Index:
        """The index that jobs write."""
        ...

    def spool(self, size: int) -> Spool:
        """A place for an upload of about `size` bytes. Raises TooManyJobs or DiskFull."""
        ...

    def upload(self, spool: Spool, documents: Sequence[Upload], collection: str, scope: Scope) -> Job:
        """Index what lies in the spool, replacing documents of the same names; nothing else is deleted.

        Raises NotYours, BadInput, TooManyJobs; the spool is then the caller's to discard.
        """
        ...

    def ingest(self, handed: Handed) -> Job:
        """Do what a command asks. Raises BadInput, FingerprintMismatch, TooManyJobs."""
        ...

    def job(self, identity: str, scope: Scope) -> Job:
        """A job as it stands. Raises JobNotFound."""
        ...

    def jobs(self, scope: Scope, limit: int) -> list[Job]:
        """The newest jobs, newest first."""
        ...

    def cancel(self, identity: str, scope: Scope) -> Job:
        """Ask a job to stop at the next safe point; what it wrote stays. Raises JobNotFound."""
        ...

    def tally(self) -> Tally:
        """What was done so far. Asks nobody: it may be called at any time."""
        ...

    def delete(self, collection: str, uris: Sequence[str], scope: Scope) -> int:
        """Delete documents; says how many were there. Raises CollectionNotFound, NotYours, DocumentBusy."""
        ...

    def close(self) -> None:
        """Cancel what runs and what waits, saying so in the jobs, and stop."""
        ...


def may_write(scope: Scope, groups: Sequence[str]) -> bool:
    """Whether a caller may write, replace and delete documents of these groups.

    A caller without groups: those that everyone of the tenant reads. A caller with groups: those that only readers of
    its own groups read. An owner: all. So nobody publishes, overwrites or destroys what belongs to others.
    """
    if scope.groups is None:
        return True
    return set(groups) <= scope.groups and bool(groups) == bool(scope.groups)
