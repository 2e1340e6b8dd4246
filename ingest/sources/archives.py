"""Archives (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz) to documents: one a member, never unpacked onto a disk.

What an archive says of itself is not believed: limits hold for the bytes that really come out of it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from ingest.loading import Damaged, TooLarge
from ingest.sources.bounded import Bounded
from ingest.sources.interface import Item
from ingest.sources.reading import open_file, stamp_of, too_large
from rag.errors import SourceError

_PACKED: dict[str, Callable[..., object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TAR_SUFFIXES = {
    ".tar": "",
    ".tar.gz": ".gz",
    ".tgz": ".gz",
    ".tar.bz2": ".bz2",
    ".tbz2": ".bz2",
    ".tar.xz": ".xz",
    ".txz": ".xz",
}
ARCHIVES = (".zip", *_TAR_SUFFIXES)
HARMLESS = 1024 * 1024  # bytes that any archive may unpack to, however small it is
_MAX_HEADER = 1024 * 1024  # bytes of one read of an archive's own structure
_DIRECTORY_ENTRY = 512  # bytes of a zip's directory for each file that it may hold

# What the standard library raises for archives that are damaged, or were made to be.
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
    IndexError,
    KeyError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive. `at` finds it again: its place in a zip's directory, where its bytes start in a tar."""

    name: str
    size: int
    at: int
    kind: str = ""  # "" for a file that can be read, else what it is: "link", "encrypted", "sparse"


@dataclass(frozen=True, slots=True)
class Member(Item):
    """A document in an archive. `archive` is the archive's size and time when it was listed."""

    at: int = 0
    archive: str = ""


class Archive(Protocol):
    """An opened archive. Raises what is in BROKEN, or SourceError for a limit."""

    def entries(self) -> Iterator[Entry]:
        """Its files and links, in its order."""
        ...

    def read(self, at: int, size: int, limit: int) -> bytes:
        """The bytes of a file: more than `limit` are a SourceError."""
        ...


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive whose members are documents."""
    return name.lower().endswith(ARCHIVES)


@dataclass(frozen=True, slots=True)
class Limits:
    """`files` an archive may hold, and how many times its size (`expansion`) may come out of it."""

    files: int
    expansion: int


class OpenArchive:
    """A local archive, open; `state` changes when it is written, `stamp` is that of its members.

    Raises SourceError where it cannot be opened, and what is in BROKEN.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self._file = open_file(path)
        try:
            info = os.fstat(self._file.fileno())
            self.state = f"{info.st_size}:{info.st_mtime_ns}"
            self.stamp = stamp_of(info, time.time_ns())
            allowed = max(HARMLESS, limits.expansion * info.st_size)
            self.archive = _opened(path, self._file, limits, allowed)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def read(self, item: Member, limit: int) -> bytes:
        """A member's bytes. Raises SourceError."""
        if item.archive != self.state:
            raise SourceError("its archive changed while it was read: run the job again.")
        try:
            return self.archive.read(item.at, item.size or 0, limit)
        except BROKEN as error:
            raise broken(error) from None


def broken(error: Exception) -> Damaged:
    """The error for an archive, or a part of one, that cannot be unpacked."""
    words = str(error).rstrip(".") or type(error).__name__
    return Damaged(f"it is cut off or damaged, or packed in a way that is not read ({words}).")


def expands(limits_expansion: int) -> TooLarge:
    """The error for an archive out of which too much comes."""
    return TooLarge(f"its archive unpacks to more than {limits_expansion} times its size (LIBRARIAN_MAX_EXPANSION).")


def _opened(path: str, file: BinaryIO, limits: Limits, allowed: int) -> Archive:
    name = path.lower()
    if name.endswith(".zip"):
        return _Zip(file, limits, allowed)
    packing = next(packing for suffix, packing in _TAR_SUFFIXES.items() if name.endswith(suffix))
    unpacked = cast(BinaryIO, _PACKED[packing](file, "rb")) if packing else file
    return _Tar(Bounded(unpacked, _MAX_HEADER, allowed if packing else None, expands(limits.expansion)))


class _Zip:
    def __init__(self, file: BinaryIO, limits: Limits, allowed: int) -> None:
        largest = max(_MAX_HEADER, limits.files * _DIRECTORY_ENTRY)
        self._zip = zipfile.ZipFile(cast(BinaryIO, Bounded(file, largest)))
        self._expansion = limits.expansion
        self._left = allowed

    def entries(self) -> Iterator[Entry]:
        for at, info in enumerate(self._zip.infolist()):
            if info.is_dir():
                continue
            kind = "link" if stat.S_ISLNK(info.external_attr >> 16) else "encrypted" if info.flag_bits & 1 else ""
            yield Entry(info.filename, info.file_size, at, kind)

    def read(self, at: int, size: int, limit: int) -> bytes:
        if size > limit:  # by its own word; the bytes are counted all the same
            raise too_large(size, limit)
        with self._zip.open(self._zip.infolist()[at]) as file:
            data = file.read(min(limit, self._left) + 1)
        self._left -= len(data)
        if self._left < 0:
            raise expands(self._expansion)
        if len(data) > limit:
            raise too_large(None, limit)
        return data


class _Tar:
    def __init__(self, stream: Bounded) -> None:
        self._stream = stream

    def entries(self) -> Iterator[Entry]:
        # Never closed: that would close nothing of ours. Its list of members is emptied, so it does not grow.
        tar = tarfile.TarFile(fileobj=cast(BinaryIO, self._stream), mode="r", errorlevel=2)
        last = -1
        while (info := tar.next()) is not None:
            if info.offset <= last or info.size < 0:  # a header that leads back would be followed for ever
                raise Damaged("it is cut off or damaged, or packed in a way that is not read (its headers lead back).")
            last = info.offset
            tar.members = []  # type: ignore[attr-defined]
            if info.isdir():
                continue
            kind = "" if info.isreg() and info.sparse is None else "sparse" if info.isreg() else "link"
            yield Entry(info.name, info.size, info.offset_data, kind)
        if self._stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes any end for the end
            raise EOFError("it has no end mark")

    def read(self, at: int, size: int, limit: int) -> bytes:
        if size > limit:
            raise too_large(size, limit)
        self._stream.seek(at)
        data = self._stream.read_data(size)
        if len(data) < size:
            raise EOFError("unexpected end of data")
        return data
