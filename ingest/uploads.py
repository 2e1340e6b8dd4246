"""Documents that came over the API: where their bytes wait, and the source that they are to a job."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from ingest.sources.interface import Found, Item
from rag.errors import SourceError
from rag.feeding import UPLOAD_SCHEME, DiskFull, Upload

# What an upload may not take: the index itself needs room to write.
SPARE_BYTES = 256 * 1024**2


def upload_uri(name: str) -> str:
    """The URI of what was sent under a name: the same name again replaces it."""
    return UPLOAD_SCHEME + quote(name, safe="/")


class Spool:
    """The folder of one upload."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def discard(self) -> None:
        """Delete it. Calling it twice is no error."""
        shutil.rmtree(self.folder, ignore_errors=True)


class UploadFolder:
    """`uploads/` in the data folder: one folder a process that takes uploads, one in that for each of them.

    A process holds a lock on its folder for as long as it lives, so a folder whose lock is free is a dead one's and is
    deleted by the next process that starts.
    """

    def __init__(self, folder: Path) -> None:
        """Raises DiskFull where the folder cannot be made."""
        self._all = folder
        self._own = folder / uuid.uuid4().hex
        self._lock = FileLock(self._own / "lock", thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(folder / "lock", thread_local=False):  # no folder is seen before it is locked
                self._clean()
                self._own.mkdir(mode=0o700)
                self._lock.acquire()
        except OSError as error:
            raise _refused(folder, error) from None

    def spool(self, size: int) -> Spool:
        """A folder for about `size` bytes. Raises DiskFull where they do not fit."""
        try:
            free = shutil.disk_usage(self._all).free
            if free < size + SPARE_BYTES:
                raise DiskFull(
                    f"{size} bytes do not fit on the disk of {self._all} ({free} are free, {SPARE_BYTES} stay so): "
                    "make room, or send less."
                )
            made = self._own / uuid.uuid4().hex
            made.mkdir(mode=0o700)
        except OSError as error:
            raise _refused(self._all, error) from None
        return Spool(made)

    def close(self) -> None:
        """Delete what this process keeps there. Calling it twice is no error."""
        if self._lock.is_locked:
            shutil.rmtree(self._own, ignore_errors=True)
            self._lock.release()

    def _clean(self) -> None:
        for each in self._all.iterdir():
            if each.is_dir():
                with suppress(Timeout), FileLock(each / "lock", timeout=0, thread_local=False):
                    shutil.rmtree(each, ignore_errors=True)


class UploadSource:
    """A Source over uploaded documents. It owns what was sent and nothing else, so nothing is ever gone from it."""

    def __init__(self, documents: Sequence[Upload]) -> None:
        self._documents = {upload_uri(each.name): each for each in documents}

    @property
    def shown(self) -> str:
        """What was sent, for people."""
        first = next(iter(self._documents.values())).name
        more = len(self._documents) - 1
        return f"{first} and {more} more" if more else first

    @property
    def uris(self) -> tuple[str, ...]:
        """What was sent."""
        return tuple(self._documents)

    def owns(self, uri: str) -> bool:
        """Whether this very document was sent."""
        return uri in self._documents

    def items(self) -> Iterator[Found]:
        """Everything that was sent."""
        for uri, each in self._documents.items():
            yield Item(
                uri,
                path=each.name,
                name=each.name.rsplit("/", 1)[-1] + each.suffix,
                size=_size(each.file),
                title=each.title,
                metadata=each.metadata,
            )

    def read(self, item: Item, limit: int) -> bytes:
        """As in Source."""
        try:
            with self._documents[item.uri].file.open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise SourceError(
                f"'{item.path}' cannot be read again: {error.strerror or error}; send it again."
            ) from None
        if len(data) > limit:
            raise SourceError(f"'{item.path}' has more than {limit} bytes (LIBRARIAN_MAX_DOCUMENT_BYTES).")
        return data

    def close(self) -> None:
        """Nothing is open."""


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _refused(folder: Path, error: OSError) -> DiskFull:
    return DiskFull(
        f"uploads cannot be kept in {folder}: {error.strerror or error}; check the disk and its permissions."
    )
