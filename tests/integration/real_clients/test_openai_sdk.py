"""OpenAI's own client and LangChain's over it, set up the way their documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.integration.real_clients.conftest import KEY, QUESTION, TEXT, Service

MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=service.v1, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


def test_it_is_told_of_a_wrong_key(service: Service) -> None:
    with openai.OpenAI(base_url=service.v1, api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"


def test_an_answer_with_its_sources(client: openai.OpenAI, service: Service) -> None:
    answer = client.chat.completions.create(model=client.models.list().data[0].id, messages=MESSAGES)  # type: ignore[arg-type]
    message = answer.choices[0].message
    assert message.content == TEXT
    assert message.annotations is not None
    assert message.annotations[0].url_citation.url == "upload:probes.md"
    assert answer.model_extra is not None
    assert answer.model_extra["context"][0]["source"] == "probes.md"
    assert "keeps traffic from a pod that is not ready" in service.model.chats[-1]["messages"][-1]["content"]


def test_a_stream_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="librarian/documents",
            messages=MESSAGES,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"top_k": 1},
        )
    )
    assert chunks[0].model_extra is not None
    assert len(chunks[0].model_extra["context"]) == 1
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == TEXT
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 17


def test_async_streams_at_once(service: Service) -> None:
    async def one(client: openai.AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(model="librarian", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
        return "".join([each.choices[0].delta.content or "" async for each in stream])

    async def several() -> list[str]:
        async with openai.AsyncOpenAI(base_url=service.v1, api_key=KEY, max_retries=0, timeout=60) as client:
            return await asyncio.gather(*(one(client) for _ in range(4)))

    assert asyncio.run(several()) == [TEXT] * 4


def test_langchain_invokes_and_streams(service: Service) -> None:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    llm = ChatOpenAI(model="librarian", base_url=service.v1, api_key=SecretStr(KEY), max_retries=0, timeout=60)
    assert llm.invoke(QUESTION).text == TEXT
    assert "".join(each.text for each in llm.stream(QUESTION)) == TEXT
    only = llm.bind(extra_body={"filter": {"field": "path", "eq": "quota.md"}})
    only.invoke(QUESTION)
    assert "Kueue admits" in service.model.chats[-1]["messages"][-1]["content"]
    assert "readiness probe" not in service.model.chats[-1]["messages"][-1]["content"]
