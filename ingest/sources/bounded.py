"""A stream that refuses to be read further, or in larger pieces, than is allowed."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class Bounded:
    """Stands between a file and a library that believes what the file says of itself.

    One `read` may ask for at most `largest` bytes and none may pass `end` (None: the file's own end); what would is
    `error` (by default a ValueError). `last` is what was last read.
    """

    def __init__(self, file: BinaryIO, largest: int, end: int | None = None, error: Exception | None = None) -> None:
        self._file = file
        self._largest = largest
        self._end = end
        self._error = error or ValueError("its structure is larger than is allowed")
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """As of a file; all that is left is read in one piece only where that is small."""
        if size is None or size < 0:
            data = self._file.read(self._largest + 1)
            if len(data) > self._largest:
                raise ValueError("its structure is larger than is allowed")
            return data
        if size > self._largest:
            raise ValueError("its structure is larger than is allowed")
        self.last = self.read_data(size)
        return self.last

    def read_data(self, size: int) -> bytes:
        """As `read`, of a document's bytes: however many."""
        if self._end is not None and self._file.tell() + size > self._end:
            raise self._error
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        if whence == os.SEEK_SET and (offset < 0 or (self._end is not None and offset > self._end)):
            raise self._error
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is not."""
        return False

    def write(self, data: bytes) -> int:
        """It is not written to."""
        raise io.UnsupportedOperation("write")

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """The file is closed by who opened it."""
