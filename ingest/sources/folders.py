"""Local files and folders as sources."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ingest.loading import SUPPORTED
from ingest.sources.filters import Filter
from ingest.sources.ignoring import GIT_IGNORE_FILE, IGNORE_FILE, Rules, ignored, in_repository, read_rules, rules_above
from ingest.sources.interface import Found, Item, Skipped, Unreadable
from ingest.sources.local import (
    ALONE,
    SKIPPED_FOLDERS,
    LocalFiles,
    inner_parts,
    is_container,
    is_hidden,
    is_read,
    kind_of,
)
from ingest.sources.reading import stamp_of, unreadable
from ingest.sources.uris import FILE, file_uri, quoted, shown, suffix
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

_COMMON = (
    ".md",
    ".txt",
    ".html",
    ".pdf",
    ".docx",
    ".pptx",
    ".xlsx",
    ".epub",
    ".eml",
    ".csv",
    ".json",
    ".zip",
    ".jsonl",
)


class FileSource:
    """One local file: itself, or what an archive or a `.jsonl` file holds."""

    def __init__(self, text: str, file: str, settings: Settings, chosen: Filter) -> None:
        """`file` is its absolute path without links. Raises SourceError for a file that is not read."""
        self._name = os.path.basename(file)  # noqa: PTH119 — a path of bytes that are no UTF-8 is a str here
        if not is_read(self._name) and not is_container(self._name):
            raise SourceError(f"'{text}' is of a type that is not read; these are: {supported()}.")
        self._text = text
        self._file = file
        self._uri = file_uri(file)
        self._filter = chosen
        self._files = LocalFiles(settings)

    @property
    def shown(self) -> str:
        """As it was written."""
        return shown(self._text)

    def owns(self, uri: str) -> bool:
        """Its own URI, and those that follow it with a `#`."""
        path, hash_, inner = uri.partition("#")
        if path != self._uri:
            return False
        parts = inner_parts(self._file, inner)
        return not hash_ or not parts or self._filter.admits(parts)

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where nothing in it can be read."""
        size, stamp = None, ""
        with suppress(OSError):  # reading it says why
            info = os.stat(self._file)  # noqa: PTH116 — as above
            size, stamp = info.st_size, stamp_of(info, time.time_ns())
        whole = Item(self._uri, shown(self._name), shown(self._name), size, stamp)
        if not is_container(self._name):
            yield whole
            return
        count = skipped = 0
        why = None
        admits = None if self._filter.empty else self._filter.admits
        for found in self._files.inside(self._file, self._uri, shown(self._name), whole, admits):
            count += isinstance(found, Item)
            skipped += isinstance(found, Skipped)
            why = why or (found.reason if isinstance(found, Unreadable) else None)
            yield found
        if not count and why is None:  # what cannot be read is a failure of its own, beside whatever else is ingested
            raise nothing(self._text, skipped)

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        return self._files.read(item, limit)

    def close(self) -> None:
        """See Source."""
        self._files.close()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be listed. `parts` is its path below the root; `rules` hold for what is in it."""

    path: str
    parts: tuple[str, ...]
    rules: tuple[Rules, ...]
    git: bool


@dataclass(slots=True)
class _Listing:
    """What one folder holds, in order; `marks` are the hidden names that mean something."""

    folders: list[str]
    names: list[str]
    marks: set[str]


class FolderSource:
    """The files below a local folder.

    Hidden files and folders, those of SKIPPED_FOLDERS and what ignore files name are left out. A link to a file is that
    file under the link's name, also where it leads out of the folder or (so that reading it says why) nowhere; a link
    to a folder is not followed. Of a BEIR folder only the corpus is read.
    """

    def __init__(self, text: str, root: str, settings: Settings, chosen: Filter, glob: bool = False) -> None:
        """`root` is its absolute path without links; `glob`: `text` is a pattern, not its path.

        Raises SourceError where it cannot be listed.
        """
        self._glob = glob
        if not os.access(root, os.R_OK | os.X_OK):
            raise SourceError(f"the folder '{text}' cannot be read: permission denied.")
        self._text = text
        self._root = root.rstrip("/")
        self._depth = len([each for each in root.split("/") if each])
        self._prefix = file_uri(self._root) + "/"
        self._filter = chosen
        self._files = LocalFiles(settings)

    @property
    def shown(self) -> str:
        """As it was written."""
        return shown(self._text)

    def owns(self, uri: str) -> bool:
        """What lies below it and would be listed if it were there, ignore files aside: what these name is gone."""
        if not uri.startswith(self._prefix):
            return False
        path, _, inner = uri[len(self._prefix) :].partition("#")
        parts = [unquote(each, errors="surrogateescape") for each in path.split("/")]
        if is_hidden(parts):
            return False
        return self._filter.empty or self._filter.admits([*parts, *inner_parts(path, inner)])

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where nothing in it can be read."""
        count = skipped = 0
        for found in self._walk():
            if isinstance(found, Item):
                count += 1
            elif isinstance(found, Skipped):
                skipped += 1
            yield found
        if not count:
            if self._glob:
                raise SourceError(f"no file matches '{self.shown}'; check the pattern, and quote it in the shell.")
            raise nothing(self._text, skipped)

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        return self._files.read(item, limit)

    def close(self) -> None:
        """See Source."""
        self._files.close()

    def _walk(self) -> Iterator[Found]:
        root = self._root or "/"
        stack = [_Folder(root, (), tuple(rules_above(root)), in_repository(root))]
        while stack:
            folder = stack.pop()
            try:
                listing = _list(folder.path)
                git = folder.git or ".git" in listing.marks
                rules = self._rules(folder, listing, git)
            except (OSError, SourceError) as error:
                yield self._unlisted(folder, error)
                continue
            if _is_beir(listing):
                listing = _Listing([], ["corpus.jsonl"], set())
            yield from self._files_of(folder, listing.names, rules)
            for name in reversed(listing.folders):
                parts = (*folder.parts, name)
                if self._filter.enters(parts) and not (rules and ignored(rules, self._absolute(parts), True)):
                    stack.append(_Folder(f"{folder.path.rstrip('/')}/{name}", parts, rules, git))

    def _rules(self, folder: _Folder, listing: _Listing, git: bool) -> tuple[Rules, ...]:
        names = [GIT_IGNORE_FILE] if git and GIT_IGNORE_FILE in listing.marks else []
        names += [IGNORE_FILE] if IGNORE_FILE in listing.marks else []
        if not names:
            return folder.rules
        depth = self._depth + len(folder.parts)
        return (*folder.rules, *(read_rules(f"{folder.path}/{name}", depth) for name in names))

    def _absolute(self, parts: Sequence[str]) -> list[str]:
        return [*(each for each in self._root.split("/") if each), *parts]

    def _files_of(self, folder: _Folder, names: Sequence[str], rules: tuple[Rules, ...]) -> Iterator[Found]:
        """The documents of one folder. Everything a file costs is here: it runs for each of hundreds of thousands."""
        path = folder.path.rstrip("/") + "/"
        uri = FILE + quoted(path)
        where = shown("/".join((*folder.parts, "")))
        narrowed = not self._filter.empty
        above = self._absolute(folder.parts) if rules else []
        regular, now, look = stat.S_ISREG, time.time_ns, os.stat
        for name in names:
            file = path + name
            info: os.stat_result | None
            try:
                info = look(file)
                if not regular(info.st_mode):
                    continue
            except OSError:
                info = None
            if rules and ignored(rules, [*above, name], False):
                continue
            alone = suffix(name) in ALONE
            container = not alone and is_container(name)
            if narrowed and not (container or self._filter.admits((*folder.parts, name))):
                continue
            read = alone or is_read(name)
            clean = name if name.isascii() and name.isprintable() else shown(name)
            if read or container:
                size, stamp = (info.st_size, stamp_of(info, now())) if info else (None, "")
                item = Item(uri + quoted(name), where + clean, clean, size, stamp)
                if container:
                    yield from self._inside(file, item, (*folder.parts, name))
                else:
                    yield item
            elif info:
                yield Skipped(where + clean, kind_of(name))

    def _inside(self, file: str, item: Item, parts: tuple[str, ...]) -> Iterator[Found]:
        if self._filter.empty:
            admits = None
        elif inner_parts(file, "/"):
            admits = partial(_admits_below, self._filter, parts)
        elif self._filter.admits(parts):
            admits = None
        else:
            return iter(())
        return self._files.inside(file, item.uri, item.path, item, admits)

    def _unlisted(self, folder: _Folder, error: Exception) -> Unreadable:
        if not folder.parts:
            raise SourceError(f"the folder '{self._text}' cannot be read: {_words(error)}.") from None
        where = shown("/".join((*folder.parts, "")))
        reason = f"the folder cannot be listed ({_words(error)}): what is in it was left as it is."
        return Unreadable(FILE + quoted(folder.path + "/"), where, reason)


def supported() -> str:
    """The suffixes that are read, for messages: the commonest by name."""
    named = [each for each in _COMMON if each in SUPPORTED]
    return f"{' '.join(named)} and {len(SUPPORTED) - len(named)} others"


def nothing(text: str, skipped: int, why: str | None = None) -> SourceError:
    """The error for a source without a document."""
    others = f"; it has {skipped} files of other types" if skipped else ""
    reason = f": {why.rstrip('.')}" if why else f" ({supported()})"
    return SourceError(f"'{text}' holds no document that can be read{reason}{others}.")


def _list(folder: str) -> _Listing:
    """What a folder holds. Names only: of a folder of a million files that is what fits."""
    folders: list[str] = []
    names: list[str] = []
    marks: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                if name in {".git", GIT_IGNORE_FILE, IGNORE_FILE}:
                    marks.add(name)
            elif not entry.is_dir(follow_symlinks=False):
                names.append(name)
            elif name not in SKIPPED_FOLDERS:
                folders.append(name)
    folders.sort()
    names.sort()
    return _Listing(folders, names, marks)


def _is_beir(listing: _Listing) -> bool:
    return "corpus.jsonl" in listing.names and ("queries.jsonl" in listing.names or "qrels" in listing.folders)


def _admits_below(chosen: Filter, parts: tuple[str, ...], inner: Sequence[str]) -> bool:
    return chosen.admits((*parts, *inner))


def _words(error: Exception) -> str:
    if isinstance(error, SourceError):
        return f"its ignore file: {str(error).rstrip('.')}"
    return str(unreadable(error)).removeprefix("it cannot be read: ").rstrip(".").lower()
