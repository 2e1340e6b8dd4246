"""What people name as SOURCE, to documents: files, folders, globs, archives, corpora, object stores, the web, git.

`open_source` tells by the look of the text which kind it is; `open_sources` joins several. Each kind is a `Source`
(see interface.py) in a file of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.sources.filters import Filter, make_filter
from ingest.sources.folders import FileSource, FolderSource
from ingest.sources.interface import Found, Item, Skipped, Source, Unreadable
from ingest.sources.joined import Joined
from ingest.sources.uris import FILE, file_path, shown
from rag.errors import SourceError
from rag.urls import without_password

if TYPE_CHECKING:
    from rag.settings import Settings

__all__ = ["Found", "Item", "Skipped", "Source", "Unreadable", "open_source", "open_sources"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_GLOB = re.compile(r"[*?\[]")


def open_sources(
    texts: Sequence[str | Path], settings: Settings, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Source:
    """Several sources as one: what several of them hold is listed once. Raises as open_source does."""
    opened: list[Source] = []
    try:
        for text in texts:
            opened.append(open_source(text, settings, include=include, exclude=exclude))
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened[0] if len(opened) == 1 else Joined(opened)


def open_source(
    text: str | Path, settings: Settings, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Source:
    """The source that a text names; nothing of it is listed yet.

    `include` and `exclude` are patterns as in .gitignore, of paths below a source that holds several files. What they
    leave out is none of the source's, so it is not deleted either.

    Raises SourceError where there is no such source, or it may not be read; BadInput for a pattern that is none.
    """
    if isinstance(text, str) and (found := _SCHEME.match(text)):
        scheme = found.group(1).lower()
        chosen = make_filter(include, exclude)
        if scheme == "file":
            return _local(file_path(FILE + text[len(FILE) :]), settings, include, exclude)
        if scheme in {"http", "https"}:
            from ingest.sources.web import open_web

            return open_web(text, settings, chosen)
        if scheme in {"git+http", "git+https"}:
            from ingest.sources.git import GitSource

            return GitSource(text, settings, chosen)
        from ingest.sources.objects import PROTOCOLS, ObjectSource

        if scheme in PROTOCOLS:
            return ObjectSource(text, settings, chosen)
        known = " ".join(f"{each}://" for each in ("https", "http", "git+https", *PROTOCOLS))
        raise SourceError(f"'{without_password(shown(text))}' is of a kind that is not read; these are: {known}.")
    return _local(str(text), settings, include, exclude)


def _local(text: str, settings: Settings, include: Sequence[str], exclude: Sequence[str]) -> Source:
    chosen = make_filter(include, exclude)
    try:
        return _found(text, str(Path(text).expanduser().resolve(strict=True)), settings, chosen)
    except (FileNotFoundError, NotADirectoryError):
        glob = _glob(text, settings, include, exclude)
        if glob is not None:
            return glob
        raise SourceError(f"there is no file or folder '{shown(text)}'; check the path.") from None
    except (OSError, RuntimeError, ValueError) as error:  # no permission, too long a name, a loop of links, no home
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"'{shown(text)}' cannot be read: {reason}.") from None


def _found(text: str, path: str, settings: Settings, chosen: Filter) -> Source:
    if os.path.isdir(path):  # noqa: PTH112 — the path is a str throughout, for speed
        return FolderSource(text, path, settings, chosen)
    return FileSource(text, path, settings, chosen)


def _glob(text: str, settings: Settings, include: Sequence[str], exclude: Sequence[str]) -> Source | None:
    """The folder above a glob's first pattern, narrowed to it; None where the text is no glob."""
    parts = text.split("/")
    first = next((number for number, part in enumerate(parts) if _GLOB.search(part)), None)
    if first is None:
        return None
    above = "/".join(parts[:first]) + ("/" if first else "")
    try:
        root = Path(above or ".").expanduser().resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not root.is_dir():
        return None
    chosen = make_filter(include, exclude, "/".join(parts[first:]))
    return FolderSource(text, str(root), settings, chosen, glob=True)
