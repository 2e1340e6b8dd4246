"""The front door for LangChain users: a BaseRetriever and a Runnable over the very path that the service uses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, PrivateAttr

from rag.answering import Librarian, Question, Text
from rag.index.interface import Where
from rag.retrieval import Retriever
from rag.schema import Answer, Passage, Scope

Result = TypeVar("Result")


class _Loop:
    """One event loop in a thread of its own, for callers without one: connections live as long as their loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="librarian-loop", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class LibrarianRetriever(BaseRetriever):
    """`retriever.invoke("a question")` gives LangChain documents, best first, scores and spans in their metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    scope: Scope
    top_k: int | None = None
    where: Where | None = None
    _loop: _Loop | None = PrivateAttr(default=None)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        found = await self.retriever.search(query, self.scope, top_k=self.top_k, where=self.where)
        return [to_langchain(each) for each in found.passages]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        self._loop = self._loop or _Loop()
        found = self._loop.run(self.retriever.search(query, self.scope, top_k=self.top_k, where=self.where))
        return [to_langchain(each) for each in found.passages]


class LibrarianRunnable(RunnableSerializable[str, Answer]):
    """`invoke` and `ainvoke` give the Answer; `stream` and `astream` its text as it comes, then the Answer."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    librarian: Librarian
    scope: Scope
    _loop: _Loop | None = PrivateAttr(default=None)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """The cited answer to a question."""
        self._loop = self._loop or _Loop()
        return self._loop.run(self.ainvoke(input, config, **kwargs))

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """The cited answer to a question."""

        async def answer(question: str) -> Answer:
            return await self.librarian.answer(Question(question, self.scope))

        return await self._acall_with_config(answer, input, config)

    async def astream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """Pieces of text (str), and last the Answer."""
        async with aclosing(self.librarian.stream(Question(input, self.scope))) as events:
            async for event in events:
                if isinstance(event, Text):
                    yield event.text
                elif isinstance(event, Answer):
                    yield event

    def stream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Pieces of text (str), and last the Answer."""
        self._loop = self._loop or _Loop()
        pieces = self.astream(input, config, **kwargs)

        async def following() -> Any:
            return await anext(pieces, None)

        while (piece := self._loop.run(following())) is not None:
            yield piece


def to_langchain(passage: Passage) -> LangChainDocument:
    """A passage as LangChain's Document."""
    return LangChainDocument(
        id=passage.id,
        page_content=passage.text,
        metadata={
            **passage.metadata,
            "source": passage.path,
            "uri": passage.uri,
            "title": passage.title,
            "heading_path": list(passage.heading_path),
            "start": passage.start,
            "end": passage.end,
            "score": passage.score,
        },
    )
