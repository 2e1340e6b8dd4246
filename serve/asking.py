"""Where a command's question goes: to a running Librarian that holds the index, or to one made here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from rag.answering import Question, Sources, Text
from rag.filters import Filter, to_json
from rag.index import holder
from rag.schema import Scope
from rag.settings import Settings
from rag.wiring import open_librarian
from serve.answer_shapes import citation_list, context_list
from serve.client import ApiClient
from serve.engine.model import served_folder
from serve.model_names import of_profile
from serve.search_shapes import search_response
from serve.shapes import dropped_list, rounded


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


async def search(settings: Settings, query: str, top_k: int | None, where: Filter | None = None) -> dict[str, Any]:
    """A search's response body, wherever it was answered."""
    url = running_url(settings)
    if url:
        client = ApiClient(url, settings)
        try:
            return await client.search({"query": query, **_options(settings, top_k, where)})
        finally:
            await client.aclose()
    async with open_librarian(settings) as librarian:
        found = await librarian.retriever.search(query, _scope(settings), top_k=top_k, where=where)
    return search_response(found).model_dump()


async def ask(
    settings: Settings, question: str, top_k: int | None, where: Filter | None = None, profile: str | None = None
) -> AsyncGenerator[Given | str | End]:
    """One Given, pieces of text, one End; wherever it was answered. None takes the model in service."""
    url = running_url(settings)
    if url:
        options = _options(settings, top_k, where)
        events = _ask_api(url, settings, question, {**options, "model": of_profile(profile)} if profile else options)
    else:
        events = _ask_here(settings, Question(question, _scope(settings), top_k=top_k, where=where, profile=profile))
    async with aclosing(events):
        async for event in events:
            yield event


async def _ask_api(
    url: str, settings: Settings, question: str, options: dict[str, Any]
) -> AsyncGenerator[Given | str | End]:
    client = ApiClient(url, settings)
    body = {"messages": [{"role": "user", "content": question}], **options}
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


async def _ask_here(settings: Settings, asked: Question) -> AsyncGenerator[Given | str | End]:
    async with open_librarian(settings, served_folder(settings)) as librarian:
        await librarian.model.facts(asked.profile)  # a missing model is said before seconds go into loading the encoder
        async with aclosing(librarian.stream(asked)) as events:
            async for event in events:
                if isinstance(event, Text):
                    yield event.text
                elif isinstance(event, Sources):
                    context = [each.model_dump() for each in context_list(event.passages, None)]
                    yield Given(context)
                else:
                    citations = [each.model_dump() for each in citation_list(event.citations)]
                    dropped = [each.model_dump() for each in dropped_list(event.dropped)]
                    yield End(citations, dropped, event.finish_reason == "abstained", rounded(event.timings_ms))


def _options(settings: Settings, top_k: int | None, where: Filter | None) -> dict[str, Any]:
    """What a request to the API says beside the question."""
    chosen = {"top_k": top_k or settings.top_k, "collection": settings.collection}
    return chosen if where is None else {**chosen, "filter": to_json(where)}


def _scope(settings: Settings) -> Scope:
    return Scope(settings.tenant, frozenset(settings.groups))
