"""/v1/feedback: what people say of answers."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from rag.errors import BadInput, LibrarianError
from rag.feedback import Feedback, FeedbackStore, GivenPassage, Place, Rating, Wanted, seen_passages, with_texts
from rag.schema import Scope
from rag.settings import Settings
from serve.access import Caller, admitted, feedback_reader, identify, reader
from serve.feedback_shapes import (
    FeedbackBody,
    FeedbackIn,
    FeedbackPage,
    feedback_body,
    feedback_records,
)
from serve.given_answers import GivenAnswer, GivenAnswers
from serve.routes.documents import TheIngestor
from serve.shapes import ErrorResponse

PATH = "/v1/feedback"

router = APIRouter(tags=["feedback"])


class AnswerNotFound(LibrarianError):
    """Nothing is known of the answer, and the request tells nothing of it either."""

    code = "answer_not_found"
    exit_code = 4
    http_status = 404


def feedback_store(request: Request, _: TheIngestor) -> FeedbackStore:
    """Where feedback is kept. Raises NoDocuments in a process that only answers: it writes nothing."""
    found: FeedbackStore = request.app.state.feedback
    return found


Store = Annotated[FeedbackStore, Depends(feedback_store)]


@router.post(
    PATH,
    status_code=201,
    response_model=FeedbackBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 403, 404, 413, 429, 501, 503, 504, "default")},
    dependencies=[Depends(admitted)],
)
async def rate(
    request: Request, body: FeedbackIn, scope: Annotated[Scope, Depends(reader)], store: Store, engine: TheIngestor
) -> FeedbackBody:
    """Rate an answer, with a comment if you like. The same answer again replaces what you said of it.

    Of an answer that this process gave you lately, its id is enough. Of any other, send its question too, its text and
    its passages: what you send is noted as yours (`verified` false), and passages that you cannot read are left out.
    """
    caller, settings = await identify(request), _settings(request)
    answers: GivenAnswers = request.app.state.given_answers
    async with asyncio.timeout(settings.request_timeout):
        known = answers.get(body.answer_id, caller)
        told = await asyncio.to_thread(_told, body, scope, settings, engine) if known is None else known
        said = _said(body, told, caller, verified=known is not None)
        return feedback_body(await asyncio.to_thread(store.put, said, scope.tenant))


@router.get(
    PATH,
    response_model=FeedbackPage,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 403, 501, 503, 504, "default")},
)
async def listed(
    request: Request,
    scope: Annotated[Scope, Depends(feedback_reader)],
    store: Store,
    engine: TheIngestor,
    rating: Annotated[Rating | None, Query(description="only these; default: all")] = None,
    verified: Annotated[bool, Query(description="only of answers that the service knew itself")] = False,
    include_text: Annotated[bool, Query(description="with the passages' texts, as they are indexed now")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=200, description="`next_cursor` of the page before")] = "",
    tenant: Annotated[str | None, Query(max_length=1000, description="for commands on the server's machine")] = None,
) -> FeedbackPage:
    """What callers of your tenant said of answers, newest first. For admins.

    You see what was said by those only whose groups you all have: an answer may quote what they alone may read.
    """
    if tenant is not None and tenant != scope.tenant:
        if scope.groups is not None:
            raise HTTPException(403, "an admin reads the feedback of its own tenant only.")
        scope = Scope.owner(tenant)
    after = _from_cursor(cursor) if cursor else None
    async with asyncio.timeout(_settings(request).request_timeout):
        found, end = await asyncio.to_thread(store.page, scope, Wanted(rating, verified), limit, after)
        if include_text:
            found = await asyncio.to_thread(with_texts, engine.index, found, scope)
    return FeedbackPage(data=feedback_records(found), next_cursor=_to_cursor(end) if end else None)


def _told(body: FeedbackIn, scope: Scope, settings: Settings, engine: TheIngestor) -> GivenAnswer:
    """The answer as the caller tells it, with those of its passages that the caller may read."""
    if body.question is None:
        raise AnswerNotFound(
            f"this process does not remember giving you the answer '{body.answer_id}': send its question too, its "
            "text and its passages."
        )
    collection = body.collection or settings.collection
    passages: tuple[GivenPassage, ...] = ()
    if body.passages:
        cited = {str(each.id): each.cited for each in body.passages}
        passages = seen_passages(engine.index, collection, cited, scope)
    return GivenAnswer(body.question, body.question, body.answer or "", collection, passages)


def _said(body: FeedbackIn, told: GivenAnswer, caller: Caller, verified: bool) -> Feedback:
    return Feedback(
        id="",
        answer_id=body.answer_id,
        rating=body.rating,
        comment=(body.comment or "").strip(),
        question=told.question,
        searched=told.searched,
        answer=told.text,
        collection=told.collection,
        passages=told.passages,
        verified=verified,
        caller=caller.id,
        groups=tuple(sorted(caller.scope.groups or ())),
        created=0.0,
    )


def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


def _to_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.created!r} {place.id}".encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> Place:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode(), b"-_", validate=True).decode()
        created, _, identity = text.partition(" ")
        return Place(float(created), identity)
    except (ValueError, binascii.Error):
        raise BadInput("the cursor is not one that this service gave.") from None
