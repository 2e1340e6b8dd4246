"""Where a command reads feedback: in the index itself, or through the server that holds the embedded one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rag.errors import IndexLocked
from rag.feedback import Feedback, FeedbackStore, Wanted, everything, from_fields, with_texts
from rag.index import Index, holder, open_index
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings
from serve.holder_client import HolderClient, calling

PAGE = 500


class Reading(Protocol):
    """Everything that was said in the settings' tenant."""

    def read(self, wanted: Wanted) -> list[Feedback]:
        """Newest first, with the passages' texts as they are indexed now."""
        ...


@contextmanager
def reading(settings: Settings) -> Iterator[Reading]:
    """The feedback in these settings' index. Raises IndexLocked where a process that does not serve holds it."""
    try:
        index = open_index(settings)
    except IndexLocked:
        held = holder(settings)
        if held is None or held.url is None:
            raise
        with calling(held) as server:
            yield _Remote(server, settings.tenant)
        return
    try:
        yield _Here(index, settings)
    finally:
        index.close()


class _Here:
    def __init__(self, index: Index, settings: Settings) -> None:
        self._index = index
        self._store = FeedbackStore(Records(index), math.inf)  # for how long it is kept is the service's to say
        self._scope = Scope.owner(settings.tenant)

    def read(self, wanted: Wanted) -> list[Feedback]:
        found = list(everything(self._store, self._scope, wanted, PAGE))
        return with_texts(self._index, found, self._scope)


class _Remote:
    def __init__(self, server: HolderClient, tenant: str) -> None:
        self._server = server
        self._tenant = tenant

    def read(self, wanted: Wanted) -> list[Feedback]:
        query: dict[str, Any] = {"tenant": self._tenant, "limit": PAGE, "include_text": True}
        query["verified"] = wanted.verified
        if wanted.rating:
            query["rating"] = wanted.rating
        found: list[Feedback] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._server.call("GET", "/v1/feedback", query={**query, "cursor": cursor})
            found.extend(from_fields(each) for each in page["data"])
            cursor = page["next_cursor"]
        return found
