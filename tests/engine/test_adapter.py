"""The real engine with the adapter that comes with Librarian, joined into its model as it is on a CPU."""

from __future__ import annotations

import asyncio

import pytest

from rag.generation import ChatModel, ModelFacts, Sampling
from rag.schema import Message
from rag.settings import Settings
from rag.tuning.adapter.packaged import NAME, packaged_adapter
from serve.engine.process import Engine

pytestmark = pytest.mark.skipif(packaged_adapter() is None, reason="this build comes without an adapter")


def test_the_packaged_adapter_is_what_the_local_engine_answers_with(engine: Engine, settings: Settings) -> None:
    async def asked() -> tuple[ModelFacts, str]:
        model = ChatModel(settings)
        try:
            said = [
                each.text
                async for each in model.stream([Message("user", "What is a pod?")], 8, Sampling(temperature=0))
            ]
            return await model.facts(), "".join(said)
        finally:
            await model.aclose()

    facts, text = asyncio.run(asked())
    assert facts.name == NAME
    assert facts.window == settings.engine_context_tokens
    assert text.strip()
