"""GET /v1/models: the names that `model` may take."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from rag.answering import Librarian
from rag.schema import Scope
from serve.access import reader
from serve.routes.chat import MODEL
from serve.shapes import ErrorResponse

router = APIRouter(tags=["answers"])


class ModelBody(BaseModel):
    """A name that `model` may take."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "librarian"


class ModelsResponse(BaseModel):
    """Every such name."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


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
