"""Calls to a chat model's server that may be made again, and those that are better not made at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rag.breaker import Breaker
from rag.errors import BadInput, ModelDown

Result = TypeVar("Result")


class Trying:
    """Bounded retries behind one breaker, for one server named `shown`.

    The n-th of `retries` waits `first_wait` * 2^(n-1) seconds, less up to half of that at random: callers that failed
    together do not come again together.
    """

    def __init__(self, shown: str, retries: int, first_wait: float, breaker: Breaker) -> None:
        self._shown = shown
        self._retries = retries
        self._first_wait = first_wait
        self._breaker = breaker
        self._last = ""

    async def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of `work`, which is made anew for each attempt.

        Raises what `work` raises, and ModelDown at once while the breaker is open. Of its errors only ModelDown counts
        against the server, and only one with `again` is worth another attempt.
        """
        attempt = 0
        while True:
            if not self._breaker.enter():
                raise self._left_alone()
            try:
                result = await work()
            except ModelDown as error:
                self._last = str(error)
                self._breaker.failed()
                if not error.again or attempt == self._retries or not self._breaker.closed:
                    error.retry_after = self._breaker.wait() or None
                    raise
            except BadInput:
                self._breaker.succeeded()  # it is there, and has read the request
                raise
            except BaseException:
                self._breaker.left()
                raise
            else:
                self._breaker.succeeded()
                return result
            await asyncio.sleep(self._first_wait * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 — no secret
            attempt += 1

    def _left_alone(self) -> ModelDown:
        wait = self._breaker.wait()
        error = ModelDown(
            f"the chat model at {self._shown} failed too often and is asked again in {wait:.0f} s; "
            f"the last failure was: {self._last}"
        )
        error.retry_after = wait
        return error
