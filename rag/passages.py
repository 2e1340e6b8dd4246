"""Ranked hits as passages: their chunks and those beside them, fetched together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rag.fusion import Ranked
from rag.index.interface import AsyncIndex, Payload
from rag.neighbours import joined, windows
from rag.payload import to_passage
from rag.reach import Reach
from rag.schema import Passage, Scope


class Chunks:
    """The payloads of chunks that one search needs, each fetched once."""

    def __init__(self, index: AsyncIndex, name: str, scope: Scope) -> None:
        self._index, self._name, self._scope = index, name, scope
        self._payloads: dict[str, Payload] = {}
        self._missing: set[str] = set()

    def __contains__(self, identity: str) -> bool:
        return identity in self._payloads

    async def fetch(self, ids: Iterable[str]) -> None:
        """Fetch those that were not asked for before. What does not exist, or the scope does not see, is left out."""
        wanted = [each for each in dict.fromkeys(ids) if each not in self._payloads and each not in self._missing]
        if wanted:
            found = await self._index.fetch(self._name, wanted, self._scope)
            self._payloads.update((each.id, each.payload) for each in found)
            self._missing.update(each for each in wanted if each not in self._payloads)

    def lacks(self, hits: Iterable[Ranked]) -> bool:
        """Whether one of the hits was asked for and is not there: it was deleted since it was found."""
        return bool(self._missing) and any(each.id in self._missing for each in hits)

    def passages(self, hits: Iterable[Ranked]) -> list[Passage]:
        """Those of the hits that are there, each by itself."""
        return [
            to_passage(each.id, self._payloads[each.id], each.score, each.dense, each.sparse)
            for each in hits
            if each.id in self._payloads
        ]

    async def joined(self, hits: Sequence[Ranked], count: int, reach: Reach) -> tuple[Passage, ...]:
        """The best `count` of the hits, each with the chunks of its document that are within its reach."""
        found = windows((each.id for each in hits), count, reach)
        await self.fetch(each for window in found for each in window.ids)
        if self.lacks(hits):  # those below move up
            await self.fetch(each.id for each in hits)
            found = windows((each.id for each in hits if each.id in self), count, reach)
            await self.fetch(each for window in found for each in window.ids)
        of_window = {each.hit: each for each in found}
        alone = self.passages(each for each in hits if each.id in of_window)
        return tuple(joined(of_window[each.id], each, self._payloads) for each in alone)
