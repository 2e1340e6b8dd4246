"""What a chat model's failures cost: tried again before the first token, never after it, and left alone in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rag.errors import BadInput, ModelDown, ModelUnavailable
from rag.generation import ChatModel, Sampling
from rag.schema import Message
from rag.settings import Settings
from tests.fake_model import Failure, FakeModel

ASK = [Message("user", "What runs containers?")]

Make = Callable[..., Settings]


@pytest.fixture
def configured(settings: Make, fake_model: FakeModel) -> Make:
    """Settings that point at the stand-in, and do not wait between attempts."""
    return lambda **values: settings(**{"llm_url": fake_model.url, "llm_timeout": 20, "llm_retry_wait": 0.01, **values})


async def said(model: ChatModel) -> str:
    return "".join([each.text async for each in model.stream(ASK, 20, Sampling())])


def with_model(settings: Settings, work: Callable[[ChatModel], Any]) -> Any:
    async def run() -> Any:
        model = ChatModel(settings)
        try:
            return await work(model)
        finally:
            await model.aclose()

    return asyncio.run(run())


class TestRetries:
    @pytest.mark.parametrize("how", [502, 503, 504, "drop"])
    def test_a_server_that_recovers_before_the_first_token_answers(
        self, configured: Make, fake_model: FakeModel, how: Failure
    ) -> None:
        fake_model.fail, fake_model.recovers_after = {"chat": how}, 2
        assert with_model(configured(), said) == "Kubernetes runs containers [1]."
        assert len(fake_model.chats) == 3

    def test_so_does_one_that_died_after_its_headers(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.dies_after, fake_model.recovers_after = 0, 1
        assert with_model(configured(), said) == "Kubernetes runs containers [1]."

    @pytest.mark.parametrize(("how", "attempts"), [(503, 3), (500, 1), (429, 1), (401, 1), ("garbage", 1)])
    def test_attempts_are_bounded_and_only_made_where_they_may_help(
        self, configured: Make, fake_model: FakeModel, how: Failure, attempts: int
    ) -> None:
        fake_model.fail = {"chat": how}
        with pytest.raises(ModelUnavailable):
            with_model(configured(), said)
        assert len(fake_model.chats) == attempts

    def test_after_a_token_nothing_is_asked_twice(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.dies_after = 1
        with pytest.raises(ModelUnavailable):
            with_model(configured(), said)
        assert len(fake_model.chats) == 1

    def test_a_server_that_is_silent_is_not_waited_for_again(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.fail = {"chat": "hang"}
        with pytest.raises(ModelDown, match="sent nothing"):
            with_model(configured(llm_timeout=0.3), said)
        assert len(fake_model.chats) == 1


class TestTheBreaker:
    def test_it_opens_and_the_server_is_left_alone(self, configured: Make, fake_model: FakeModel) -> None:
        async def ask(model: ChatModel) -> ModelDown:
            for _ in range(3):
                with pytest.raises(ModelDown) as caught:
                    await said(model)
            return caught.value

        fake_model.fail = {"chat": 500}
        error = with_model(configured(llm_breaker_failures=2, llm_breaker_seconds=60), ask)
        assert len(fake_model.chats) == 2
        assert "failed too often" in str(error)
        assert "status 500" in str(error)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 60

    def test_it_closes_where_the_one_call_it_lets_in_is_answered(self, configured: Make, fake_model: FakeModel) -> None:
        async def ask(model: ChatModel) -> list[str]:
            with pytest.raises(ModelDown):
                await said(model)
            fake_model.fail = {}
            await asyncio.sleep(0.1)
            return [await said(model) for _ in range(2)]

        fake_model.fail = {"chat": 500}
        assert len(with_model(configured(llm_breaker_failures=1, llm_breaker_seconds=0.1), ask)) == 2

    def test_a_caller_whose_request_is_refused_does_not_open_it(self, configured: Make, fake_model: FakeModel) -> None:
        async def ask(model: ChatModel) -> None:
            for _ in range(4):
                with pytest.raises(BadInput):
                    await said(model)

        fake_model.fail = {"chat": 400}
        with_model(configured(llm_breaker_failures=1), ask)
        assert len(fake_model.chats) == 4

    def test_it_holds_for_a_server_that_is_not_there_at_all(self, configured: Make, fake_model: FakeModel) -> None:
        async def ask(model: ChatModel) -> str:
            for _ in range(2):
                with pytest.raises(ModelDown) as caught:
                    await model.facts()
            return str(caught.value)

        fake_model.stop()
        assert "failed too often" in with_model(configured(llm_breaker_failures=1, llm_breaker_seconds=60), ask)
