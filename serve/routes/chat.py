"""POST /v1/chat/completions: OpenAI's chat, answered from the documents."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from rag.answering import Event, Librarian, Question
from rag.errors import BadInput, LibrarianError
from rag.generation import Sampling
from rag.schema import Answer, Message, Scope
from serve import errors, sse
from serve.access import admitted, reader
from serve.metrics import Metrics
from serve.shapes import ChatRequest, ChatResponse, ErrorResponse, chat_response

MODEL = "librarian"
PASSED_THROUGH = ("top_p", "seed", "stop", "presence_penalty", "frequency_penalty")

router = APIRouter(tags=["answers"])
log = structlog.get_logger()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **{status: {"model": ErrorResponse} for status in (400, 401, 404, 409, 413, 429, 503, 504)},
    },
    dependencies=[Depends(admitted)],
)
async def chat(
    request: Request, body: ChatRequest, scope: Annotated[Scope, Depends(reader)]
) -> ChatResponse | StreamingResponse:
    """Answer the last user message from the documents, with numbered citations.

    With `stream`, the first event holds the sources, then comes the text, and the last chunk holds the citations.
    """
    librarian: Librarian = request.app.state.librarian
    metrics: Metrics = request.app.state.metrics
    seconds: float = request.app.state.settings.request_timeout
    question = to_question(body, scope)
    identifier, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
    if not body.stream:
        async with asyncio.timeout(seconds):
            answer = await librarian.answer(question)
        metrics.answered(answer)
        return chat_response(answer, identifier, created, body.model)

    events = librarian.stream(question)
    try:  # what can be told before the first byte is told by the status
        async with asyncio.timeout(seconds):
            first = await anext(events)
    except BaseException:
        await events.aclose()
        raise
    usage = bool(body.stream_options and body.stream_options.include_usage)
    writer = sse.ChunkWriter(identifier, created, body.model, usage)
    stream = _stream(first, events, writer, metrics, request.state.request_id, seconds)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _stream(
    first: Event,
    events: AsyncGenerator[Event],
    writer: sse.ChunkWriter,
    metrics: Metrics,
    request_id: str,
    seconds: float,
) -> AsyncGenerator[bytes]:
    """The bytes of a stream. An error after the first byte is an event; closing this closes the model's stream."""
    async with aclosing(events):
        try:
            async with asyncio.timeout(seconds):
                yield writer.write(first)
                async for event in events:
                    if isinstance(event, Answer):
                        metrics.answered(event)
                    yield writer.write(event)
        except LibrarianError as error:
            log.warning("answer broke off", request_id=request_id, code=error.code, reason=str(error))
            yield sse.event(errors.body(error.http_status, error.code, str(error), request_id)) + sse.DONE
        except TimeoutError:
            message = f"the answer took longer than {seconds:g} s (LIBRARIAN_REQUEST_TIMEOUT)."
            yield sse.event(errors.body(504, "timeout", message, request_id)) + sse.DONE


def to_question(body: ChatRequest, scope: Scope) -> Question:
    """The request as a question. Raises BadInput where there is nothing to answer."""
    *before, last = body.messages
    if last.role != "user" or not last.text().strip():
        raise BadInput("the last message must be the user's question, with text in it.")
    history = tuple(Message("system" if each.role == "developer" else each.role, each.text()) for each in before)
    given = {name: getattr(body, name) for name in PASSED_THROUGH if getattr(body, name) is not None}
    return Question(
        text=last.text(),
        scope=scope,
        history=history,
        collection=body.collection or collection_of(body.model),
        top_k=body.top_k,
        sampling=Sampling(body.max_completion_tokens or body.max_tokens, body.temperature, given),
    )


def collection_of(model: str) -> str | None:
    """The collection that a model name chooses: `librarian` the default one, `librarian/NAME` that one."""
    if model == MODEL:
        return None
    prefix, _, name = model.partition("/")
    if prefix != MODEL or not name:
        raise UnknownModel(
            f"there is no model '{model[:100]}'; use '{MODEL}' or '{MODEL}/COLLECTION' (GET /v1/models)."
        )
    return name


class UnknownModel(BadInput):
    """The request names a model that is not served."""

    code = "model_not_found"
    http_status = 404
