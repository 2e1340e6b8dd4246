"""What local files hold: themselves, or the members of an archive, or the records of a `.jsonl` file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote

from ingest.loading import SUPPORTED, Damaged, supports
from ingest.sources.archives import ARCHIVES, BROKEN, Entry, Limits, Member, OpenArchive, broken, is_archive
from ingest.sources.interface import Found, Item, Skipped, Unreadable
from ingest.sources.reading import open_file, read_file, too_large, unreadable
from ingest.sources.records import RECORD_FILES, Record, look, read_record, records
from ingest.sources.seen import Seen
from ingest.sources.uris import file_path, shown, suffix
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

# Folders that hold a tool's state, never a person's documents.
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})
_SKIPPED_IN_ARCHIVES = SKIPPED_FOLDERS | {"__MACOSX"}

Admits = Callable[[Sequence[str]], bool]


def is_read(name: str) -> bool:
    """Whether a file of this name is a document."""
    return suffix(name) in SUPPORTED or supports(name)


def is_container(name: str) -> bool:
    """Whether a file of this name may hold several documents."""
    return is_archive(name) or name.lower().endswith(RECORD_FILES)


# The last suffixes of files that are one document, whatever comes before them.
ALONE = SUPPORTED - {suffix(f"x{each}") for each in (*ARCHIVES, *RECORD_FILES)}


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a path is one that a folder's listing leaves out."""
    return any(each.startswith(".") or not each for each in parts) or not SKIPPED_FOLDERS.isdisjoint(parts[:-1])


def kind_of(name: str) -> str:
    """What a file that is not read is counted as."""
    return suffix(name) or "no extension"


def inner_parts(path: str, inner: str) -> list[str]:
    """The path in an archive that follows a URI's `#`; nothing for a record's id. `path` is the part before it."""
    if not is_archive(path) or not inner.startswith("/"):
        return []
    return [unquote(each, errors="surrogateescape") for each in inner[1:].split("/")]


class LocalFiles:
    """Reads local items, and lists what archives and `.jsonl` files hold. One archive is open at a time."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.max_document_bytes
        self._limits = Limits(settings.max_archive_files, settings.max_expansion)
        self._archive: OpenArchive | None = None
        self._records: BinaryIO | None = None
        self._open: str | None = None

    def inside(self, file: str, uri: str, path: str, whole: Item, admits: Admits | None) -> Iterator[Found]:
        """What a container holds. `whole` is the file as one document, where it turns out to be that.

        `admits` is asked for members of an archive, with their path in it.
        """
        if is_archive(file):
            return self._members(file, uri, path, admits)
        return self._records_of(file, uri, path, whole)

    def read(self, item: Item, limit: int) -> bytes:
        """The bytes of an item that a local source has listed. Raises SourceError."""
        file = file_path(item.uri)
        if isinstance(item, Member):
            return self._opened_archive(file).read(item, limit)
        if isinstance(item, Record):
            return read_record(self._opened_records(file), item, limit)
        if "#" in item.uri:
            raise SourceError("it was not listed by this source: name the file that it is in.")
        if item.size is not None and item.size > limit:
            raise too_large(item.size, limit)
        return read_file(file, limit)

    def close(self) -> None:
        """Let go of what is open."""
        if self._archive:
            self._archive.close()
        if self._records:
            self._records.close()
        self._archive = self._records = self._open = None

    def _opened_archive(self, file: str) -> OpenArchive:
        if self._open != file or not self._archive:
            self.close()
            try:
                self._archive = OpenArchive(file, self._limits)
            except BROKEN as error:
                raise broken(error) from None
            self._open = file
        return self._archive

    def _opened_records(self, file: str) -> BinaryIO:
        if self._open != file or not self._records:
            self.close()
            self._records = open_file(file)
            self._open = file
        return self._records

    def _records_of(self, file: str, uri: str, path: str, whole: Item) -> Iterator[Found]:
        try:
            with open_file(file) as opened:
                what = look(opened, self._max_bytes)
                if what == "records":
                    opened.seek(0)
                    yield from records(opened, uri, path, self._max_bytes)
        except (SourceError, OSError) as error:
            reason = str(error if isinstance(error, SourceError) else unreadable(error))
            yield Unreadable(f"{uri}#", path, reason)
            return
        if what == "broken":
            yield Unreadable(f"{uri}#", path, "none of its first lines is JSON in UTF-8.", Damaged.code)
        elif what == "other":
            yield whole if is_read(whole.name) else Skipped(path, kind_of(whole.name))

    def _members(self, file: str, uri: str, path: str, admits: Admits | None) -> Iterator[Found]:
        try:
            opened = OpenArchive(file, self._limits)
        except SourceError as error:
            yield Unreadable(f"{uri}#", path, str(error), error.code)
            return
        except BROKEN as error:
            yield Unreadable(f"{uri}#", path, str(broken(error)), Damaged.code)
            return
        try:
            yield from self._entries(opened, uri, path, admits)
        except SourceError as error:
            yield Unreadable(f"{uri}#", path, str(error), error.code)
        except BROKEN as error:
            yield Unreadable(f"{uri}#", path, str(broken(error)), Damaged.code)
        finally:
            opened.close()

    def _entries(self, opened: OpenArchive, uri: str, path: str, admits: Admits | None) -> Iterator[Found]:
        seen = Seen()
        for count, entry in enumerate(opened.archive.entries()):
            if count >= self._limits.files:
                reason = f"it holds more than the {count} files of LIBRARIAN_MAX_ARCHIVE_FILES; the others were left."
                yield Unreadable(f"{uri}#", path, reason, "archive_too_large")
                return
            parts = _parts(entry.name)
            if not parts or any(each.startswith(".") or each in _SKIPPED_IN_ARCHIVES for each in parts):
                continue
            if admits is None or admits(parts):
                yield _found(entry, parts, uri, path, opened, seen)


def _parts(name: str) -> list[str]:
    """An entry's path: wherever it wants to lead, it is inside the archive."""
    return [each for each in name.replace("\\", "/").split("/") if each not in {"", ".", ".."}]


def _found(entry: Entry, parts: Sequence[str], uri: str, path: str, opened: OpenArchive, seen: Seen) -> Found:
    inner = "/".join(parts)
    member = f"{uri}#/{quote(inner.encode('utf-8', 'surrogateescape'))}"
    where = f"{path}/{shown(inner)}"
    name = parts[-1]
    if entry.kind == "link":
        return Skipped(where, "link")
    if is_archive(name):
        return Unreadable(member, where, "it is an archive in an archive: unpack the outer one.", "nested_archive")
    if not is_read(name):
        return Skipped(where, kind_of(name))
    if entry.kind == "encrypted":
        return Unreadable(member, where, "it needs a password: put it in unencrypted.", "encrypted_document")
    if entry.kind:
        return Unreadable(member, where, f"it is a {entry.kind} file, of a kind that is not read.", Damaged.code)
    if not seen.add(inner):
        return Unreadable(member, where, "its archive holds this name twice; the first is read.", "duplicate_name")
    return Member(member, where, shown(name), entry.size, opened.stamp, at=entry.at, archive=opened.state)
