"""A Librarian that is watched: each answer is counted and makes one line in the log, however it ends."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import structlog

from rag.answering import Event, Librarian, Question, Sources
from rag.errors import LibrarianError
from rag.schema import Answer
from rag.settings import Settings
from serve.charging import Purse, charged
from serve.metrics import Metrics, Outcome
from serve.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger()


class Watched(Librarian):
    """Answers as `inner` does, which stays the caller's to close. Every route that answers goes through this one.

    `tracer` takes a span for each stage; None: no traces are wanted.
    """

    def __init__(self, inner: Librarian, metrics: Metrics, settings: Settings, tracer: Tracer | None = None) -> None:
        self.__dict__.update(vars(inner))  # the same parts, whichever they are
        self._metrics = metrics
        self._tracer = tracer
        self._timeout = settings.request_timeout
        self._collection = settings.collection
        self._log_questions = settings.log_questions
        self._purse: Purse | None = None

    def charging(self, purse: Purse) -> Watched:
        """The same, whose answers are charged to `purse`."""
        made = copy.copy(self)
        made._purse = purse
        return made

    async def stream(self, question: Question) -> AsyncGenerator[Event]:
        """As in Librarian."""
        started = time.perf_counter()
        answer: Answer | None = None
        spans = Spans(self._tracer, question.collection or self._collection) if self._tracer else None
        try:
            answering = super().stream(question)
            async with aclosing(charged(answering, self._purse) if self._purse else answering) as events:
                async for event in events:
                    if spans and isinstance(event, Sources):
                        spans.given()
                    if isinstance(event, Answer):  # counted before it is handed over: the reader may leave with it
                        answer = event
                        seconds = time.perf_counter() - started
                        outcome = self._metrics.count_answer(event, seconds)
                        self._note(question, outcome, seconds, event)
                        if spans:
                            asked = outcome not in {"abstained", "unavailable"}
                            spans.whole(event, await self._model_name(question.profile) if asked else None)
                    yield event
        except BaseException as error:
            if answer is None:
                code = self._broke_off(question, error, time.perf_counter() - started)
                if spans:
                    spans.broken(code)
            raise

    async def _model_name(self, profile: str | None) -> str | None:
        """The model's name; None where its server is gone since it answered: a trace may not fail a whole answer."""
        with suppress(LibrarianError):
            return (await self.model.facts(profile)).name
        return None

    def _broke_off(self, question: Question, error: BaseException, seconds: float) -> str:
        outcome: Outcome = "failed"
        if isinstance(error, LibrarianError) and error.http_status < 500:
            outcome = "refused"
        elif isinstance(error, Exception):
            self._metrics.count_failure(error)
        else:  # closed or cancelled from outside: by the clock, or by a reader who left
            outcome = "timed_out" if seconds >= self._timeout * 0.99 else "broken_off"
        self._metrics.answers.labels(outcome).inc()
        code = error.code if isinstance(error, LibrarianError) else type(error).__name__
        self._note(question, outcome, seconds, code=code)
        return code

    def _note(
        self,
        question: Question,
        outcome: Outcome,
        seconds: float,
        answer: Answer | None = None,
        code: str | None = None,
    ) -> None:
        facts: dict[str, object] = {
            "request_id": structlog.contextvars.get_contextvars().get("request_id"),
            "outcome": outcome,
            "collection": question.collection or self._collection,
            "seconds": round(seconds, 4),
        }
        if code:
            facts["code"] = code
        if question.profile:
            facts["profile"] = question.profile
        if answer:
            facts |= {
                "relevance": answer.relevance,
                "sources": len(answer.sources),
                "citations": len(answer.citations),
                "prompt_tokens": answer.usage.prompt_tokens,
                "completion_tokens": answer.usage.completion_tokens,
                "timings_ms": {name: round(value, 2) for name, value in answer.timings_ms.items()},
            }
        if self._log_questions:
            facts["question"] = question.text
        log.info("answer", **facts)
