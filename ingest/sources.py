"""A path to the files in it that can be ingested."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.loading import SUPPORTED, SourceFile
from rag.errors import SourceError

# Folders that hold a tool's state, never a person's documents.
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True)
class Source:
    """What was found under one path.

    `prefix` is the URI of the one document that this source owns, or ends in "/" and starts the URI of each of them.
    `unlisted` are folders that are there and cannot be listed: what they hold is not known, so nothing of it is gone.
    """

    prefix: str
    files: tuple[SourceFile, ...]
    skipped: Mapping[str, int]  # how many files of each type that is not read
    unlisted: tuple[SourceFile, ...] = ()  # each uri ends in "/"; size 0


def find(path: Path) -> Source:
    """The files under a folder, or the one file, in a stable order.

    Hidden files and folders and those of SKIPPED_FOLDERS are left out. A link to a file is that file under the link's
    name, also where it leads out of the folder or (so that it is reported) nowhere; a link to a folder is not followed.

    Raises SourceError where there is no such path, it cannot be listed, or nothing in it can be read.
    """
    try:
        path = path.expanduser()
        root = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"there is no file or folder '{path}'; check the path.") from None
    except (OSError, RuntimeError, ValueError) as error:  # no permission, too long a name, a loop of links, no home
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"'{path}' cannot be read: {reason}.") from None
    if root.is_file():
        if root.suffix.lower() not in SUPPORTED:
            raise SourceError(f"'{path}' is of a type that is not read; these are: {_supported()}.")
        return Source(root.as_uri(), (_source_file(root, root.parent),), {})
    if not os.access(root, os.R_OK | os.X_OK):
        raise SourceError(f"the folder '{path}' cannot be read: permission denied.")
    files: list[SourceFile] = []
    skipped: Counter[str] = Counter()
    unlisted: list[Path] = []
    for file in _walk(root, unlisted):
        if file.suffix.lower() in SUPPORTED:
            files.append(_source_file(file, root))
        elif file.is_file():
            skipped[file.suffix.lower() or "no extension"] += 1
    if not files:
        others = f"; it has {sum(skipped.values())} files of other types" if skipped else ""
        raise SourceError(f"'{path}' holds no document that can be read ({_supported()}){others}.")
    prefix = root.as_uri().rstrip("/") + "/"
    return Source(prefix, tuple(files), dict(skipped.most_common()), tuple(_folder(each, root) for each in unlisted))


def _walk(root: Path, unlisted: list[Path]) -> Iterator[Path]:
    """Every file; what cannot be listed goes into `unlisted`."""

    def on_error(error: OSError) -> None:
        unlisted.append(Path(os.fsdecode(error.filename)))

    for folder, folders, names in os.walk(root, onerror=on_error, followlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and _may_be_file(file):
                yield file


def _may_be_file(path: Path) -> bool:
    """Whether it is a file, or cannot be looked at (a broken link): reading that says why. No pipe, no device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _source_file(file: Path, root: Path) -> SourceFile:
    try:
        size = file.stat().st_size
    except OSError:
        size = 0
    return SourceFile(file, file.as_uri(), _shown(file, root), size)


def _folder(folder: Path, root: Path) -> SourceFile:
    return SourceFile(folder, folder.as_uri() + "/", _shown(folder, root) + "/", 0)


def _shown(path: Path, root: Path) -> str:
    """The path below the root; a name that is no UTF-8 has replacement characters."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")


def _supported() -> str:
    return " ".join(sorted(SUPPORTED))
