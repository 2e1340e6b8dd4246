"""Qdrant, embedded or as a server, behind one interface. The only package that imports qdrant_client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag.index.interface import (
    DENSE,
    SPARSE,
    AsyncIndex,
    Collection,
    CollectionInfo,
    CollectionSpec,
    DenseLeg,
    Hit,
    Index,
    Leg,
    Payload,
    Record,
    SparseLeg,
    Stored,
    Where,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rag.index.folder import Holder
    from rag.settings import Settings

__all__ = [
    "DENSE",
    "SPARSE",
    "AsyncIndex",
    "Collection",
    "CollectionInfo",
    "CollectionSpec",
    "DenseLeg",
    "Hit",
    "Index",
    "Leg",
    "Payload",
    "Record",
    "SparseLeg",
    "Stored",
    "Where",
    "holder",
    "open_alone",
    "open_async_index",
    "open_index",
    "sync_side",
]


def open_index(settings: Settings) -> Index:
    """The index that the settings name: the server at `qdrant_url`, else the embedded one in `data_dir`.

    The embedded one raises IndexLocked or IndexUnavailable here; a server is first asked when it is first used.
    """
    if settings.qdrant_url:
        from rag.index.server import ServerIndex

        return ServerIndex.connect(settings)
    from rag.index.embedded import EmbeddedIndex

    return EmbeddedIndex(settings.index_dir)


def open_alone(settings: Settings) -> Index:
    """The same for a command that needs the index to itself, which a running server does not do for it.

    Raises IndexLocked, naming who holds the embedded one and what to do.
    """
    from rag.errors import IndexLocked

    try:
        return open_index(settings)
    except IndexLocked:
        held = None if settings.qdrant_url else holder(settings)
        if held is None or held.url is None:
            raise
        raise IndexLocked(
            f"the index folder {settings.index_dir} is held by {held}: this command needs it alone. Stop that server, "
            "run this, and start it again (or let both use a Qdrant server, --qdrant-url)."
        ) from None


def open_async_index(settings: Settings) -> AsyncIndex:
    """The same for callers on an event loop."""
    if settings.qdrant_url:
        from rag.index.async_server import AsyncServerIndex

        return AsyncServerIndex.connect(settings)
    from rag.index.threaded import ThreadedIndex

    return ThreadedIndex(open_index(settings))


@contextmanager
def sync_side(index: AsyncIndex, settings: Settings) -> Iterator[Index]:
    """An Index with the same data as an open AsyncIndex of these settings, for threads; let go at the end."""
    from rag.index.threaded import ThreadedIndex

    if isinstance(index, ThreadedIndex):
        yield index.index
        return
    beside = open_index(settings)
    try:
        yield beside
    finally:
        beside.close()


def holder(where: Settings | Path) -> Holder | None:
    """Who holds the embedded index of these settings (or in this folder): pid, command, url. None when nobody."""
    from rag.index import folder

    return folder.holder(where)
