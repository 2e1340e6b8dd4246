"""Where snapshots lie: a file, a folder of them, or one in an object store; how old ones go, how the latest is found.

In a folder a snapshot of NAME is `NAME-YYYYmmdd-HHMMSS.jsonl.gz` (UTC), so names sort by age. It is written whole on
this machine first; an object appears in its store when it is there whole.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rag.errors import BadInput, SourceError
from rag.urls import without_password

_MADE = re.compile(r"(?P<name>.+)-\d{8}-\d{6}\.jsonl\.gz")


class Place(Protocol):
    """Where one snapshot goes."""

    @property
    def shown(self) -> str:
        """Its name for messages."""

    def writing(self) -> Any:
        """A context: a path on this machine to write to; the snapshot is in its place when the context ends."""

    def prune(self) -> list[str]:
        """Delete all but the latest snapshots of the same name, as many as were asked to be kept; their names."""


def open_place(target: str | None, name: str, keep: int | None) -> Place:
    """The place that a command line names. Raises BadInput, and SourceError for a store that cannot be had."""
    made = f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.jsonl.gz"
    if target is not None and target.endswith("/"):
        folder = _Store.of(target) if "://" in target else _Folder(Path(target))
        return _InFolder(folder, name, made, keep)
    if keep is not None:
        raise BadInput("--keep is for folders: end the target in a slash, as backups/ or s3://bucket/backups/")
    if target is not None and "://" in target:
        raise BadInput(f"'{without_password(target)}' names an object: end it in a slash, and the name is made")
    return _OneFile(Path(target or made))


@contextmanager
def reading(source: str) -> Iterator[tuple[Path, str]]:
    """A snapshot as a file on this machine, and its name for messages; of a folder the latest.

    Raises BadInput where the folder holds none, SourceError for a store that cannot be read.
    """
    if "://" not in source and not source.endswith("/"):
        yield Path(source), source
        return
    head, _, wanted = source.rpartition("/")
    folder = _Store.of(head + "/") if "://" in source else _Folder(Path(head or "/"))
    made = sorted((each for each in folder.names() if _MADE.fullmatch(each)), key=_age)
    if not wanted and not made:
        raise BadInput(f"there is no snapshot in {folder.shown}: one is named NAME-YYYYmmdd-HHMMSS.jsonl.gz")
    with folder.fetched(wanted or made[-1]) as file:
        yield file, folder.shown + (wanted or made[-1])


def _age(name: str) -> str:
    return name.removesuffix(".jsonl.gz")[-15:]


class _Keeper(Protocol):
    @property
    def shown(self) -> str: ...

    def names(self) -> list[str]: ...

    def put(self, name: str) -> Any: ...

    def fetched(self, name: str) -> Any: ...

    def delete(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _InFolder:
    folder: _Keeper
    name: str
    made: str
    keep: int | None

    @property
    def shown(self) -> str:
        return self.folder.shown + self.made

    def writing(self) -> Any:
        return self.folder.put(self.made)

    def prune(self) -> list[str]:
        if self.keep is None:
            return []
        own = [each for each in self.folder.names() if (found := _MADE.fullmatch(each)) and found["name"] == self.name]
        old = sorted(own, key=_age)[: -self.keep]
        for each in old:
            self.folder.delete(each)
        return old


@dataclass(frozen=True, slots=True)
class _OneFile:
    path: Path

    @property
    def shown(self) -> str:
        return str(self.path)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        yield self.path

    def prune(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path

    @property
    def shown(self) -> str:
        return f"{self.path}/"

    def names(self) -> list[str]:
        return [each.name for each in self.path.iterdir()] if self.path.is_dir() else []

    @contextmanager
    def put(self, name: str) -> Iterator[Path]:
        self.path.mkdir(parents=True, exist_ok=True)
        yield self.path / name

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        yield self.path / name

    def delete(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Store:
    shown: str
    root: str
    files: Any

    @classmethod
    def of(cls, url: str) -> _Store:
        from ingest.sources.objects import PROTOCOLS, file_system

        protocol = url.partition("://")[0].lower()
        if protocol not in PROTOCOLS:
            known = ", ".join(sorted(f"{each}://" for each in PROTOCOLS if PROTOCOLS[each]))
            raise BadInput(f"'{without_password(url)}' is in no store that is known: {known}")
        files = file_system(protocol, without_password(url))
        return cls(without_password(url), str(files._strip_protocol(url)).rstrip("/"), files)

    def names(self) -> list[str]:
        def ask() -> list[str]:
            try:
                found = self.files.ls(self.root, detail=False)
            except FileNotFoundError:  # a folder of a store is there once something is in it
                return []
            return [str(each).rstrip("/").rpartition("/")[2] for each in found]

        names: list[str] = self._asked("listed", ask)
        return names

    @contextmanager
    def put(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="librarian-") as folder:
            file = Path(folder) / name
            yield file
            self._asked("written", lambda: self.files.put_file(str(file), f"{self.root}/{name}"))

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="librarian-") as folder:
            file = Path(folder) / name
            self._asked("read", lambda: self.files.get_file(f"{self.root}/{name}", str(file)))
            yield file

    def delete(self, name: str) -> None:
        self._asked("deleted from", lambda: self.files.rm_file(f"{self.root}/{name}"))

    def _asked(self, verb: str, ask: Callable[[], Any]) -> Any:
        from ingest.sources.objects import words

        try:
            return ask()
        except Exception as error:  # a store's package raises errors of a hundred kinds
            raise SourceError(f"{self.shown} cannot be {verb}: {words(error)}; check bucket and credentials") from None
