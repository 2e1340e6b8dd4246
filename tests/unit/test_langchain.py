"""LangChain's way in: the retriever and the runnable, sync and async, alone and in chains."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from rag.answering import Librarian
from rag.errors import BadInput, CollectionNotFound
from rag.filters import Equals, Not
from rag.generation import ChatModel
from rag.langchain import FrontDoor, LibrarianRetriever, LibrarianRunnable, connect, to_langchain
from rag.retrieval import Retriever
from rag.schema import Answer, Passage, Scope, SearchResult
from rag.settings import Settings
from tests.conftest import make_passage
from tests.fake_model import FakeModel, wait_until

PASSAGES = (
    make_passage("Pods run.", 1, heading_path=("A", "B"), metadata={"language": "en", "source": "not the path"}),
    make_passage("Nodes host.", 2),
)
SAID = "Kubernetes runs containers [1]."


class Finder(Retriever):
    """Stands for a Retriever over an index: finds the two passages, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def search(self, query: str, scope: Scope, **options: Any) -> SearchResult:
        if not query.strip():
            raise BadInput("the question is empty; ask something.")
        self.asked.append((query, scope, options))
        await asyncio.sleep(0)  # like a real one it gives way to the loop
        return SearchResult(query, "documents", PASSAGES, 0.9, {})


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def retriever(finder: Finder) -> LibrarianRetriever:
    return LibrarianRetriever(retriever=finder, scope=Scope("acme"), top_k=5, filter={"field": "path", "eq": "x"})


@pytest.fixture
def runnable(finder: Finder, fake_model: FakeModel, settings: Callable[..., Settings]) -> LibrarianRunnable:
    configured = settings(llm_url=fake_model.url, llm_timeout=20)
    librarian = Librarian(finder, ChatModel(configured), configured)
    return LibrarianRunnable(librarian=librarian, scope=Scope("acme"))


def paths(documents: list[Document]) -> list[str]:
    return [each.metadata["source"] for each in documents]


class TestRetriever:
    def test_invoke_gives_documents_best_first(self, retriever: LibrarianRetriever) -> None:
        assert paths(retriever.invoke("What runs?")) == ["docs/1.md", "docs/2.md"]

    def test_ainvoke_gives_the_same(self, retriever: LibrarianRetriever) -> None:
        assert asyncio.run(retriever.ainvoke("What runs?")) == retriever.invoke("What runs?")

    def test_scope_number_and_conditions_are_its_own(self, retriever: LibrarianRetriever, finder: Finder) -> None:
        retriever.invoke("What runs?")
        assert finder.asked == [("What runs?", Scope("acme"), {"top_k": 5, "where": Equals("path", "x")})]

    def test_a_filter_is_given_as_a_dict_a_text_or_itself(self, finder: Finder) -> None:
        for given in ({"not": {"field": "team", "eq": "web"}}, "team != web", Not(Equals("team", "web"))):
            made = LibrarianRetriever(retriever=finder, scope=Scope("acme"), filter=given)
            assert made.filter == Not(Equals("metadata.team", "web"))
            made.loop.close()

    def test_a_filter_that_is_none_is_refused_when_the_retriever_is_made(self, finder: Finder) -> None:
        for given in ("team ==", {"field": "groups", "eq": "staff"}, ["team"]):
            with pytest.raises(BadInput, match="filter"):
                LibrarianRetriever(retriever=finder, scope=Scope("acme"), filter=given)

    def test_invoke_works_inside_a_running_loop(self, retriever: LibrarianRetriever) -> None:
        async def inside() -> list[Document]:
            return retriever.invoke("What runs?")

        assert paths(asyncio.run(inside())) == ["docs/1.md", "docs/2.md"]

    def test_it_can_be_invoked_again_and_again_and_for_many_at_once(self, retriever: LibrarianRetriever) -> None:
        assert [paths(each) for each in retriever.batch(["a", "b", "c"])] == [["docs/1.md", "docs/2.md"]] * 3

    def test_an_error_stays_what_it_is(self, retriever: LibrarianRetriever) -> None:
        with pytest.raises(BadInput, match="the question is empty"):
            retriever.invoke(" ")

    def test_it_stands_in_a_chain(self, retriever: LibrarianRetriever) -> None:
        chain = retriever | RunnableLambda(paths)
        assert chain.invoke("What runs?") == ["docs/1.md", "docs/2.md"]
        assert asyncio.run(chain.ainvoke("What runs?")) == ["docs/1.md", "docs/2.md"]


class TestDocuments:
    def test_a_document_carries_text_place_and_score(self) -> None:
        passage: Passage = PASSAGES[0]
        document = to_langchain(passage)
        assert (document.id, document.page_content) == (passage.id, "Pods run.")
        assert document.metadata == {
            "language": "en",
            "source": "docs/1.md",
            "uri": "file:///docs/1.md",
            "title": "Document 1",
            "heading_path": ["A", "B"],
            "start": 0,
            "end": 9,
            "score": 1.0,
        }


class TestRunnable:
    def test_invoke_gives_the_cited_answer(self, runnable: LibrarianRunnable) -> None:
        answer = runnable.invoke("What runs?")
        assert isinstance(answer, Answer)
        assert (answer.text, [each.number for each in answer.citations]) == (SAID, [1])

    def test_ainvoke_gives_it_too(self, runnable: LibrarianRunnable) -> None:
        assert asyncio.run(runnable.ainvoke("What runs?")).text == SAID

    def test_stream_gives_text_and_last_the_answer(self, runnable: LibrarianRunnable) -> None:
        *pieces, answer = runnable.stream("What runs?")
        assert all(isinstance(each, str) for each in pieces)
        assert "".join(pieces) == answer.text == SAID

    def test_astream_gives_the_same(self, runnable: LibrarianRunnable) -> None:
        async def collect() -> list[Any]:
            return [each async for each in runnable.astream("What runs?")]

        *pieces, answer = asyncio.run(collect())
        assert "".join(pieces) == answer.text == SAID

    def test_the_first_piece_does_not_wait_for_the_last(
        self, runnable: LibrarianRunnable, fake_model: FakeModel
    ) -> None:
        fake_model.hangs_after = 1
        assert next(iter(runnable.stream("What runs?"))) == "Kubernetes runs "

    def test_sync_calls_work_inside_a_running_loop(self, runnable: LibrarianRunnable) -> None:
        async def inside() -> tuple[str, str]:
            *_, last = runnable.stream("What runs?")
            return runnable.invoke("What runs?").text, last.text

        assert asyncio.run(inside()) == (SAID, SAID)

    def test_it_can_be_asked_again_and_again(self, runnable: LibrarianRunnable) -> None:
        assert [runnable.invoke("What runs?").text for _ in range(3)] == [SAID] * 3

    def test_an_error_stays_what_it_is(self, runnable: LibrarianRunnable) -> None:
        with pytest.raises(BadInput):
            runnable.invoke("")
        with pytest.raises(BadInput):
            list(runnable.stream(""))

    @pytest.mark.parametrize("how", ["closed", "forgotten"])
    def test_leaving_a_sync_stream_closes_the_models_connection(
        self, runnable: LibrarianRunnable, fake_model: FakeModel, how: str
    ) -> None:
        fake_model.hangs_after = 1
        pieces: Iterator[Any] = runnable.stream("What runs?")
        next(pieces)
        assert fake_model.streaming == 1
        if how == "closed":
            pieces.close()  # type: ignore[attr-defined]
        del pieces
        gc.collect()
        assert wait_until(lambda: fake_model.abandoned == 1)

    def test_leaving_an_async_stream_closes_it_too(self, runnable: LibrarianRunnable, fake_model: FakeModel) -> None:
        fake_model.hangs_after = 1

        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            pieces = runnable.astream("What runs?")
            yield pieces
            await pieces.aclose()  # type: ignore[attr-defined]

        async def leave() -> bool:
            async with opened() as pieces:
                await anext(pieces)
            return await asyncio.to_thread(wait_until, lambda: fake_model.abandoned == 1)

        assert asyncio.run(leave())


class TestChains:
    def test_it_stands_between_others(self, runnable: LibrarianRunnable) -> None:
        chain = RunnableLambda(lambda asked: asked["q"]) | runnable | RunnableLambda(lambda answer: answer.text)
        assert chain.invoke({"q": "What runs?"}) == SAID

    def test_it_stands_between_others_async(self, runnable: LibrarianRunnable) -> None:
        chain = RunnableLambda(lambda asked: asked["q"]) | runnable | RunnableLambda(lambda answer: answer.text)
        assert asyncio.run(chain.ainvoke({"q": "What runs?"})) == SAID

    def test_a_chain_that_ends_with_it_gives_its_answer(self, runnable: LibrarianRunnable) -> None:
        chain = RunnableLambda(str.strip) | runnable
        assert chain.invoke(" What runs? ").question == "What runs?"

    def test_an_answer_can_be_streamed_through_a_chain(self, runnable: LibrarianRunnable) -> None:
        pieces = list((RunnableLambda(str.strip) | runnable).stream(" What runs? "))
        assert "".join(str(each) for each in pieces if isinstance(each, str)) == SAID


class TestConnect:
    @pytest.fixture
    def front_door(self, settings: Callable[..., Settings], fake_model: FakeModel) -> Iterator[FrontDoor]:
        configured = settings(llm_url=fake_model.url, llm_timeout=20)
        with connect(configured) as opened:
            yield opened

    def test_calls_may_come_from_many_event_loops_and_none(self, front_door: FrontDoor, finder: Finder) -> None:
        front_door.answers.librarian.retriever = finder
        answers = front_door.answers
        said = [asyncio.run(answers.ainvoke("What runs?")), asyncio.run(answers.ainvoke("What runs?"))]
        said.append(answers.invoke("What runs?"))
        said.append(list(answers.stream("What runs?"))[-1])
        assert [each.text for each in said] == [SAID] * 4

    def test_the_chat_model_is_langchains_own_and_speaks_to_the_same_server(
        self, front_door: FrontDoor, fake_model: FakeModel
    ) -> None:
        model = front_door.chat_model()
        assert "".join(each.text for each in model.stream("What runs?")) == SAID
        assert fake_model.chats[-1]["model"] == "fake"
        assert [each["content"] for each in fake_model.chats[-1]["messages"]] == ["What runs?"]

    def test_an_empty_index_is_said_when_it_is_asked(self, front_door: FrontDoor) -> None:
        with pytest.raises(CollectionNotFound, match="documents"):
            front_door.retriever.invoke("What runs?")

    def test_the_index_is_free_again_afterwards(self, settings: Callable[..., Settings]) -> None:
        configured = settings()
        for _ in range(2):
            with connect(configured):
                pass
