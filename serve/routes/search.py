"""POST /v1/search: ranked passages, no model involved."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from rag.answering import Librarian
from rag.filters import from_json
from rag.schema import Scope
from serve.access import admitted, reader
from serve.metrics import Metrics
from serve.search_shapes import SearchRequest, SearchResponse, search_response
from serve.shapes import ErrorResponse

router = APIRouter(tags=["retrieval"])


@router.post(
    "/v1/search",
    response_model=SearchResponse,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 409, 413, 429, 503, 504, "default")},
    dependencies=[Depends(admitted)],
)
async def search(request: Request, body: SearchRequest, scope: Annotated[Scope, Depends(reader)]) -> SearchResponse:
    """The passages that best match a query, with their scores and spans."""
    librarian: Librarian = request.app.state.librarian
    where = None if body.filter is None else from_json(body.filter)
    metrics: Metrics = request.app.state.metrics
    with metrics.counting_failures():
        async with asyncio.timeout(request.app.state.settings.request_timeout):
            found = await librarian.retriever.search(
                body.query, scope, collection=body.collection, top_k=body.top_k, where=where
            )
    metrics.count_search(found)
    return search_response(found)
