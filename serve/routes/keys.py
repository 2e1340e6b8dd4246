"""/v1/keys: API keys, made, listed and revoked by an admin of their tenant, or by a command on the server's machine."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from rag.caller_limits import CallerLimits
from rag.errors import LibrarianError
from rag.keys import MAX_LIMIT, Permission, shown
from rag.schema import Scope
from serve.access import KeyCache, key_keeper
from serve.shapes import ErrorResponse

PATH = "/v1/keys"

router = APIRouter(tags=["keys"])
ERRORS: dict[int | str, dict[str, Any]] = {
    each: {"model": ErrorResponse} for each in (400, 401, 403, 501, 503, "default")
}


Limit = Annotated[int, Field(ge=0, le=MAX_LIMIT)]


class NoKeys(LibrarianError):
    """This process has no store of keys."""

    code = "no_keys"
    http_status = 501


class LimitsBody(BaseModel):
    """What the holder of a key may ask for. 0: without limit; null: what the service's settings say."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrent_requests: Limit | None = None


class KeyIn(BaseModel):
    """A key to make. `tenant` and `groups` default to the caller's."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="whom or what it is for")
    permissions: list[Permission] = Field(default=["read"], min_length=1, max_length=3)
    tenant: str | None = Field(None, min_length=1, max_length=1000)
    groups: list[str] | None = Field(None, max_length=1000)
    lifetime: float | None = Field(None, gt=0, le=1e10, description="seconds until it expires; none: never")
    limits: LimitsBody = LimitsBody()


class KeyBody(BaseModel):
    """A key as it is kept, without its secret. Times are Unix seconds."""

    id: str
    name: str
    tenant: str
    groups: list[str]
    permissions: list[Permission]
    created: float
    expires: float | None
    limits: LimitsBody


class NewKeyBody(KeyBody):
    """A key just made. `key` is what requests carry; it is not shown again."""

    key: str


class KeysBody(BaseModel):
    """The keys that the caller may see, oldest first."""

    data: list[KeyBody]


def key_cache(request: Request) -> KeyCache:
    """The process's keys. Raises NoKeys."""
    found: KeyCache | None = request.app.state.keys
    if found is None:
        raise NoKeys("this service keeps no keys: it was started without an index of its own.")
    return found


Keeper = Annotated[Scope | None, Depends(key_keeper)]
Keys = Annotated[KeyCache, Depends(key_cache)]


@router.post(PATH, status_code=201, response_model=NewKeyBody, responses=ERRORS)
async def create(request: Request, body: KeyIn, keeper: Keeper, keys: Keys) -> NewKeyBody:
    """Make a key for the caller's tenant, with groups that the caller has. Its secret is shown here and never again."""
    settings = request.app.state.settings
    own = keeper or Scope(settings.tenant, frozenset(settings.groups))
    groups = own.groups if body.groups is None else frozenset(body.groups)
    wanted = Scope(body.tenant or own.tenant, groups)
    if keeper is not None and not _within(wanted, keeper):
        raise HTTPException(
            403, "an admin makes keys of its own tenant and groups only; use `librarian keys` on the server's machine."
        )
    limits = CallerLimits(**body.limits.model_dump())
    key, token = await asyncio.to_thread(keys.store.create, body.name, wanted, body.permissions, body.lifetime, limits)
    return NewKeyBody(**shown(key), key=token)


@router.get(PATH, response_model=KeysBody, responses=ERRORS)
async def listed(keeper: Keeper, keys: Keys) -> KeysBody:
    """The keys of the caller's tenant. Secrets are not among what is kept."""
    found = await asyncio.to_thread(keys.store.list, keeper.tenant if keeper else None)
    return KeysBody(data=[KeyBody(**shown(each)) for each in found])


@router.delete(f"{PATH}/{{identity}}", response_model=KeyBody, responses={**ERRORS, 404: {"model": ErrorResponse}})
async def revoke(identity: Annotated[str, Path(max_length=64)], keeper: Keeper, keys: Keys) -> KeyBody:
    """Revoke a key of the caller's tenant: here at once, on other replicas within 5 seconds."""
    key = await asyncio.to_thread(keys.store.revoke, identity, keeper.tenant if keeper else None)
    keys.forget(identity)
    return KeyBody(**shown(key))


def _within(wanted: Scope, keeper: Scope) -> bool:
    return wanted.tenant == keeper.tenant and (wanted.groups or frozenset()) <= (keeper.groups or frozenset())
