"""Object stores (S3, Google Cloud Storage, Azure, …) through fsspec: one object, or all below a prefix."""

from __future__ import annotations

import datetime
import io
import posixpath
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, unquote

from ingest.sources.filters import Filter
from ingest.sources.folders import nothing
from ingest.sources.interface import Found, Item, Skipped, Unreadable
from ingest.sources.local import is_hidden, is_read, kind_of
from ingest.sources.reading import too_large
from ingest.sources.records import RECORD_FILES, Record, look, read_record, records
from ingest.sources.uris import shown
from rag.errors import SourceError
from rag.urls import without_password

if TYPE_CHECKING:
    from rag.settings import Settings

# Protocols, and the extra that brings the package for each. memory:// lives in the process and is for tests.
PROTOCOLS: Mapping[str, str] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "memory": "",
}
_SAME = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}  # two names of one store are one in a URI
_BUFFER = 256 * 1024  # bytes
_SAFE = "/!$&'()*+,;=:@~ "  # of a key, what stands as it is in a URI; '#', '?' and '%' do not


class ObjectSource:
    """Objects under one URL. Credentials are the store's own business: its environment, its configuration files."""

    def __init__(self, text: str, settings: Settings, chosen: Filter) -> None:
        """Raises SourceError where the store's package is not there, or the URL is none of the store's."""
        protocol, _, key = text.partition("://")
        self._protocol = _SAME.get(protocol.lower(), protocol.lower())
        self._text = without_password(text)
        if "::" in text or not key.strip("/"):
            raise SourceError(f"'{self._text}' names no bucket: write {self._protocol}://bucket/folder.")
        self._fs = file_system(self._protocol, self._text)
        self._root = self._asked(lambda: str(self._fs._strip_protocol(text))).rstrip("/")
        self._filter = chosen
        self._max_bytes = settings.max_document_bytes
        self._opened: tuple[str, BinaryIO] | None = None

    @property
    def shown(self) -> str:
        """Its URL."""
        return shown(self._text)

    def owns(self, uri: str) -> bool:
        """The object itself, or what lies below the prefix and would be listed."""
        root = self._uri(self._root)
        path, _, _ = uri.partition("#")
        if path == root:
            return True
        if not path.startswith(f"{root}/"):
            return False
        parts = [unquote(each) for each in path[len(root) + 1 :].split("/")]
        return not is_hidden(parts) and (self._filter.empty or self._filter.admits(parts))

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where the store does not answer, or nothing can be read."""
        info = self._asked(lambda: self._info(self._root))
        count = skipped = 0
        for found in self._walk() if info is None else self._object(info, posixpath.basename(self._root)):
            count += isinstance(found, Item)
            skipped += isinstance(found, Skipped)
            yield found
        if not count:
            raise nothing(self._text, skipped)

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        if item.size is not None and item.size > limit and not isinstance(item, Record):
            raise too_large(item.size, limit)
        key = unquote(item.uri.partition("://")[2].partition("#")[0])
        if isinstance(item, Record):
            found: bytes = self._asked(lambda: read_record(self._corpus(key), item, limit))
            return found
        with self._asked(lambda: self._fs.open(self._path(key), "rb")) as file:
            data: bytes = self._asked(lambda: file.read(limit + 1))
        if len(data) > limit:
            raise too_large(None, limit)
        return data

    def close(self) -> None:
        """Close the corpus that records were read from."""
        if self._opened:
            self._opened[1].close()
        self._opened = None

    def _corpus(self, key: str) -> BinaryIO:
        """A `.jsonl` object, kept open while its records are read: they come one after the other."""
        if self._opened is None or self._opened[0] != key:
            self.close()
            self._opened = (key, self._lines(key))
        return self._opened[1]

    def _lines(self, key: str) -> BinaryIO:
        """An object as a stream of bounded lines, which fsspec's own files do not give."""
        return io.BufferedReader(self._fs.open(self._path(key), "rb"), _BUFFER)

    def _walk(self) -> Iterator[Found]:
        stack = [self._root]
        while stack:
            folder = stack.pop()
            try:
                listed = self._asked(lambda folder=folder: self._fs.ls(folder, detail=True))  # type: ignore[misc]
            except SourceError as error:
                if folder == self._root:
                    raise
                reason = f"it cannot be listed ({str(error).rstrip('.')}): what is in it was left as it is."
                yield Unreadable(f"{self._uri(folder)}/", self._below(folder) + "/", reason)
                continue
            folders = []
            for info in sorted(listed, key=lambda each: str(each["name"])):
                key = str(info["name"]).rstrip("/")
                below = self._below(key)
                if not below or key == folder.rstrip("/") or is_hidden(below.split("/")):
                    continue  # a marker of the folder itself
                if info.get("type") == "directory":
                    if self._filter.enters(below.split("/")) and not is_hidden([*below.split("/"), "x"]):
                        folders.append(key)
                elif self._filter.empty or self._filter.admits(below.split("/")):
                    yield from self._object(info, below)
            stack += reversed(folders)

    def _object(self, info: Mapping[str, Any], below: str) -> Iterator[Found]:
        key = str(info["name"])
        name = posixpath.basename(key)
        size = info.get("size")
        size = size if isinstance(size, int) else None
        where = shown(below)
        if name.lower().endswith(RECORD_FILES) and (yield from self._records(key, where)):
            return
        if is_read(name):
            yield Item(self._uri(key), where, shown(name), size, _stamp(info))
        else:
            yield Skipped(where, kind_of(name))

    def _records(self, key: str, where: str) -> Generator[Found, None, bool]:
        """The records of a `.jsonl` object; returns whether it is one."""
        uri = self._uri(key)
        try:
            with self._lines(key) as file:
                what = look(file, self._max_bytes)
                if what == "records":
                    file.seek(0)
                    yield from records(file, uri, where, self._max_bytes)
        except Exception as error:
            yield Unreadable(f"{uri}#", where, f"it cannot be read: {words(error)}.")
            return True
        if what == "broken":
            yield Unreadable(f"{uri}#", where, "none of its first lines is JSON in UTF-8.", "damaged_document")
        return what != "other"

    def _info(self, key: str) -> Mapping[str, Any] | None:
        """What the store says of an object; None for a prefix."""
        try:
            info: Mapping[str, Any] = self._fs.info(self._path(key))
        except FileNotFoundError:
            if self._fs.exists(key):
                return None
            raise
        return None if info.get("type") == "directory" else info

    def _path(self, key: str) -> str:
        return f"/{key.lstrip('/')}" if self._protocol == "memory" else key

    def _uri(self, key: str) -> str:
        return f"{self._protocol}://{quote(key.lstrip('/'), safe=_SAFE)}"

    def _below(self, key: str) -> str:
        return key.lstrip("/").removeprefix(self._root.lstrip("/")).lstrip("/")

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the store answers. Raises SourceError: its packages raise errors of a hundred kinds."""
        try:
            return ask()
        except SourceError:
            raise
        except FileNotFoundError:
            raise SourceError(f"there is nothing at '{self.shown}'; check bucket and path.") from None
        except Exception as error:
            raise SourceError(f"'{self.shown}' cannot be read: {words(error)}.") from None


def file_system(protocol: str, text: str) -> Any:
    """The store behind a protocol. Raises SourceError: its package is missing, or refuses."""
    import fsspec  # type: ignore[import-untyped]

    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False)
    except ImportError:
        extra = PROTOCOLS[protocol]
        raise SourceError(
            f"'{text}' needs a package that is not installed: pip install 'librarian-rag[{extra}]'."
        ) from None
    except Exception as error:  # a store's package may raise anything over its credentials
        raise SourceError(f"'{text}' cannot be opened: {words(error)}.") from None


def _stamp(info: Mapping[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "content_md5"):
        if info.get(name):
            return f"{name.lower()}:{info[name]}:{info.get('size')}"
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        value = info.get(name)
        if value:
            moment = value.isoformat() if isinstance(value, datetime.datetime) else str(value)
            return f"{moment}:{info.get('size')}"
    return ""


def words(error: Exception) -> str:
    """An error of a store's package, in one line."""
    return without_password(" ".join(str(error).split())).rstrip(".")[:300] or type(error).__name__
