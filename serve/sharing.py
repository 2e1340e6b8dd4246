"""Calls of the same name at the same time are one call, whose result they all get."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """For callers on one event loop. A call goes on where a caller of it leaves; a result is kept for nobody."""

    def __init__(self) -> None:
        self._going: dict[str, asyncio.Task[_T]] = {}

    async def call(self, name: str, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """What the call of that name returns or raises that is going on, else a new one, made by `make`."""
        task = self._going.get(name)
        if task is None:
            task = self._going[name] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._going.pop(name))
        return await asyncio.shield(task)
