"""A circuit breaker: whoever has failed again and again is left alone for some seconds, then asked by one call only.

closed ─ N failures in a row ─▶ open ─ seconds pass ─▶ half-open: one call is let in ─ it succeeds ─▶ closed
                                  ▲────────────────────────── it fails ─┘
"""

from __future__ import annotations

import time
from collections.abc import Callable

PROBE_SECONDS = 1.0  # what those are told who come while the one call of a half-open breaker is under way


class Breaker:
    """Opens after `failures` in a row, for `seconds`. For one event loop or thread; `clock` counts seconds."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._in_a_row = 0
        self._until: float | None = None  # the clock's time at which an open breaker lets one call in
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether calls go through as they come."""
        return self._until is None

    def wait(self) -> float:
        """Seconds until a call may be made; 0: now."""
        if self._until is None:
            return 0.0
        if self._probing:
            return PROBE_SECONDS
        return max(0.0, self._until - self._clock())

    def enter(self) -> bool:
        """Whether a call may be made now. Each one let in is ended by `succeeded`, `failed` or `left`."""
        if self.wait() > 0:
            return False
        self._probing = self._until is not None
        return True

    def succeeded(self) -> None:
        """The call was answered: the breaker is closed."""
        self._in_a_row, self._until, self._probing = 0, None, False

    def failed(self) -> None:
        """The call failed. Calls from before an open breaker opened tell nothing new and do not prolong it."""
        self._in_a_row += 1
        if self._probing or (self._until is None and self._in_a_row >= self._limit):
            self._until, self._probing = self._clock() + self._seconds, False

    def left(self) -> None:
        """The call ended without telling anything, as where its client left: the next one may be made."""
        self._probing = False
