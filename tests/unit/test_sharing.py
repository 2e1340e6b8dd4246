"""Calls of the same name at the same time are one call."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from serve.sharing import Shared


class Counted:
    """A call that lasts until it is let go."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.made = 0
        self.failure = failure
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await self.go.wait()
        if self.failure:
            raise self.failure
        return number


def test_those_that_come_meanwhile_get_the_first_ones_result() -> None:
    async def many() -> None:
        shared, call = Shared[int](), Counted()
        waiting = [asyncio.create_task(shared.call("a", call)) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.go.set()
        assert await asyncio.gather(*waiting) == [1] * 100

    asyncio.run(many())


def test_the_next_one_is_a_new_call() -> None:
    async def two() -> None:
        shared, call = Shared[int](), Counted()
        call.go.set()
        assert [await shared.call("a", call) for _ in range(3)] == [1, 2, 3]

    asyncio.run(two())


def test_other_names_are_other_calls() -> None:
    async def two() -> None:
        shared, call = Shared[int](), Counted()
        call.go.set()
        assert sorted(await asyncio.gather(shared.call("a", call), shared.call("b", call))) == [1, 2]

    asyncio.run(two())


def test_one_that_leaves_ends_it_for_nobody() -> None:
    async def leaving() -> None:
        shared, call = Shared[int](), Counted()
        first, second = (asyncio.create_task(shared.call("a", call)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        call.go.set()
        assert await second == 1

    asyncio.run(leaving())


def test_a_failure_is_everyones_and_not_the_next_ones() -> None:
    async def failing() -> None:
        shared, call = Shared[int](), Counted(OSError("gone"))
        waiting = [asyncio.create_task(shared.call("a", call)) for _ in range(3)]
        await asyncio.sleep(0)
        call.go.set()
        assert {type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)} == {OSError}
        call.failure = None
        assert await shared.call("a", call) == 2

    asyncio.run(failing())
