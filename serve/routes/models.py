"""GET /v1/models: the names that `model` may take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from rag.answering import Librarian
from rag.schema import Scope
from serve.access import reader
from serve.routes.chat import MODEL
from serve.shapes import ErrorResponse, ModelBody, ModelsResponse

router = APIRouter(tags=["answers"])


@router.get(
    "/v1/models",
    response_model=ModelsResponse,
    responses={status: {"model": ErrorResponse} for status in (401, 503, "default")},
)
async def models(request: Request, scope: Annotated[Scope, Depends(reader)]) -> ModelsResponse:
    """`librarian` answers from the default collection, `librarian/NAME` from another."""
    librarian: Librarian = request.app.state.librarian
    names = sorted(await librarian.retriever.index.aliases())
    return ModelsResponse(data=[ModelBody(id=each) for each in [MODEL, *(f"{MODEL}/{name}" for name in names)]])
