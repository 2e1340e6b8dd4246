"""Whether the process lives, whether it can answer, and what it counts. No key: probes and scrapers have none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from rag.answering import Librarian
from rag.errors import CollectionNotFound, LibrarianError
from serve.metrics import Metrics
from serve.shapes import ErrorResponse
from serve.sharing import Shared

router = APIRouter(tags=["health"])

CHECK_SECONDS = 5.0

Part = Literal["index", "model"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """What each part says: "ok", or what is wrong with it."""

    ready: bool
    checks: dict[str, str]


@router.get("/healthz", response_model=Alive)
async def healthz() -> Alive:
    """The process lives. Says nothing of Qdrant or the model: restarting this would not mend them."""
    return Alive()


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": Ready}, **{status: {"model": ErrorResponse} for status in (400, "default")}},
)
async def readyz(
    request: Request,
    response: Response,
    part: Annotated[list[Part] | None, Query(description="what must answer; none: index and model")] = None,
) -> Ready:
    """Questions can be answered: the index and the chat model answer within 5 seconds.

    With `part=index` only the index is asked: searches work without the model, and a service all of whose replicas
    are taken out of rotation cannot even say when to come again. 503 from the moment the process is told to stop.
    Probes at the same time are one question to each part, however many they are.
    """
    if request.app.state.stopping:
        response.status_code = 503
        return Ready(ready=False, checks={"process": "stopping"})
    librarian: Librarian = request.app.state.librarian
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "index": lambda: librarian.retriever.index.resolve(request.app.state.settings.collection),
        "model": librarian.model.check,
    }
    names = sorted(set(part or calls))
    probes: Shared[str] = request.app.state.probes
    results = await asyncio.gather(*(probes.call(name, partial(_check, calls[name])) for name in names))
    checks = dict(zip(names, results, strict=True))
    ready = all(each == "ok" for each in results)
    response.status_code = 200 if ready else 503
    return Ready(ready=ready, checks=checks)


async def _check(call: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await call()
    except CollectionNotFound:
        return "ok"  # nothing ingested yet: the index answered
    except LibrarianError as error:
        return error.code  # the code only: messages name hosts, and this route needs no key
    except TimeoutError:
        return "timeout"
    return "ok"


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.render(), media_type=counted.content_type)
