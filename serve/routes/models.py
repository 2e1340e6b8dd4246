"""GET /v1/models: the names that `model` may take, all or one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from rag.answering import Librarian
from rag.errors import ModelUnavailable
from rag.schema import Scope
from rag.settings import Settings
from serve.access import reader
from serve.model_names import MODEL, UnknownModel, chosen, of_profile
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
    """`librarian` answers from the default collection, `librarian/NAME` from one in which you may see something.

    `librarian:PROFILE` has another model of the chat model's server answer, where that has adapters.
    """
    librarian: Librarian = request.app.state.librarian
    settings: Settings = request.app.state.settings
    async with asyncio.timeout(settings.request_timeout):
        found = await visible(librarian.retriever.index, scope)
        profiles = await _choices(librarian)
    made = {alias: each.created or 0 for each in found for alias in each.aliases}
    named = [ModelBody(id=f"{MODEL}/{alias}", created=made[alias]) for alias in sorted(made)]
    default = made.get(settings.collection, 0)
    others = [ModelBody(id=of_profile(each), created=default) for each in profiles]
    return ModelsResponse(data=[ModelBody(id=MODEL, created=default), *named, *others])


@router.get(
    "/v1/models/{model:path}",
    response_model=ModelBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 503, 504, "default")},
)
async def model(
    request: Request,
    model: Annotated[
        str,
        Path(
            max_length=160,
            description="`librarian`, `librarian/NAME`, `librarian:PROFILE`, or both; the slash may be as it is",
        ),
    ],
    scope: Annotated[Scope, Depends(reader)],
) -> ModelBody:
    """One of these names. 404 also where you may see nothing in its collection, or there is no such profile."""
    librarian: Librarian = request.app.state.librarian
    settings: Settings = request.app.state.settings
    named = chosen(model)
    async with asyncio.timeout(settings.request_timeout):
        found = await visible_one(librarian.retriever.index, named.collection or settings.collection, scope)
        if named.profile is not None:
            await librarian.model.facts(named.profile)
    if named.collection and not found:
        raise UnknownModel(model)
    return ModelBody(id=model, created=(found and found.created) or 0)


async def _choices(librarian: Librarian) -> tuple[str, ...]:
    """The profiles, where there is more than one; none while the chat model's server does not answer."""
    try:
        found = await librarian.model.profiles()
    except ModelUnavailable:
        return ()
    return found if len(found) > 1 else ()
