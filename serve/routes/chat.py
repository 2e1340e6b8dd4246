"""POST /v1/chat/completions: OpenAI's chat, answered from the documents."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from rag import plain
from rag.answering import Event, Question
from rag.errors import BadInput, LibrarianError
from rag.filters import from_json
from rag.generation import Sampling
from rag.schema import Answer, Message, Scope
from rag.settings import Settings
from serve import errands, errors, sse
from serve.access import Caller, account_of, admitted, identify, reader
from serve.answer_shapes import ChatResponse, chat_response
from serve.charging import charged
from serve.chat_shapes import ChatMessage, ChatRequest
from serve.deadline import Deadline
from serve.given_answers import GivenAnswers
from serve.leaving import unless_left
from serve.model_names import chosen
from serve.shapes import ErrorResponse
from serve.watching import Watched

LAST_WORDS_SECONDS = 2.0  # after the deadline, for the event that tells of it
PASSED_THROUGH = ("top_p", "seed", "stop", "presence_penalty", "frequency_penalty")

router = APIRouter(tags=["answers"])
log = structlog.get_logger()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"description": "server-sent events"}}}},
        **{status: {"model": ErrorResponse} for status in (400, 401, 404, 409, 413, 429, 503, 504, "default")},
    },
    dependencies=[Depends(admitted)],
)
async def chat(
    request: Request, body: ChatRequest, scope: Annotated[Scope, Depends(reader)]
) -> ChatResponse | StreamingResponse:
    """Answer the last user message from the documents, with numbered citations.

    With `stream`, the first event holds the sources, then comes the text, and the last chunk holds the citations.
    What a chat interface asks for itself (a title, tags) goes to the model as it is, without documents.
    """
    account = account_of(request)
    watched: Watched = request.app.state.librarian
    librarian = watched.charging(account)
    settings: Settings = request.app.state.settings
    deadline = asyncio.get_running_loop().time() + settings.request_timeout
    question = to_question(body, scope, settings.max_messages)
    identifier, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
    turns = (*question.history, Message("user", question.text))
    errand = errands.is_errand(turns)
    note = _forget if errand else _noting(request, identifier, await identify(request), question)
    if errand:
        written = plain.complete(turns, errands.HISTORY, question.sampling, librarian.model, settings, question.profile)
        events = charged(written, account)
    else:
        events = librarian.stream(question)
    if not body.stream:
        async with asyncio.timeout_at(deadline):
            answer = await unless_left(request, _whole(events) if errand else librarian.answer(question))
        note(answer)
        return chat_response(answer, identifier, created, body.model, body.include_context)

    try:  # what can be told before the first byte is told by the status
        async with asyncio.timeout_at(deadline):
            first = await anext(events)
    except BaseException:
        await events.aclose()
        raise
    usage = bool(body.stream_options and body.stream_options.include_usage)
    writer = sse.ChunkWriter(identifier, created, body.model, usage, body.include_context)
    stream = _stream(first, events, writer, request.state.request_id, deadline, note)
    return TimedStream(stream, deadline + LAST_WORDS_SECONDS)


def _noting(request: Request, identifier: str, caller: Caller, question: Question) -> Callable[[Answer], None]:
    """What remembers an answer for a rating of it."""
    answers: GivenAnswers = request.app.state.given_answers
    collection = question.collection or request.app.state.settings.collection
    return lambda answer: answers.note(identifier, caller, collection, answer)


def _forget(_: Answer) -> None:
    """An errand's answer is nobody's to rate."""


async def _whole(events: AsyncGenerator[Event]) -> Answer:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise AssertionError("a stream ends with its answer")


class TimedStream(StreamingResponse):
    """An event stream that is cut off at `end` (the event loop's time), also where the reader has stopped reading."""

    def __init__(self, content: AsyncGenerator[bytes], end: float) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._content = content
        self._end = end

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Send it. The generator is closed here: where the reader leaves or stalls it stands at a yield."""
        try:
            async with asyncio.timeout_at(self._end):
                await super().__call__(scope, receive, send)
        except TimeoutError:  # uvicorn closes a connection whose response was not completed
            log.warning("reader too slow", request_id=scope["state"]["request_id"])
        finally:
            await self._content.aclose()


async def _stream(
    first: Event,
    events: AsyncGenerator[Event],
    writer: sse.ChunkWriter,
    request_id: str,
    deadline: float,
    note: Callable[[Answer], None],
) -> AsyncGenerator[bytes]:
    """The bytes of a stream. An error after the first byte is an event; closing this closes the model's stream.

    No timeout spans a yield: it would cancel whoever is sending then.
    """
    time_left = Deadline(deadline)
    async with aclosing(events):
        try:
            event: Event | None = first
            while event is not None:
                if isinstance(event, Answer):  # before it is sent: whoever has it may rate it at once
                    note(event)
                yield writer.write(event)
                event = await time_left.next(events)
        except LibrarianError as error:
            log.warning("answer broke off", request_id=request_id, code=error.code, reason=str(error))
            yield sse.event(errors.body(error.http_status, error.code, error.public, request_id)) + sse.DONE
        except TimeoutError:
            message = "the answer took longer than LIBRARIAN_REQUEST_TIMEOUT allows."
            yield sse.event(errors.body(504, "timeout", message, request_id)) + sse.DONE
        except Exception as error:  # no handler sees it any more: the status has been sent
            log.error("answer broke off", request_id=request_id, exc_info=error)
            yield sse.event(errors.body(500, "internal_error", errors.INTERNAL, request_id)) + sse.DONE
        finally:
            time_left.close()


def to_question(body: ChatRequest, scope: Scope, most_turns: int) -> Question:
    """The request as a question. Raises BadInput where there is nothing to answer, or more than `most_turns`, and
    UnknownModel."""
    *history, last = turns_of(body.messages, most_turns)
    named = chosen(body.model)
    given = {name: getattr(body, name) for name in PASSED_THROUGH if getattr(body, name) is not None}
    return Question(
        text=last.content,
        scope=scope,
        history=tuple(history),
        collection=body.collection or named.collection,
        top_k=body.top_k,
        where=None if body.filter is None else from_json(body.filter),
        sampling=Sampling(body.max_completion_tokens or body.max_tokens, body.temperature, given),
        rewrite=body.rewrite,
        on_model_failure=body.on_model_failure,
        profile=named.profile,
    )


def turns_of(messages: Sequence[ChatMessage], most: int) -> list[Message]:
    """The conversation, with the question last. Raises BadInput where there is none, and for more than `most` turns."""
    if len(messages) > most:
        raise TooManyMessages(
            f"messages: there are {len(messages)}, and LIBRARIAN_MAX_MESSAGES allows {most}; leave out the earliest."
        )
    turns = [Message("system" if each.role == "developer" else each.role, each.text()) for each in messages]
    if turns[-1].role != "user" or not turns[-1].content.strip():
        raise BadInput("the last message must be the user's question, with text in it.")
    return turns


class TooManyMessages(BadInput):
    """A conversation is longer than the settings allow."""

    param = "messages"
