"""The chat API used through OpenAI's own client and through LangChain."""

from __future__ import annotations

import asyncio

import openai
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT
from tests.integration.api_server import QUESTION, ApiServer, ask


class TestOpenAIsClient:
    def test_a_completion(self, sdk: openai.OpenAI) -> None:
        answer = sdk.chat.completions.create(model="librarian", messages=ask()["messages"])
        message = answer.choices[0].message
        assert message.content == TEXT
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 17
        assert message.annotations is not None
        marked = [each.url_citation for each in message.annotations]
        assert [TEXT[each.start_index : each.end_index] for each in marked] == ["[1]", "[2]"]
        assert answer.model_extra is not None
        assert [each["cited"] for each in answer.model_extra["context"]] == [True, True, False]

    def test_a_stream_with_usage(self, sdk: openai.OpenAI) -> None:
        chunks = list(
            sdk.chat.completions.create(
                model="librarian/handbook",
                messages=ask()["messages"],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == TEXT
        assert [each.choices[0].finish_reason for each in chunks[:-1] if each.choices[0].finish_reason] == ["stop"]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.prompt_tokens == 12
        assert all(each.usage is None for each in chunks[:-1])

    def test_its_stream_helper_gathers_the_whole_completion(self, sdk: openai.OpenAI) -> None:
        with sdk.chat.completions.stream(model="librarian", messages=ask()["messages"]) as events:
            whole = events.get_final_completion()
        assert whole.choices[0].message.content == TEXT
        assert whole.choices[0].finish_reason == "stop"

    def test_many_async_streams_at_once_do_not_mix(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = tuple("abcdefgh"), 0.01

        async def one(client: openai.AsyncOpenAI) -> tuple[set[str], str]:
            ids, text = set(), ""
            async for chunk in await client.chat.completions.create(**ask(stream=True)):
                ids.add(chunk.id)
                text += chunk.choices[0].delta.content or ""
            return ids, text

        async def all_of_them() -> list[tuple[set[str], str]]:
            async with openai.AsyncOpenAI(base_url=api.v1, api_key="any", max_retries=0, timeout=20) as client:
                return await asyncio.gather(*(one(client) for _ in range(8)))

        answers = asyncio.run(all_of_them())
        assert {text for _, text in answers} == {"abcdefgh"}
        assert all(len(ids) == 1 for ids, _ in answers)
        assert len(set.union(*(ids for ids, _ in answers))) == 8

    def test_its_exceptions_are_the_right_ones(self, sdk: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            sdk.chat.completions.create(model="gpt-4o", messages=ask()["messages"])
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as bad:
            sdk.chat.completions.create(model="librarian", messages=ask()["messages"], logprobs=True)
        assert bad.value.param == "logprobs"

    def test_a_broken_stream_is_an_exception_not_a_short_answer(self, sdk: openai.OpenAI, model: FakeModel) -> None:
        model.dies_after = 1
        with pytest.raises(openai.APIError, match="broke off"):
            list(sdk.chat.completions.create(**ask(stream=True)))

    def test_it_lists_the_models(self, sdk: openai.OpenAI) -> None:
        assert [each.id for each in sdk.models.list()] == ["librarian", "librarian/documents", "librarian/handbook"]


class TestLangChain:
    def test_invoke_and_stream(self, api: ApiServer) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        llm = ChatOpenAI(
            model="librarian", base_url=api.v1, api_key=SecretStr("any"), max_retries=0, timeout=20, stream_usage=True
        )
        answer = llm.invoke(QUESTION)
        assert answer.text == TEXT
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["total_tokens"] == 17
        chunks = list(llm.stream(QUESTION))
        assert "".join(each.text for each in chunks) == TEXT
        assert sum(each.usage_metadata["total_tokens"] for each in chunks if each.usage_metadata) == 17

    def test_a_conversation_with_a_system_message(self, api: ApiServer, model: FakeModel) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        llm = ChatOpenAI(model="librarian", base_url=api.v1, api_key=SecretStr("any"), max_retries=0, timeout=20)
        answer = asyncio.run(
            llm.ainvoke([("system", "Be brief."), ("human", "Hi"), ("ai", "Hi!"), ("human", QUESTION)])
        )
        assert answer.text == TEXT
        assert [each["role"] for each in model.chats[-1]["messages"]] == ["system", "user", "assistant", "user"]
