"""The whole question path: question and history in, cited answer out. The API, the command line and eval all use this.

question ─ rewrite ─ retrieve ─ relevant enough? ─ assemble ─ generate ─ keep true citations ─ Answer
                                     └─ no: abstain, the model is not called
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Literal

from rag import prompt
from rag.citations import CitationFilter, content_words
from rag.context import Budget, assemble
from rag.errors import ModelUnavailable, PromptTooLong
from rag.generation import ChatModel, Sampling
from rag.index.interface import Where
from rag.retrieval import Retriever
from rag.rewriting import Rewrite, Rewritten, rewrite, rewrite_with_model
from rag.schema import Answer, Context, Dropped, FinishReason, Message, Passage, Scope, SearchResult, Usage
from rag.settings import Settings

# A question of one content word is in every passage that has it: no evidence of anything.
MIN_WORDS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by whom, and how the answer is wanted. None takes the setting.

    `rewrite` says how a follow-up becomes what is searched; the model is always asked in the user's own words. With
    `on_model_failure` "sources" a model that fails before its first word leaves the passages that were found.
    `passage_tokens` caps what the passages take of the prompt. `profile` names the model that answers, where it is not
    to be the one in service; follow-ups are rewritten by that one all the same.
    """

    text: str
    scope: Scope
    history: tuple[Message, ...] = ()
    collection: str | None = None
    top_k: int | None = None
    where: Where | None = None
    sampling: Sampling = field(default_factory=Sampling)
    rewrite: Rewrite | None = None
    on_model_failure: Literal["error", "sources"] = "error"
    passage_tokens: int | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found, and whether it is worth an answer. `rewriting` is in milliseconds."""

    result: SearchResult
    relevant: bool
    rewriting: float


@dataclass(frozen=True, slots=True)
class Sources:
    """The first event: what the model is given (nothing, where the service abstains), and in how many tokens."""

    passages: tuple[Passage, ...]
    relevance: float | None
    dropped: tuple[Dropped, ...]
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, markers already checked."""

    text: str


Event = Sources | Text | Answer


class Librarian:
    """Answers questions over one index with one chat model."""

    def __init__(self, retriever: Retriever, model: ChatModel, settings: Settings) -> None:
        self.retriever = retriever
        self.model = model
        self._settings = settings

    async def answer(self, question: Question) -> Answer:
        """The whole answer. Raises as `stream` does, and no ModelUnavailable where the sources are wanted then."""
        given: Sources | None = None
        try:
            async with aclosing(self.stream(question)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        return event
                    given = event if isinstance(event, Sources) else given
        except ModelUnavailable:
            if given is None or question.on_model_failure == "error":
                raise
            return _without_model(question, given)  # half an answer was written: nobody has seen it
        raise AssertionError("a stream ends with its answer")

    async def stream(self, question: Question) -> AsyncGenerator[Event]:
        """One Sources, then Text as it comes, then one Answer. Closing the iterator stops the model.

        Raises BadInput, PromptTooLong, CollectionNotFound, FingerprintMismatch, IndexUnavailable before the first
        event and ModelUnavailable at any time (before the first Text not where the question wants the sources then).
        UnknownProfile comes before anything else.
        """
        started = time.perf_counter()
        if question.profile is not None:
            with suppress(ModelUnavailable):  # whether that matters depends on what is found
                await self.model.facts(question.profile)
        search = await self.find(question)
        found, rewriting = search.result, search.rewriting
        if not search.relevant:
            yield Sources((), found.relevance, _rejected(found, self._settings.min_relevance))
            yield Text(prompt.ABSTENTION)
            yield self._abstained(question, found, rewriting)
            return
        rewritten = started + rewriting / 1e3
        try:
            context = await self.assemble(question, found.passages)
        except ModelUnavailable:
            if question.on_model_failure == "error":
                raise
            given = Sources(found.passages, found.relevance, ())
            yield given
            yield Text(prompt.MODEL_AWAY)
            yield _without_model(question, given, found)
            return
        assembled = time.perf_counter()
        given = Sources(context.passages, found.relevance, context.dropped, context.prompt_tokens)
        yield given

        citations, dropped = CitationFilter(context.passages, question.text), context.dropped
        usage, reason, first_token = Usage(context.prompt_tokens), "stop", None
        deltas = self.model.stream(context.messages, context.max_answer_tokens, question.sampling, question.profile)
        try:
            async with aclosing(deltas):
                async for delta in deltas:
                    first_token = first_token or (time.perf_counter() if delta.text else None)
                    usage, reason = delta.usage or usage, delta.finish_reason or reason
                    if shown := citations.feed(delta.text):
                        yield Text(shown)
                    if citations.looping:  # the rest would be more of the same; leaving stops the model
                        dropped = (*dropped, Dropped("the rest of the answer", "the model repeated itself"))
                        break
        except ModelUnavailable:
            if question.on_model_failure == "error" or first_token:
                raise
            yield Text(prompt.MODEL_AWAY)
            yield _without_model(question, given, found)
            return
        if shown := citations.finish():
            yield Text(shown)
        ended = time.perf_counter()
        yield Answer(
            question=question.text,
            text=citations.text,
            sources=context.passages,
            citations=tuple(citations.citations),
            finish_reason=_finish(reason),
            usage=usage,
            dropped=dropped,
            relevance=found.relevance,
            searched=found.query,
            timings_ms={
                "rewrite": rewriting,
                **found.timings_ms,
                "retrieve": sum(found.timings_ms.values()),
                "assemble": (assembled - rewritten) * 1e3 - sum(found.timings_ms.values()),
                "first_token": ((first_token or ended) - assembled) * 1e3,
                "generate": (ended - assembled) * 1e3,
                "total": (ended - started) * 1e3,
            },
        )

    async def find(self, question: Question) -> Found:
        """The first half: rewrite, retrieve, judge. No chat model, but where it is to write the query."""
        started = time.perf_counter()
        searched = await self._rewritten(question)
        rewriting = (time.perf_counter() - started) * 1e3
        result = await self.retriever.search(
            searched.text, question.scope, collection=question.collection, top_k=question.top_k, where=question.where
        )
        return Found(result, relevant(result, self._settings.min_relevance), rewriting)

    async def _rewritten(self, question: Question) -> Rewritten:
        how = question.rewrite or self._settings.rewrite
        language = self._settings.bm25_language
        if how == "off" or not question.history:
            return Rewritten(question.text)
        if how == "model":
            return await rewrite_with_model(question.text, question.history, self.model, language)
        return rewrite(question.text, question.history, language)

    async def assemble(self, question: Question, passages: Sequence[Passage]) -> Context:
        """The prompt with as many of the passages as fit, in the served model's tokens.

        Raises PromptTooLong where not one fits, and ModelUnavailable where the model does not say how it counts.
        """
        facts = await self.model.facts(question.profile)
        budget = Budget(
            window=facts.window,
            answer=question.sampling.max_tokens or self._settings.max_answer_tokens,
            allowed=self._settings.most_answer_tokens,
            passages=question.passage_tokens or self._settings.max_context_tokens,
        )
        context = await assemble(
            question.text, passages, question.history, facts.counter, budget, self._settings.context_order
        )
        if not context.passages:  # without one the model would answer from nothing
            if question.passage_tokens:
                raise PromptTooLong(f"no passage fits into {question.passage_tokens} tokens; allow more (max_tokens).")
            raise PromptTooLong(
                f"the question leaves no room for a passage in the model's {facts.window} tokens; ask a shorter one."
            )
        return context

    def _abstained(self, question: Question, found: SearchResult, rewriting: float) -> Answer:
        return Answer(
            question=question.text,
            text=prompt.ABSTENTION,
            sources=(),
            citations=(),
            finish_reason="abstained",
            dropped=_rejected(found, self._settings.min_relevance),
            relevance=found.relevance,
            searched=found.query,
            timings_ms={"rewrite": rewriting, **found.timings_ms},
        )


def _without_model(question: Question, given: Sources, found: SearchResult | None = None) -> Answer:
    return Answer(
        question=question.text,
        text=prompt.MODEL_AWAY,
        sources=given.passages,
        citations=(),
        finish_reason="unavailable",
        dropped=given.dropped,
        relevance=given.relevance,
        searched=found.query if found else "",
        timings_ms=found.timings_ms if found else {},
    )


def relevant(found: SearchResult, threshold: float) -> bool:
    """Whether there is something to answer from: the best cosine is high enough, or a passage has all of the words.

    The words save short questions ("Where is the log?"), whose vectors are near to nothing in particular.
    """
    if not found.passages or found.relevance is None:  # nothing there, or deleted while it was looked for
        return False
    if found.relevance >= threshold:
        return True
    asked = content_words(found.query)
    return len(asked) >= MIN_WORDS and any(asked <= content_words(each.text) for each in found.passages)


def _rejected(found: SearchResult, threshold: float) -> tuple[Dropped, ...]:
    if found.relevance is None:
        return (Dropped("everything", "the collection holds nothing that you may see"),)
    why = f"not relevant enough: the best is {found.relevance:.2f}, the threshold {threshold:.2f}"
    return tuple(Dropped(f"passage {each.path}", why) for each in found.passages)


def _finish(reason: str) -> FinishReason:
    return "length" if reason == "length" else "stop"
