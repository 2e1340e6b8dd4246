"""Connections over which no request comes: uvicorn closes those that were quiet since their last answer, but waits
for ever for the first request, or for the rest of one that has begun."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Idle:
    """Remembers since when each connection has had nothing to answer."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long that may be."""
        self._seconds = seconds
        self._since: dict[tuple[Any, Any], float] = {}

    def close_overdue(self, connections: Iterable[Any], now: float) -> None:
        """Close uvicorn's `connections` that have been idle too long by `now`, in seconds of any clock."""
        # A connection that served a request meanwhile has another cycle.
        idle = [(each, each.cycle) for each in connections if each.cycle is None or each.cycle.response_complete]
        self._since = {each: self._since.get(each, now) for each in idle}
        for (connection, _), since in self._since.items():
            if now - since > self._seconds:
                connection.shutdown()
