"""The embedded index's folder: who holds it, and files that are replaced whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import sys
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rag.errors import IndexLocked, IndexUnavailable
from rag.settings import Settings

LOCK_FILE = "lock"
HOLDER_FILE = "holder.json"
# `holder` takes the lock for a moment to learn whether it is free: an opener waits out such a moment, and two
# askers wait out each other.
_OPEN_PATIENCE_S = 0.5
_ASK_PATIENCE_S = 0.05
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has the folder open. `url` is where it serves, once it has said so (else None).

    `token` is known to whoever may read the folder's files as their owner: the same user on the same machine.
    """

    pid: int | None
    command: str
    url: str | None
    token: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        which = f"process {self.pid} ({self.command})" if self.pid else self.command
        return f"{which}, which serves {self.url}" if self.url else which


UNKNOWN_HOLDER = Holder(None, "another process", None)


def holder(where: Settings | Path) -> Holder | None:
    """Who holds the embedded index of these settings (or in this folder); None when nobody does.

    Takes nothing over and makes no file. Raises IndexUnavailable where the folder may not be read.
    """
    folder = where.index_dir if isinstance(where, Settings) else where
    path = folder / LOCK_FILE
    try:
        if not path.exists():
            return None
        with FileLock(path, timeout=_ASK_PATIENCE_S, poll_interval=_POLL_S, thread_local=False):
            return None
    except Timeout:
        return _read_holder(folder)
    except OSError as error:
        raise unusable(folder, error) from None


class FolderLock:
    """Holds an index folder for this process until `release`; says so in holder.json."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it where it is missing.

        Raises IndexLocked where another process (or another index in this one) has it, IndexUnavailable where the
        folder cannot be made or written.
        """
        self._folder = folder
        self._token = secrets.token_urlsafe(32)
        self._lock = FileLock(folder / LOCK_FILE, timeout=_OPEN_PATIENCE_S, poll_interval=_POLL_S, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise IndexLocked(_held(folder, _read_holder(folder))) from None
        except OSError as error:
            raise unusable(folder, error) from None
        try:
            self.announce(None)
        except IndexUnavailable:
            self._lock.release()
            raise

    def announce(self, url: str | None) -> None:
        """Write who holds the folder and the URL at which others can reach its data."""
        write_json(self._folder / HOLDER_FILE, asdict(Holder(os.getpid(), _command(), url, self._token)), 0o600)

    def release(self) -> None:
        """Let go. Calling it twice is no error."""
        if self._lock.is_locked:
            try:
                (self._folder / HOLDER_FILE).unlink(missing_ok=True)
            except OSError as error:
                raise unusable(self._folder, error) from None
            finally:
                self._lock.release()


def write_json(path: Path, value: Any, mode: int = 0o666) -> None:
    """Replace a file's content at once: after a crash it is the old one or the new one, whole.

    `mode` are its permissions, less the umask's.

    Raises IndexUnavailable where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises IndexUnavailable, naming the file, where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unusable(path, error) from None
    except ValueError as error:
        raise IndexUnavailable(
            f"{path} is damaged ({error}): restore it, or delete its collection's folder and ingest again"
        ) from None
    if not isinstance(value, dict):
        raise IndexUnavailable(f"{path} is damaged (no JSON object): restore it, or delete its collection's folder")
    return value


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unusable(path: Path, error: OSError) -> IndexUnavailable:
    """The error for a path that the disk or its permissions refuse."""
    return IndexUnavailable(
        f"the index at {path} cannot be used: {error.strerror or error}; check the disk, its permissions and "
        "LIBRARIAN_DATA_DIR"
    )


def _command() -> str:
    # The program and its sub-command only: later arguments may hold secrets.
    program = Path(sys.argv[0] or "python").name
    sub = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].isalpha() else ""
    return f"{program} {sub}".rstrip()


def _held(folder: Path, by: Holder) -> str:
    if by.pid == os.getpid():
        return f"the index folder {folder} is already open in this process: close that index first"
    advice = f"use {by.url}, stop that process" if by.url else "stop that process"
    return f"the index folder {folder} is held by {by}: {advice}, or set LIBRARIAN_DATA_DIR to another folder"


def _read_holder(folder: Path) -> Holder:
    # Between taking the lock and writing the file, a holder has no name yet; a damaged file must not hide that
    # the folder is held.
    try:
        known = json.loads((folder / HOLDER_FILE).read_text(encoding="utf-8"))
        return Holder(int(known["pid"]), str(known["command"]), known["url"] or None, str(known.get("token", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN_HOLDER
