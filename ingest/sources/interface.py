"""What a source of documents is: items that can be listed in a stable order and read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Item:
    """One document of a source, not read yet.

    `uri` identifies it for ever; `path` is what people are shown; `name` is a file name whose suffix tells the format.
    `size` is in bytes (None: not known before it is read). `stamp` changes whenever the content may have changed (size
    and time of a file, an ETag); "" where nothing cheap tells, then the content is always read. `title` and
    `metadata` are what the source itself knows of it, beside what is in its bytes; both count as content.
    """

    uri: str
    path: str
    name: str
    size: int | None = None
    stamp: str = ""
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that is there and cannot be listed or opened: what is indexed of it stays as it is.

    A `uri` that ends in "/" or "#" stands for everything whose URI starts with it. `code` is the machine-readable name
    of the reason, as an error's.
    """

    uri: str
    path: str
    reason: str
    code: str = "bad_source"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a kind that is not read, by its suffix: counted, not failed."""

    path: str
    kind: str


Found = Item | Unreadable | Skipped


class Source(Protocol):
    """Documents under one name. One thread at a time may call it."""

    @property
    def shown(self) -> str:
        """The source as people wrote it, without credentials."""
        ...

    def owns(self, uri: str) -> bool:
        """Whether a document of this URI would be one of this source's: only such are ever deleted for being gone."""
        ...

    def items(self) -> Iterator[Found]:
        """Everything in it, in a stable order, listed as it is walked: never all held at once.

        Raises SourceError where the source as a whole cannot be listed, before the first item or (a listing that breaks
        off) after some: then nothing is known to be gone.
        """
        ...

    def read(self, item: Item, limit: int) -> bytes:
        """The bytes of one of its items. Raises SourceError, naming the reason, also for more than `limit` bytes."""
        ...

    def close(self) -> None:
        """Let go of what is open. Calling it twice is no error."""
        ...
