"""Where a search waits: on the event loop for an index that answers over the network, else in one thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from rag.index.interface import AsyncIndex, Index

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Way:
    """`index` is asked, `apart` makes a call that blocks, `together` awaits coroutines and lists their results."""

    index: AsyncIndex
    apart: Callable[..., Awaitable[Any]]
    together: Callable[..., Awaitable[Any]]


def on_loop(index: AsyncIndex) -> Way:
    """Blocking calls go to worker threads, and what can be waited for at the same time is."""
    return Way(index, asyncio.to_thread, asyncio.gather)


def in_one_thread(index: Index) -> Way:
    """Each call is made where it is awaited, one after the other, and blocks: for `run`.

    An embedded index does one thing at a time anyhow, and every change of thread costs a search time: the more, the
    more threads wait for the interpreter's lock.
    """
    return Way(cast(AsyncIndex, _AtOnce(index)), _at_once, _in_turn)


def run(search: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine that goes `in_one_thread` returns or raises. Blocks: for a worker thread."""
    try:
        search.send(None)
    except StopIteration as done:
        return cast(_T, done.value)
    search.close()
    raise RuntimeError("a search in one thread waited for an event loop")


class _AtOnce:
    """An AsyncIndex whose methods are those of a sync one."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return lambda *args, **kwargs: _at_once(getattr(self._index, name), *args, **kwargs)


async def _at_once(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return call(*args, **kwargs)


async def _in_turn(*parts: Coroutine[Any, Any, Any]) -> list[Any]:
    try:
        return [await each for each in parts]
    finally:
        for each in parts:  # those after one that failed
            each.close()
