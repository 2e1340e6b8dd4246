"""GET /v1/collections: what can be searched, as far as the reader may see it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from rag.answering import Librarian
from rag.collections import created
from rag.encoders import describe
from rag.errors import CollectionNotFound
from rag.index.interface import AsyncIndex, CollectionInfo
from rag.records import RESERVED
from rag.schema import Scope
from serve.access import reader
from serve.shapes import NAME_PATTERN, ErrorResponse

router = APIRouter(tags=["retrieval"])


class CollectionBody(BaseModel):
    """A collection by the name that requests use for it."""

    name: str = Field(description="what `collection` takes: an alias, or its own name where it has none")
    aliases: list[str] = Field(description="every alias of the same collection")
    object: Literal["collection"] = "collection"
    points: int = Field(description="passages in it that you may see")
    created: int | None = Field(description="Unix seconds, where that is on record")
    encoder: str | None = Field(description="the embedding model it was built with, where that is on record")


class CollectionsResponse(BaseModel):
    """Every collection that holds something for the reader."""

    object: Literal["list"] = "list"
    data: list[CollectionBody]


@router.get(
    "/v1/collections",
    response_model=CollectionsResponse,
    responses={status: {"model": ErrorResponse} for status in (401, 503, 504, "default")},
)
async def collections(request: Request, scope: Annotated[Scope, Depends(reader)]) -> CollectionsResponse:
    """The collections in which you may see at least one passage, by name. Others are not told of."""
    librarian: Librarian = request.app.state.librarian
    index = librarian.retriever.index
    async with asyncio.timeout(request.app.state.settings.request_timeout):
        return CollectionsResponse(data=await visible(index, scope))


@router.get(
    "/v1/collections/{name}",
    response_model=CollectionBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 503, 504, "default")},
)
async def collection(
    request: Request,
    name: Annotated[str, Path(max_length=128, pattern=NAME_PATTERN)],
    scope: Annotated[Scope, Depends(reader)],
) -> CollectionBody:
    """One collection by its name or alias. 404 also where you may see nothing in it."""
    librarian: Librarian = request.app.state.librarian
    index = librarian.retriever.index
    async with asyncio.timeout(request.app.state.settings.request_timeout):
        found = await visible_one(index, name, scope)
    if found is None:  # the same words for one that is not there: whether it is there is not told
        raise CollectionNotFound(f"there is no collection '{name}'.", asked=name)
    return found


async def visible(index: AsyncIndex, scope: Scope) -> list[CollectionBody]:
    """The collections in which the scope sees something, by name."""
    found = [await _body(index, each, scope) for each in await index.collections()]
    return sorted((each for each in found if each is not None), key=lambda each: each.name)


async def visible_one(index: AsyncIndex, name: str, scope: Scope) -> CollectionBody | None:
    """The collection of that name or alias; None where there is none, or the scope sees nothing in it."""
    try:
        return await _body(index, await index.describe(name), scope)
    except CollectionNotFound:
        return None


async def _body(index: AsyncIndex, info: CollectionInfo, scope: Scope) -> CollectionBody | None:
    """The collection as the scope sees it; None where it sees nothing, or the collection has just been dropped."""
    if info.name == RESERVED:
        return None
    try:
        points = await index.count(info.name, scope)
    except CollectionNotFound:
        return None
    if not points:
        return None
    names = sorted(info.aliases)
    dense: Any = info.spec.metadata.get("dense")
    encoder = describe(dense) if isinstance(dense, dict) else None
    return CollectionBody(
        name=names[0] if names else info.name, aliases=names, points=points, created=created(info), encoder=encoder
    )
