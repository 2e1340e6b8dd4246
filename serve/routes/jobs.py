"""/v1/jobs: how far an upload is, and the work that commands of this machine hand over."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from rag.feeding import Handed
from rag.schema import Scope
from serve.access import holder, job_reader, job_writer
from serve.document_shapes import HandedIn, JobBody, JobsBody, job_body
from serve.routes.documents import TheIngestor
from serve.shapes import ErrorResponse

PATH = "/v1/jobs"
JobId = Annotated[str, Path(max_length=64, description="the job's id")]

router = APIRouter(tags=["documents"])


@router.get(
    f"{PATH}/{{identity}}",
    response_model=JobBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 501, 503, "default")},
)
async def job(identity: JobId, scope: Annotated[Scope, Depends(job_reader)], engine: TheIngestor) -> JobBody:
    """A job as it stands. One whose process died is failed within a minute and names what to send again."""
    return job_body(await asyncio.to_thread(engine.job, identity, scope))


@router.get(
    PATH,
    response_model=JobsBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 501, 503, "default")},
)
async def jobs(
    scope: Annotated[Scope, Depends(job_reader)],
    engine: TheIngestor,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JobsBody:
    """The newest jobs. Ended ones are kept for a week, a thousand at most."""
    return JobsBody(data=[job_body(each) for each in await asyncio.to_thread(engine.jobs, scope, limit)])


@router.delete(
    f"{PATH}/{{identity}}",
    status_code=202,
    response_model=JobBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 403, 404, 501, 503, "default")},
)
async def cancel(identity: JobId, scope: Annotated[Scope, Depends(job_writer)], engine: TheIngestor) -> JobBody:
    """Ask a job to stop at its next safe point. What it wrote stays; a job that has ended stays as it is."""
    return job_body(await asyncio.to_thread(engine.cancel, identity, scope))


@router.post(
    PATH,
    status_code=202,
    response_model=JobBody,
    responses={status: {"model": ErrorResponse} for status in (400, 403, 409, 413, 429, 501, 503, "default")},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": HandedIn.model_json_schema()}}}
    },
)
async def hand_over(
    request: Request,
    response: Response,
    scope: Annotated[Scope, Depends(holder)],
    engine: TheIngestor,
) -> JobBody:
    """For `librarian ingest` on the server's own machine while this process holds the embedded index; others get 403.

    They prove it with the token that lies, readable for one user only, in the index's folder.
    """
    body = await asyncio.to_thread(_handed, await request.body())  # read only once it is known who sends it
    handed = Handed(
        action=body.action,
        sources=tuple(body.sources),
        collection=body.collection,
        tenant=body.tenant,
        fingerprint=body.fingerprint,
        options=body.options,
        settings=body.settings,
        include=tuple(body.include),
        exclude=tuple(body.exclude),
        only=None if body.only is None else tuple(body.only),
    )
    found = await asyncio.to_thread(engine.ingest, handed)
    response.headers["Location"] = f"{PATH}/{found.id}"
    return job_body(found)


def _handed(body: bytes) -> HandedIn:
    try:
        return HandedIn.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
