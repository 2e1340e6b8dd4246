"""The bytes of one local file, bounded."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from ingest.loading import TooLarge
from rag.errors import SourceError

_RACY = 2_000_000_000  # nanoseconds


def read_file(path: str, limit: int) -> bytes:
    """The file's bytes. Raises SourceError where it cannot be read or has more than `limit` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise too_large(size, limit)
        try:
            data = file.read(limit + 1)  # it may have grown since it was looked at
        except OSError as error:
            raise unreadable(error) from None
    if len(data) > limit:
        raise too_large(None, limit)
    return data


def open_file(path: str) -> BinaryIO:
    """The file, opened; raises SourceError for anything else: a pipe that took its place is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError("it cannot be read: it is no file.")
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except (OSError, ValueError) as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> SourceError:
    """The error for a file that the system does not give."""
    return SourceError(f"it cannot be read: {(isinstance(error, OSError) and error.strerror) or error}.")


def too_large(size: int | None, limit: int) -> TooLarge:
    """The error for more bytes than a document may have; `size` is None where it is not known."""
    allowed = f"more than the {limit / 1e6:.1f} MB of LIBRARIAN_MAX_DOCUMENT_BYTES."
    return TooLarge(f"it has {size / 1e6:.1f} MB, {allowed}" if size is not None else f"it has {allowed}")


def stamp_of(info: os.stat_result, now: int) -> str:
    """Size and time of a file; "" where it was written so lately that it may change within one tick of the clock.

    `now` is in nanoseconds since the epoch.
    """
    return f"{info.st_size}:{info.st_mtime_ns}" if info.st_mtime_ns < now - _RACY else ""
