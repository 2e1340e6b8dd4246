"""Who answers the tools: a Librarian of this process, or a running service."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from rag.answering import Librarian, Question
from rag.schema import Scope
from rag.settings import Settings
from serve.answer_shapes import citation_list, context_list
from serve.client import ApiClient
from serve.mcp_tools import AnswerResult
from serve.metrics import Metrics
from serve.search_shapes import SearchResponse, search_response


class OwnDesk:
    """A Librarian, for one reader. Searches are counted in `metrics`; answers are by a Librarian that is watched."""

    def __init__(self, librarian: Librarian, scope: Scope, seconds: float, metrics: Metrics) -> None:
        self._librarian = librarian
        self._scope = scope
        self._seconds = seconds
        self._metrics = metrics

    async def search(self, query: str, collection: str | None, top_k: int | None) -> SearchResponse:
        """As in Desk."""
        with self._metrics.counting_failures():
            async with asyncio.timeout(self._seconds):
                found = await self._librarian.retriever.search(query, self._scope, collection=collection, top_k=top_k)
        self._metrics.count_search(found)
        return search_response(found)

    async def answer(self, question: str, collection: str | None, top_k: int | None) -> AnswerResult:
        """As in Desk."""
        asked = Question(question, self._scope, collection=collection, top_k=top_k)
        async with asyncio.timeout(self._seconds):
            found = await self._librarian.answer(asked)
        return AnswerResult(
            answer=found.text,
            abstained=found.finish_reason == "abstained",
            citations=citation_list(found.citations),
            context=context_list(found.sources, found.citations),
        )


class RemoteDesk:
    """A running service, with its access checks, limits and counts."""

    def __init__(self, client: ApiClient, settings: Settings) -> None:
        self._client = client
        self._collection = settings.collection

    async def search(self, query: str, collection: str | None, top_k: int | None) -> SearchResponse:
        """As in Desk."""
        body = self._body(collection, top_k)
        return SearchResponse.model_validate(await self._client.search({"query": query, **body}))

    async def answer(self, question: str, collection: str | None, top_k: int | None) -> AnswerResult:
        """As in Desk."""
        body = {"messages": [{"role": "user", "content": question}], **self._body(collection, top_k)}
        text = ""
        last: dict[str, Any] = {}
        context: list[dict[str, Any]] = []
        async with aclosing(self._client.chat(body)) as chunks:
            async for chunk in chunks:
                context = chunk.get("context", context)
                text += "".join(each["delta"].get("content") or "" for each in chunk["choices"])
                last = chunk if "citations" in chunk else last
        cited = {each["number"] for each in last.get("citations", ())}
        return AnswerResult.model_validate(
            {
                "answer": text,
                "abstained": last.get("abstained", False),
                "citations": last.get("citations", []),
                "context": [{**each, "cited": each["number"] in cited} for each in context],
            }
        )

    def _body(self, collection: str | None, top_k: int | None) -> dict[str, Any]:
        body: dict[str, Any] = {"collection": collection or self._collection}
        return body if top_k is None else {**body, "top_k": top_k}
