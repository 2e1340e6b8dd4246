"""What each caller has left of its limits. Kept in the memory of this process: each replica counts for itself."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import astuple
from itertools import islice
from typing import Literal

from rag.caller_limits import CallerLimits
from rag.errors import LibrarianError
from serve.access.bucket import Bucket
from serve.access.caller import Caller
from serve.metrics import Metrics

# One who did not call for a minute has all of its limits again, so forgetting the longest silent ones forgives nothing
# while fewer than these call in a minute.
MAX_CALLERS = 10_000
CONCURRENT_WAIT = 1.0

# OpenAI's names for them.
HEADERS = tuple(
    f"x-ratelimit-{what}-{name}".encode() for name in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)

Header = tuple[bytes, bytes]
Kind = Literal["requests", "tokens", "concurrent"]


class RateLimited(LibrarianError):
    """The caller has used up one of its limits."""

    code = "rate_limit_exceeded"
    http_status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Account:
    """What one caller has left. For one event loop."""

    def __init__(self, limits: CallerLimits, metrics: Metrics, clock: Callable[[], float]) -> None:
        now = clock()
        self._requests = Bucket(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute, now) if limits.tokens_per_minute else None
        self._places = limits.concurrent_requests or 0
        self._metrics = metrics
        self._clock = clock
        self.inside = 0

    def enter(self) -> None:
        """Begin a request, which takes a place until `leave`. Raises RateLimited; it then has not begun."""
        if self._places and self.inside >= self._places:
            raise self._refused("concurrent", f"{self._places} requests of this caller are at work", CONCURRENT_WAIT)
        now = self._clock()
        if self._requests:
            if wait := self._requests.wait(1, now):
                raise self._refused("requests", f"this caller may send {self._requests.size} requests a minute", wait)
            self._requests.take(1, now)
        self.inside += 1

    def leave(self) -> None:
        """End a request that has begun."""
        self.inside -= 1

    def check_tokens(self) -> None:
        """Raises RateLimited where no token is left. What an answer costs is known when it is over: one is enough."""
        if self._tokens and (wait := self._tokens.wait(1, self._clock())):
            raise self._refused("tokens", f"this caller may use {self._tokens.size} tokens a minute", wait)

    def spend(self, tokens: int) -> None:
        """Take what an answer cost, also where that is more than is left."""
        if self._tokens:
            self._tokens.take(tokens, self._clock())

    def headers(self) -> list[Header]:
        """What is left, in OpenAI's headers; nothing of what has no limit."""
        now = self._clock()
        values: list[object] = []
        for bucket in (self._requests, self._tokens):
            if bucket:
                left = max(0, math.floor(bucket.level(now)))
                values += (bucket.size, left, duration(bucket.wait(bucket.size, now)))
            else:
                values += (None,) * 3
        return [(name, str(value).encode()) for name, value in zip(HEADERS, values, strict=True) if value is not None]

    def _refused(self, kind: Kind, why: str, wait: float) -> RateLimited:
        self._metrics.limited.labels(kind).inc()
        return RateLimited(f"{why}; try again in {math.ceil(wait)} s.", wait)


class Allowances:
    """The accounts of the callers seen lately, `size` at most."""

    def __init__(self, metrics: Metrics, size: int = MAX_CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._size = size
        self._clock = clock
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def account(self, caller: Caller) -> Account:
        """The caller's. One without limits has nothing to remember."""
        found = self._accounts.get(caller.id)
        if found is None:
            found = Account(caller.limits, self._metrics, self._clock)
            if not any(astuple(caller.limits)):
                return found
            self._make_room()
            self._accounts[caller.id] = found
        self._accounts.move_to_end(caller.id)
        return found

    def __len__(self) -> int:
        return len(self._accounts)

    def _make_room(self) -> None:
        """Those silent for longest go; whoever has a request at work stays, or its place would be free twice."""
        silent = (each for each, account in self._accounts.items() if not account.inside)
        for identity in [*islice(silent, max(0, len(self._accounts) + 1 - self._size))]:
            del self._accounts[identity]


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: 20ms, 1.5s, 6m0s; rounded up to a millisecond."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{text}s" if minutes else f"{text}s"
