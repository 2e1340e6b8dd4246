"""One deadline over many waits. asyncio's timeouts make and cancel a timer for each wait, which here is each token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

Item = TypeVar("Item")


class Deadline:
    """The event loop's time `end`, at which a wait ends. Between two waits nothing is cancelled. For one task."""

    def __init__(self, end: float) -> None:
        self._waiting: asyncio.Task[object] | None = None
        self._passed = False
        self._timer = asyncio.get_running_loop().call_at(end, self._pass)

    async def next(self, items: AsyncIterator[Item]) -> Item | None:
        """The next item, None at the end. Raises TimeoutError where the deadline comes first, or has come."""
        if self._passed:
            raise TimeoutError
        task = self._waiting = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline cancels the task that waits: there must be one")
        before = task.cancelling()
        try:
            return await anext(items, None)
        except asyncio.CancelledError as error:
            if self._passed and task.cancelling() - 1 <= before:  # as asyncio.Timeout does: nobody else cancelled it
                raise TimeoutError from error
            raise
        finally:
            self._waiting = None
            if self._passed:
                task.uncancel()

    def close(self) -> None:
        """Let go of the timer."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._waiting:
            self._waiting.cancel()
