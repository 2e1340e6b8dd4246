"""GET /v1/models: the names that `model` may take, all or one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from rag.answering import Librarian
from rag.schema import Scope
from rag.settings import Settings
from serve.access import reader
from serve.routes.chat import MODEL, UnknownModel, collection_of
from serve.routes.collections import visible, visible_one
from serve.shapes import ErrorResponse

router = APIRouter(tags=["answers"])


class ModelBody(BaseModel):
    """A name that `model` may take."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="when its collection was made, in Unix seconds; 0: that is not known")
    owned_by: str = "librarian"


class ModelsResponse(BaseModel):
    """Every such name."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


@router.get(
    "/v1/models",
    response_model=ModelsResponse,
    responses={status: {"model": ErrorResponse} for status in (401, 503, 504, "default")},
)
async def models(request: Request, scope: Annotated[Scope, Depends(reader)]) -> ModelsResponse:
    """`librarian` answers from the default collection, `librarian/NAME` from one in which you may see something."""
    librarian: Librarian = request.app.state.librarian
    settings: Settings = request.app.state.settings
    async with asyncio.timeout(settings.request_timeout):
        found = await visible(librarian.retriever.index, scope)
    made = {alias: each.created or 0 for each in found for alias in each.aliases}
    named = [ModelBody(id=f"{MODEL}/{alias}", created=made[alias]) for alias in sorted(made)]
    return ModelsResponse(data=[ModelBody(id=MODEL, created=made.get(settings.collection, 0)), *named])


@router.get(
    "/v1/models/{model:path}",
    response_model=ModelBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 503, 504, "default")},
)
async def model(
    request: Request,
    model: Annotated[
        str, Path(max_length=160, description="`librarian` or `librarian/NAME`; the slash may be as it is")
    ],
    scope: Annotated[Scope, Depends(reader)],
) -> ModelBody:
    """One of these names. 404 also where you may see nothing in its collection."""
    librarian: Librarian = request.app.state.librarian
    settings: Settings = request.app.state.settings
    named = collection_of(model)
    async with asyncio.timeout(settings.request_timeout):
        found = await visible_one(librarian.retriever.index, named or settings.collection, scope)
    if named and not found:
        raise UnknownModel(model)
    return ModelBody(id=model, created=(found and found.created) or 0)
