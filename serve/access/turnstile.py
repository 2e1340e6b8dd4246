"""How many requests are at work at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import HTTPException, Request

from serve.metrics import Metrics


class Turnstile:
    """Lets a fixed number in; the next is told to come back, so nothing queues without limit."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._inside = 0
        self._metrics = metrics
        metrics.places.set(limit)

    def enter(self) -> None:
        """Raises HTTPException 429 where all places are taken."""
        if self._inside >= self._limit:
            self._metrics.turned_away.inc()
            raise HTTPException(429, f"{self._limit} requests are at work already; try again shortly.")
        self._inside += 1
        self._metrics.active.set(self._inside)

    def leave(self) -> None:
        """Give the place back."""
        self._inside -= 1
        self._metrics.active.set(self._inside)


async def admitted(request: Request) -> AsyncIterator[None]:
    """A place among the requests at work, held for as long as the response is being sent, streams included."""
    turnstile: Turnstile = request.app.state.turnstile
    turnstile.enter()
    try:
        yield
    finally:
        turnstile.leave()
