"""An index that seems not to hold some documents, so that an answerable question becomes an unanswerable one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from rag.index.interface import AsyncIndex, Hit, Leg, Where
from rag.point_ids import document_part, part_of
from rag.schema import Scope


class HidingIndex:
    """Passes every call on, and takes the hits of hidden documents out of every query.

    The hits below them move up; inverse document frequencies still count the hidden ones, as they count other tenants'.
    What is hidden holds for the task that hides it and those it starts, so that questions may be asked at once.
    """

    def __init__(self, index: AsyncIndex) -> None:
        self._index = index
        self._hidden: ContextVar[frozenset[str]] = ContextVar("hidden", default=frozenset())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    @property
    def index(self) -> AsyncIndex:
        """This, as what it stands for."""
        return cast(AsyncIndex, self)

    @contextmanager
    def without(self, documents: frozenset[str]) -> Iterator[None]:
        """Hide documents, named by their URIs, inside the block."""
        token = self._hidden.set(documents)
        try:
            yield
        finally:
            self._hidden.reset(token)

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        """The hits of documents that are not hidden."""
        hidden = self._hidden.get()
        found = await self._index.query(name, legs, scope, where, fields)
        # Ids tell whose they are: to read the payloads of all hits takes longer than the search.
        parts = {part_of(uri, scope) for uri in hidden}
        return [[hit for hit in leg if document_part(hit.id) not in parts] for leg in found]
