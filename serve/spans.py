"""Spans of an answer's stages, made from its timings once it is whole: while it is at work tracing costs nothing.

Names and attributes follow OpenTelemetry's semantic conventions for generative AI (in development there, so they may
change). No text of questions, passages or answers is ever in a span.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rag.schema import Answer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

STAGES = ("rewrite", "retrieve", "assemble", "generate")
SEARCHING = ("encode", "search", "fetch", "rerank")


class Spans:
    """The spans of one answer, below the span that is current where this is made: the request's."""

    def __init__(self, tracer: Tracer, collection: str) -> None:
        from opentelemetry.context import get_current

        self._tracer = tracer
        self._collection = collection
        self._parent: Context = get_current()
        self._started = time.time_ns()
        self._sources: int | None = None

    def given(self) -> None:
        """The sources are known: what follows is the model's."""
        self._sources = time.time_ns()

    def whole(self, answer: Answer, model: str | None) -> None:
        """Send the stages of a whole answer. `model`: the chat model's name; None where it was not asked."""
        timings = dict(answer.timings_ms)
        timings.setdefault("retrieve", sum(timings.get(each, 0.0) for each in SEARCHING))
        start = self._started
        for stage in STAGES:
            if stage in timings:
                end = start + int(timings[stage] * 1e6)
                self._send(stage, start, end, self._attributes(stage, answer, model, timings))
                start = end

    def broken(self, code: str) -> None:
        """Send the stage that was at work when the answer broke off: the model's, or what comes before it."""
        stage, start = ("retrieve", self._started) if self._sources is None else ("generate", self._sources)
        self._send(stage, start, time.time_ns(), {**_operation(stage), "error.type": code})

    def _attributes(self, stage: str, answer: Answer, model: str | None, timings: dict[str, float]) -> dict[str, Any]:
        found = _operation(stage)
        if stage == "retrieve":
            found["gen_ai.data_source.id"] = self._collection
            found |= {f"librarian.{each}_ms": timings[each] for each in SEARCHING if each in timings}
            if answer.relevance is not None:
                found["librarian.relevance"] = answer.relevance
        elif stage == "assemble":
            found["librarian.sources"] = len(answer.sources)
        elif stage == "generate":
            found["gen_ai.usage.input_tokens"] = answer.usage.prompt_tokens
            found["gen_ai.usage.output_tokens"] = answer.usage.completion_tokens
            found["gen_ai.response.finish_reasons"] = [answer.finish_reason]
            found["librarian.citations"] = len(answer.citations)
            if model:
                found["gen_ai.request.model"] = model
        return found

    def _send(self, stage: str, start: int, end: int, attributes: dict[str, Any]) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        kind = SpanKind.CLIENT if stage == "generate" else SpanKind.INTERNAL
        span = self._tracer.start_span(stage, self._parent, kind, attributes, start_time=start)
        if "error.type" in attributes:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _operation(stage: str) -> dict[str, Any]:
    names = {"retrieve": "retrieval", "generate": "chat"}
    return {"gen_ai.operation.name": names[stage]} if stage in names else {}
