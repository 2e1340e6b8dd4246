"""GET /v1/documents/text: what a document says, around a span of it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from rag.reading import read_around
from rag.schema import Scope
from rag.settings import Settings
from serve.access import admitted, reader
from serve.routes.documents import MAX_URI, TheIngestor
from serve.shapes import ErrorResponse, Name

PATH = "/v1/documents/text"
MAX_PLACE = 2**40

router = APIRouter(tags=["documents"])


class DocumentText(BaseModel):
    """Some of a document's text; `offset` counts characters of the document before it, as a passage's `start` does."""

    uri: str
    path: str
    title: str
    text: str
    offset: int
    before: bool = Field(description="whether more of the document comes before")
    after: bool = Field(description="whether more of it follows")


@router.get(
    PATH,
    response_model=DocumentText,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 429, 501, 503, 504, "default")},
    dependencies=[Depends(admitted)],
)
async def text(
    request: Request,
    scope: Annotated[Scope, Depends(reader)],
    engine: TheIngestor,
    uri: Annotated[str, Query(min_length=1, max_length=MAX_URI, description="the document's URI")],
    collection: Annotated[Name | None, Query(description="collection or alias; default: the service's")] = None,
    start: Annotated[int, Query(ge=0, le=MAX_PLACE, description="a passage's start, in characters")] = 0,
    end: Annotated[int | None, Query(ge=0, le=MAX_PLACE, description="its end; default: the start")] = None,
) -> DocumentText:
    """The text of a document around a span, put together from what is indexed; some 40,000 characters at most.

    White space between two chunks shows as newlines.
    """
    settings: Settings = request.app.state.settings
    name = collection or settings.collection
    async with asyncio.timeout(settings.request_timeout):
        found = await asyncio.to_thread(read_around, engine.index, name, uri, scope, start, end)
    return DocumentText(
        uri=found.uri,
        path=found.path,
        title=found.title,
        text=found.text,
        offset=found.offset,
        before=found.before,
        after=found.after,
    )
