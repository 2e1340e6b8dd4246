"""Where a command's question goes: to a running Librarian that holds the index, or to one made here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from rag.answering import Question, Sources, Text
from rag.index import holder
from rag.schema import Scope
from rag.settings import Settings
from rag.wiring import open_librarian
from serve import shapes
from serve.client import ApiClient
from serve.engine.model import served_folder


@dataclass(frozen=True, slots=True)
class Given:
    """The numbered passages that the model was given, as ContextPassage dicts."""

    context: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class End:
    """What is known once an answer is complete."""

    citations: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    abstained: bool
    timings_ms: dict[str, float]


def running_url(settings: Settings) -> str | None:
    """The API to ask: the one named by `api_url`, or a server on this machine that holds the embedded index."""
    if settings.api_url or settings.qdrant_url:
        return settings.api_url
    held = holder(settings)
    return held.url if held else None


async def search(settings: Settings, query: str, top_k: int | None) -> dict[str, Any]:
    """A search's response body, wherever it was answered."""
    url = running_url(settings)
    if url:
        client = ApiClient(url, settings)
        try:
            return await client.search(
                {"query": query, "top_k": top_k or settings.top_k, "collection": settings.collection}
            )
        finally:
            await client.aclose()
    async with open_librarian(settings) as librarian:
        found = await librarian.retriever.search(query, _scope(settings), top_k=top_k)
    return shapes.search_response(found).model_dump()


async def ask(settings: Settings, question: str, top_k: int | None) -> AsyncGenerator[Given | str | End]:
    """One Given, pieces of text, one End; wherever it was answered."""
    url = running_url(settings)
    events = _ask_api(url, settings, question, top_k) if url else _ask_here(settings, question, top_k)
    async with aclosing(events):
        async for event in events:
            yield event


async def _ask_api(url: str, settings: Settings, question: str, top_k: int | None) -> AsyncGenerator[Given | str | End]:
    client = ApiClient(url, settings)
    body = {
        "messages": [{"role": "user", "content": question}],
        "top_k": top_k or settings.top_k,
        "collection": settings.collection,
    }
    try:
        async with aclosing(client.chat(body)) as chunks:
            async for chunk in chunks:
                if "context" in chunk:
                    yield Given(chunk["context"])
                for choice in chunk["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]
                if "citations" in chunk:
                    yield End(chunk["citations"], chunk["dropped"], chunk["abstained"], chunk["timings_ms"])
    finally:
        await client.aclose()


async def _ask_here(settings: Settings, question: str, top_k: int | None) -> AsyncGenerator[Given | str | End]:
    async with open_librarian(settings, served_folder(settings)) as librarian:
        await librarian.model.facts()  # a missing model is said before seconds go into loading the encoder
        asked = Question(question, _scope(settings), top_k=top_k)
        async with aclosing(librarian.stream(asked)) as events:
            async for event in events:
                if isinstance(event, Text):
                    yield event.text
                elif isinstance(event, Sources):
                    context = [each.model_dump() for each in shapes.context_list(event.passages, None)]
                    yield Given(context)
                else:
                    citations = [each.model_dump() for each in shapes.citation_list(event.citations)]
                    dropped = [each.model_dump() for each in shapes.dropped_list(event.dropped)]
                    yield End(citations, dropped, event.finish_reason == "abstained", shapes.rounded(event.timings_ms))


def _scope(settings: Settings) -> Scope:
    return Scope(settings.tenant, frozenset(settings.groups))
