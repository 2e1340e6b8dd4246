"""Qdrant's HTTP API over qdrant-client's in-memory mode: what several processes can share where no server can be had.

It stands for one Qdrant node without its durability, speed and replication; it knows the calls that Librarian makes.

    python -m tests.cluster.rehearsal.qdrant_stand_in PORT API_KEY
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from qdrant_client import QdrantClient
from qdrant_client.http import models
from starlette.concurrency import run_in_threadpool

OPEN = {"/readyz", "/livez", "/healthz"}


def build(api_key: str) -> FastAPI:
    """The application, with an empty store."""
    store = QdrantClient(":memory:")
    turn = threading.Lock()
    app = FastAPI()

    @app.middleware("http")
    async def keep_out(request: Request, call_next: Any) -> Any:
        if request.url.path not in OPEN and request.headers.get("api-key") != api_key:
            return JSONResponse({"status": {"error": "Must provide an API key"}}, 401)
        return await call_next(request)

    def one_at_a_time(call: Any, *args: Any, **kwargs: Any) -> Any:
        with turn:
            return call(*args, **kwargs)

    async def answer(call: Any, *args: Any, **kwargs: Any) -> JSONResponse:
        try:
            result = await run_in_threadpool(one_at_a_time, call, *args, **kwargs)
        except ValueError as error:
            return JSONResponse({"status": {"error": str(error)}, "time": 0}, 404 if "not found" in str(error) else 400)
        return JSONResponse({"result": _plain(result), "status": "ok", "time": 0})

    for path in sorted(OPEN):
        app.get(path)(lambda: "ok")

    @app.get("/")
    async def version() -> dict[str, str]:
        return {"title": "stand-in for Qdrant", "version": "1.20.0"}

    @app.get("/collections")
    async def collections() -> JSONResponse:
        return await answer(store.get_collections)

    @app.get("/aliases")
    async def aliases() -> JSONResponse:
        return await answer(store.get_aliases)

    @app.post("/collections/aliases")
    async def change_aliases(body: models.ChangeAliasesOperation) -> JSONResponse:
        return await answer(store.update_collection_aliases, change_aliases_operations=body.actions)

    @app.get("/collections/{name}")
    async def collection(name: str) -> JSONResponse:
        return await answer(store.get_collection, name)

    @app.put("/collections/{name}")
    async def create(name: str, body: models.CreateCollection) -> JSONResponse:
        return await answer(
            store.create_collection,
            name,
            vectors_config=body.vectors,
            sparse_vectors_config=body.sparse_vectors,
            metadata=body.metadata,
        )

    @app.patch("/collections/{name}")
    async def change(name: str, body: models.UpdateCollection) -> JSONResponse:
        return await answer(store.update_collection, name, metadata=body.metadata)

    @app.delete("/collections/{name}")
    async def drop(name: str) -> JSONResponse:
        return await answer(store.delete_collection, name)

    @app.put("/collections/{name}/index")
    async def index(name: str) -> JSONResponse:
        return await answer(lambda: models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED))

    @app.put("/collections/{name}/points")
    async def upsert(name: str, body: models.PointsList | models.PointsBatch) -> JSONResponse:
        points = body.points if isinstance(body, models.PointsList) else body.batch
        return await answer(store.upsert, name, points)

    @app.post("/collections/{name}/points/delete")
    async def delete(name: str, body: models.FilterSelector | models.PointIdsList) -> JSONResponse:
        return await answer(store.delete, name, body)

    @app.post("/collections/{name}/points/payload")
    async def set_payload(name: str, body: models.SetPayload) -> JSONResponse:
        return await answer(store.set_payload, name, body.payload, body.filter or body.points)

    @app.post("/collections/{name}/points/query/batch")
    async def query(name: str, body: models.QueryRequestBatch) -> JSONResponse:
        return await answer(store.query_batch_points, name, body.searches)

    @app.post("/collections/{name}/points/scroll")
    async def scroll(name: str, body: models.ScrollRequest) -> JSONResponse:
        def page() -> models.ScrollResult:
            found, following = store.scroll(
                name,
                body.filter,
                body.limit or 10,
                offset=body.offset,
                with_payload=True if body.with_payload is None else body.with_payload,
                with_vectors=body.with_vector or False,
            )
            return models.ScrollResult(points=found, next_page_offset=following)

        return await answer(page)

    @app.post("/collections/{name}/points/count")
    async def count(name: str, body: models.CountRequest) -> JSONResponse:
        return await answer(store.count, name, body.filter)

    @app.post("/collections/{name}/facet")
    async def facet(name: str, body: models.FacetRequest) -> JSONResponse:
        return await answer(store.facet, name, body.key, body.filter, body.limit or 10, True)

    return app


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


if __name__ == "__main__":
    uvicorn.run(build(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
