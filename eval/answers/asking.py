"""Every question through the real Librarian, its answers into the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from eval.answers.hiding import HidingIndex
from eval.answers.journal import Given, Journal, given
from eval.answers.questions import Asked
from eval.progress import Show
from rag.answering import Librarian, Question
from rag.chunks import Delta
from rag.errors import BadInput, ModelUnavailable
from rag.generation import ChatModel, ModelFacts, Sampling
from rag.schema import Message, Scope
from rag.settings import Settings
from rag.tokens import ByteTokenCounter
from rag.wiring import build_retriever

# Tokens of the window that stands for a model's where none is asked: enough for any question with its passages.
_WIDE = 131_072


class NoModel(ChatModel):
    """Says nothing and needs no server: with it the Librarian decides whether to answer, and nothing is answered."""

    async def facts(self, profile: str | None = None) -> ModelFacts:
        """A wide window, counted in bytes."""
        return ModelFacts("none", self._settings.llm_context_tokens or _WIDE, ByteTokenCounter())

    async def check(self) -> None:
        """There is nothing to be reached."""

    async def stream(
        self, messages: Sequence[Message], max_tokens: int, sampling: Sampling, profile: str | None = None
    ) -> AsyncGenerator[Delta]:
        """The end of an empty answer."""
        yield Delta("", "stop")


def chat_model(settings: Settings, retrieval_only: bool) -> ChatModel:
    """The configured model, or none."""
    return NoModel(settings) if retrieval_only else ChatModel(settings)


async def check_model(settings: Settings) -> str:
    """The served model's name. Raises ModelUnavailable, with what to do about it."""
    model = ChatModel(settings)
    try:
        return (await model.facts()).name
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{error} --retrieval-only measures abstention without a model.") from None
    finally:
        await model.aclose()


async def ask_all(
    questions: Sequence[Asked],
    journal: Journal,
    settings: Settings,
    index: HidingIndex,
    collection: str,
    names: Mapping[str, str],
    show: Show,
    *,
    retrieval_only: bool = False,
    concurrency: int = 1,
) -> None:
    """Ask what the journal does not have yet, `concurrency` at once.

    A question that the model's window has no room for, or that the model refuses, is kept as failed. Raises
    ModelUnavailable and what the index raises; what was answered before stays in the journal.
    """
    model = chat_model(settings, retrieval_only)
    librarian = Librarian(build_retriever(settings, index.index), model, settings)
    scope = Scope(settings.tenant, frozenset(settings.groups))
    uris: dict[str, set[str]] = {}
    for uri, name in names.items():
        uris.setdefault(name, set()).add(uri)
    left = [each for each in questions if each.id not in journal.answers]
    gate = asyncio.Semaphore(concurrency)

    async def one(asked: Asked) -> None:
        async with gate:
            hidden = [uris.get(name, set()) for name in asked.relevant] if asked.hidden else []
            with index.without(frozenset[str]().union(*hidden)):
                try:
                    answer = await librarian.answer(Question(asked.text, scope, asked.history, collection))
                    journal.add(given(asked.id, answer, names))
                except BadInput as error:
                    journal.add(Given(asked.id, "", abstained=False, finish_reason="failed", failed=str(error)))
            show("Asking", len(journal.answers), len(questions), "questions")

    if left and not retrieval_only:
        librarian.retriever.warm_up()
    try:
        async with asyncio.TaskGroup() as tasks:
            for each in left:
                tasks.create_task(one(each))
    except* Exception as group:
        raise _first(group) from None
    finally:
        await model.aclose()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first: the rest of the tasks were cancelled for it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
