"""A path to the files in it that can be ingested."""

from __future__ import annotations

import os
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
    """What was found under one path. `prefix` starts the URI of every document that this source owns."""

    prefix: str
    files: tuple[SourceFile, ...]
    skipped: Mapping[str, int]  # how many files of each type that is not read


def find(path: Path) -> Source:
    """The files under a folder, or the one file, in a stable order. Hidden files and folders are left out.

    Raises SourceError where there is no such path, it cannot be listed, or nothing in it can be read.
    """
    path = path.expanduser()
    if not path.exists():
        raise SourceError(f"there is no file or folder '{path}'.")
    root = path.resolve()
    if root.is_file():
        if root.suffix.lower() not in SUPPORTED:
            raise SourceError(f"'{path}' is of a type that is not read; these are: {_supported()}.")
        return Source(root.as_uri(), (_source_file(root, root.parent),), {})
    if not os.access(root, os.R_OK | os.X_OK):
        raise SourceError(f"the folder '{path}' cannot be read: permission denied.")
    files: list[SourceFile] = []
    skipped: Counter[str] = Counter()
    for file in _walk(root):
        if file.suffix.lower() in SUPPORTED:
            files.append(_source_file(file, root))
        else:
            skipped[file.suffix.lower() or "no extension"] += 1
    if not files:
        others = f"; it has {sum(skipped.values())} files of other types" if skipped else ""
        raise SourceError(f"'{path}' holds no document that can be read ({_supported()}){others}.")
    return Source(root.as_uri() + "/", tuple(files), dict(skipped.most_common()))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _source_file(file: Path, root: Path) -> SourceFile:
    return SourceFile(file, file.as_uri(), file.relative_to(root).as_posix(), file.stat().st_size)


def _supported() -> str:
    return " ".join(sorted(SUPPORTED))
