"""How many requests are at work at once, and how much of that is one caller's."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import HTTPException, Request

from serve.access.allowance import Account, Allowances
from serve.access.callers import identify
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
    """A place among the requests at work, and one of the caller's, held for as long as the response is being sent,
    streams included. Raises what `identify` raises, HTTPException 429 and RateLimited."""
    turnstile: Turnstile = request.app.state.turnstile
    allowances: Allowances = request.app.state.allowances
    turnstile.enter()  # before the caller is known: looking a key up is work too
    try:
        account = request.state.account = allowances.account(await identify(request))
        try:
            account.enter()
        finally:
            request.state.headers = account.headers()
        try:
            yield
        finally:
            account.leave()
    finally:
        turnstile.leave()


def account_of(request: Request) -> Account:
    """The account of the caller of a request that was admitted."""
    account: Account = request.state.account
    return account
