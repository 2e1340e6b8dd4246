"""The front door for LangChain users: a BaseRetriever and a Runnable over the very path that the service uses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import httpx2
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import BeforeValidator, ConfigDict, Field, SecretStr

from rag.answering import Librarian, Question, Text
from rag.filters import Filter, from_json, from_text
from rag.retrieval import Retriever
from rag.schema import Answer, Passage, Scope
from rag.settings import Settings
from rag.urls import is_loopback
from rag.wiring import open_librarian

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

Result = TypeVar("Result")


def _read_filter(given: Any) -> Filter | None:
    if given is None or isinstance(given, Filter):
        return given
    return from_text(given) if isinstance(given, str) else from_json(given)


# A dict as the API takes it, a text as the terminal takes it, or a Filter; BadInput for what is none of them.
GivenFilter = Annotated[Any, BeforeValidator(_read_filter)]


class Loop:
    """One event loop in a thread of its own, on which everything here runs, whoever calls and from wherever.

    Connections live as long as the loop that opened them; a script's calls come from many short-lived loops or none.
    A retriever and a runnable that share an index or a model must share their loop too (see `connect`).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="librarian-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for the result in a thread without a loop of its own."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def arun(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for the result on another loop; cancelling the wait cancels the work."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """End the thread and the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class LibrarianRetriever(BaseRetriever):
    """`retriever.invoke("a question")` gives LangChain documents, best first, scores and spans in their metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    scope: Scope
    top_k: int | None = None
    filter: GivenFilter = None
    loop: Loop = Field(default_factory=Loop, exclude=True)

    async def _search(self, query: str) -> list[LangChainDocument]:
        found = await self.retriever.search(query, self.scope, top_k=self.top_k, where=self.filter)
        return [to_langchain(each) for each in found.passages]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        return await self.loop.arun(self._search(query))

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        return self.loop.run(self._search(query))


class LibrarianRunnable(RunnableSerializable[str, Answer]):
    """`invoke` and `ainvoke` give the Answer; `stream` and `astream` its text as it comes, then the Answer."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    librarian: Librarian
    scope: Scope
    filter: GivenFilter = None
    loop: Loop = Field(default_factory=Loop, exclude=True)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """The cited answer to a question."""

        def answer(question: str) -> Answer:
            return self.loop.run(self.librarian.answer(self._question(question)))

        return self._call_with_config(answer, input, config)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """The cited answer to a question."""

        async def answer(question: str) -> Answer:
            return await self.loop.arun(self.librarian.answer(self._question(question)))

        return await self._acall_with_config(answer, input, config)

    def _question(self, text: str) -> Question:
        return Question(text, self.scope, where=self.filter)

    async def _pieces(self, question: str) -> AsyncGenerator[str | Answer]:
        async with aclosing(self.librarian.stream(self._question(question))) as events:
            async for event in events:
                if isinstance(event, Text):
                    yield event.text
                elif isinstance(event, Answer):
                    yield event

    async def astream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """Pieces of text (str), and last the Answer. Closing it stops the model."""
        pieces = self._pieces(input)
        try:
            while (piece := await self.loop.arun(_next(pieces))) is not None:
                yield piece
        finally:
            await self.loop.arun(pieces.aclose())

    def stream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Pieces of text (str), and last the Answer. Closing it stops the model."""
        pieces = self._pieces(input)
        try:
            while (piece := self.loop.run(_next(pieces))) is not None:
                yield piece
        finally:
            self.loop.run(pieces.aclose())


async def _next(pieces: AsyncGenerator[str | Answer]) -> str | Answer | None:
    return await anext(pieces, None)


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """Both ways in, over one index, one model and one loop."""

    retriever: LibrarianRetriever
    answers: LibrarianRunnable
    settings: Settings

    def chat_model(self) -> ChatOpenAI:
        """The chat model behind the answers as LangChain's own client, for chains around the retriever.

        Its prompts are the chain's business: no budget, no citations. Raises ModelUnavailable.
        """
        from langchain_openai import ChatOpenAI

        model, key = self.answers.librarian.model, self.settings.llm_api_key
        trust_env = not is_loopback(model.url)
        return ChatOpenAI(
            model=self.answers.loop.run(model.facts()).name,
            base_url=model.url,
            api_key=key or SecretStr("none"),
            temperature=self.settings.temperature,
            timeout=self.settings.llm_timeout,
            stream_usage=True,
            http_client=httpx2.Client(trust_env=trust_env),
            http_async_client=httpx2.AsyncClient(trust_env=trust_env),
        )


@contextmanager
def connect(settings: Settings, scope: Scope | None = None) -> Iterator[FrontDoor]:
    """Open the settings' index and model for LangChain; both are let go at the end.

    `scope` is the reader; default: the settings' tenant and groups. Raises IndexLocked or IndexUnavailable.
    """
    reader = scope or Scope(settings.tenant, frozenset(settings.groups))
    loop = Loop()
    opened = open_librarian(settings)
    try:
        librarian = loop.run(opened.__aenter__())
        try:
            yield FrontDoor(
                LibrarianRetriever(retriever=librarian.retriever, scope=reader, loop=loop),
                LibrarianRunnable(librarian=librarian, scope=reader, loop=loop),
                settings,
            )
        finally:
            loop.run(opened.__aexit__(None, None, None))
    finally:
        loop.close()


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
