"""Several sources as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.sources.interface import Found, Item, Source
from ingest.sources.seen import Seen
from rag.errors import SourceError


class Joined:
    """Sources one after the other. A document of several of them is listed once; one owns what any owns."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._last = self._sources[0]

    @property
    def shown(self) -> str:
        """All of them, as they were written."""
        return ", ".join(each.shown for each in self._sources)

    def owns(self, uri: str) -> bool:
        """Whether any does."""
        return any(each.owns(uri) for each in self._sources)

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where one of them cannot be listed."""
        seen = Seen()
        for source in self._sources:
            for found in source.items():
                if not isinstance(found, Item) or seen.add(found.uri):
                    self._last = source
                    yield found

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        for source in (self._last, *self._sources):  # mostly the one that listed it just now
            if source.owns(item.uri):
                return source.read(item, limit)
        raise SourceError("it was not listed by any of the sources.")

    def close(self) -> None:
        """See Source."""
        for each in self._sources:
            each.close()
