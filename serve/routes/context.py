"""POST /v1/context: passages and a ready prompt, for callers that run a model of their own."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from rag.answering import Librarian, Question
from rag.filters import from_json
from rag.schema import Context, Message, Scope
from rag.tokens import ByteTokenCounter
from serve.access import admitted, reader
from serve.context_shapes import ContextRequest, ContextResponse, context_response
from serve.metrics import Metrics
from serve.routes.chat import turns_of
from serve.shapes import ErrorResponse

router = APIRouter(tags=["retrieval"])


@router.post(
    "/v1/context",
    response_model=ContextResponse,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 409, 413, 429, 503, 504, "default")},
    dependencies=[Depends(admitted)],
)
async def context(request: Request, body: ContextRequest, scope: Annotated[Scope, Depends(reader)]) -> ContextResponse:
    """What the chat model would be given for a question: numbered passages inside a token budget, and the whole prompt.

    The chat model is asked for its tokenizer and window only, and, with `rewrite: "model"`, for the query. Passages
    come also where they are not relevant enough for an answer: `relevant` says so.
    """
    librarian: Librarian = request.app.state.librarian
    metrics: Metrics = request.app.state.metrics
    question = to_question(body, scope, request.app.state.settings.max_messages)
    with metrics.counting_failures():
        async with asyncio.timeout(request.app.state.settings.request_timeout):
            facts = await librarian.model.facts()
            found = await librarian.find(question)
            started = time.perf_counter()
            passages = found.result.passages
            assembled = await librarian.assemble(question, passages) if passages else Context((), (), 0, 0)
    metrics.count_search(found.result)
    exact = not isinstance(facts.counter, ByteTokenCounter)
    return context_response(found, assembled, exact, (time.perf_counter() - started) * 1e3)


def to_question(body: ContextRequest, scope: Scope, most_turns: int) -> Question:
    """The request as a question. Raises BadInput where there is nothing to search for, or more than `most_turns`."""
    history: tuple[Message, ...] = ()
    text = body.query or ""
    if body.messages:
        *before, last = turns_of(body.messages, most_turns)
        history, text = tuple(before), last.content
    return Question(
        text=text,
        scope=scope,
        history=history,
        collection=body.collection,
        top_k=body.top_k,
        where=None if body.filter is None else from_json(body.filter),
        rewrite=body.rewrite,
        passage_tokens=body.max_tokens,
    )
