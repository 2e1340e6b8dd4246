"""A source whose listing ends when somebody asks for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.sources.interface import Found, Item, Source
from rag.errors import Cancelled


class Stoppable:
    """A Source that raises Cancelled at the next thing listed or read, once `cancelled` says so."""

    def __init__(self, source: Source, cancelled: Callable[[], bool]) -> None:
        self._source = source
        self._cancelled = cancelled

    @property
    def shown(self) -> str:
        """As the source's."""
        return self._source.shown

    def owns(self, uri: str) -> bool:
        """As the source's."""
        return self._source.owns(uri)

    def items(self) -> Iterator[Found]:
        """As the source's."""
        for found in self._source.items():
            self._check()
            yield found

    def read(self, item: Item, limit: int) -> bytes:
        """As the source's."""
        self._check()
        return self._source.read(item, limit)

    def close(self) -> None:
        """As the source's."""
        self._source.close()

    def _check(self) -> None:
        if self._cancelled():
            raise Cancelled("the job was cancelled; what was written stays, and running it again goes on from there.")
