"""A reader that leaves a stream of the chat model: the connection to its server is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from rag.generation import ChatModel, Sampling
from rag.schema import Message
from rag.settings import Settings
from tests.fake_model import FakeModel, wait_until

ASK = [Message("user", "What runs containers?")]

Make = Callable[..., Settings]


@pytest.fixture
def configured(settings: Make, fake_model: FakeModel) -> Make:
    """Settings that point at the stand-in, with a short patience."""
    return lambda **values: settings(**{"llm_url": fake_model.url, "llm_timeout": 20, **values})


class TestLeaving:
    def test_closing_the_iterator_closes_the_connection_on_the_server(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        fake_model.hangs_after = 1

        async def leave() -> bool:
            model = ChatModel(configured())
            async with aclosing(model.stream(ASK, 20, Sampling())) as stream:
                async for delta in stream:
                    if delta.text:
                        break
                assert fake_model.streaming == 1
            return await asyncio.to_thread(wait_until, lambda: fake_model.abandoned == 1)

        assert asyncio.run(leave())
        assert fake_model.streaming == 0

    def test_a_cancelled_task_closes_it_too(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.fail = {}
        fake_model.hangs_after = 0

        async def leave() -> bool:
            model = ChatModel(configured())

            async def ask() -> None:
                async for _ in model.stream(ASK, 20, Sampling()):
                    pass

            task = asyncio.create_task(ask())
            assert await asyncio.to_thread(wait_until, lambda: fake_model.streaming == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(wait_until, lambda: fake_model.abandoned == 1)

        assert asyncio.run(leave())
