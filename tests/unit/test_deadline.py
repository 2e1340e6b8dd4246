"""One deadline over many waits: it ends the wait that it falls into and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from serve.deadline import Deadline


async def numbers(*, hangs: bool = False) -> AsyncGenerator[int]:
    yield 1
    if hangs:
        await asyncio.Event().wait()
    yield 2


def in_seconds(seconds: float) -> Deadline:
    return Deadline(asyncio.get_running_loop().time() + seconds)


async def collected(deadline: Deadline, items: AsyncGenerator[int]) -> list[int]:
    found = []
    while (item := await deadline.next(items)) is not None:
        found.append(item)
    return found


def test_before_it_items_come_to_the_end() -> None:
    async def run() -> list[int]:
        deadline = in_seconds(60)
        try:
            return await collected(deadline, numbers())
        finally:
            deadline.close()

    assert asyncio.run(run()) == [1, 2]


def test_a_wait_that_it_falls_into_is_a_timeout_and_the_task_goes_on() -> None:
    async def run() -> int:
        items = numbers(hangs=True)
        deadline = in_seconds(0.05)
        assert await deadline.next(items) == 1
        with pytest.raises(TimeoutError):
            await deadline.next(items)
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return task.cancelling()

    assert asyncio.run(run()) == 0


def test_where_it_passes_between_two_waits_only_the_next_wait_ends() -> None:
    async def run() -> None:
        items = numbers()
        deadline = in_seconds(0)
        for _ in range(3):
            await asyncio.sleep(0)  # the loop rings the timer while nobody waits: nothing is cancelled
        with pytest.raises(TimeoutError):
            await deadline.next(items)
        assert [each async for each in items] == [1, 2]

    asyncio.run(run())


def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    async def run() -> bool:
        deadline = in_seconds(60)
        task = asyncio.create_task(collected(deadline, numbers(hangs=True)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline.close()
        return task.cancelled()

    assert asyncio.run(run())


def test_both_at_once_is_a_cancellation() -> None:
    async def run() -> bool:
        loop = asyncio.get_running_loop()
        moment = loop.time() + 0.02  # one for both: timers of the same moment ring in the same round of the loop
        deadline = Deadline(moment)
        task = asyncio.create_task(collected(deadline, numbers(hangs=True)))
        loop.call_at(moment, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(run())


def test_an_error_of_the_items_comes_through() -> None:
    async def failing() -> AsyncGenerator[int]:
        raise KeyError("x")
        yield 1

    async def run() -> None:
        deadline = in_seconds(60)
        with pytest.raises(KeyError):
            await deadline.next(failing())
        deadline.close()

    asyncio.run(run())
