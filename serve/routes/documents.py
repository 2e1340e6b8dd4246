"""/v1/documents: documents in, as a job; what is indexed; and out again."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from rag.documents import held_documents
from rag.errors import BadInput, LibrarianError
from rag.feeding import DiskFull, Ingestor, Spool, Upload
from rag.records import check_askable
from rag.schema import Scope
from rag.settings import Settings
from serve.access import admitted, reader, writer
from serve.bounded_json import check_counts
from serve.document_shapes import (
    DeletedBody,
    DeleteIn,
    DocumentIn,
    DocumentsBody,
    DocumentsIn,
    JobBody,
    MetadataBody,
    document_body,
    job_body,
    upload_request_body,
)
from serve.receiving import Form, document_name, receive_form
from serve.shapes import ErrorResponse, Name

PATH = "/v1/documents"
# Parsed in memory; more than this comes as files, which are not.
MAX_JSON_BYTES = 32 * 1024 * 1024
SUFFIXES = {"markdown": ".md", "text": ".txt", "html": ".html"}
MAX_URI = 8192

router = APIRouter(tags=["documents"])
_T = TypeVar("_T")
_names: TypeAdapter[str] = TypeAdapter(Name)
_metadata: TypeAdapter[dict[str, str]] = TypeAdapter(MetadataBody)


class NoDocuments(LibrarianError):
    """This process only answers."""

    code = "no_ingestion"
    http_status = 501


def ingestor(request: Request) -> Ingestor:
    """What takes documents in. Raises NoDocuments where the process has nothing of the kind."""
    found: Ingestor | None = request.app.state.ingestor
    if found is None:
        raise NoDocuments("this service only answers questions; feed its index with `librarian ingest`.")
    return found


TheIngestor = Annotated[Ingestor, Depends(ingestor)]


@router.post(
    PATH,
    status_code=202,
    response_model=JobBody,
    responses={
        202: {"headers": {"Location": {"description": "where the job is", "schema": {"type": "string"}}}},
        **{status: {"model": ErrorResponse} for status in (400, 401, 403, 413, 429, 501, 503, 504, 507, "default")},
    },
    openapi_extra={"requestBody": upload_request_body()},
    dependencies=[Depends(admitted)],
)
async def add(
    request: Request, response: Response, scope: Annotated[Scope, Depends(writer)], engine: TheIngestor
) -> JobBody:
    """Index documents, sent as files (multipart/form-data) or as text (application/json). Answers with a job.

    A document's URI is `upload:` and its percent-encoded name: sending a name again replaces what it named. Nothing
    else is deleted. Ask GET /v1/jobs/{id} how far the job is; what failed, and why, is in its report.
    """
    settings: Settings = request.app.state.settings
    declared = request.headers.get("content-length", "0")
    spool = await asyncio.to_thread(engine.spool, int(declared) if declared.isdigit() else 0)
    try:
        async with asyncio.timeout(settings.request_timeout):
            collection, documents = await _received(request, spool, settings, scope)
        job = await asyncio.to_thread(engine.upload, spool, documents, collection, scope)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(spool.discard))
        raise
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_body(job)


@router.get(
    PATH,
    response_model=DocumentsBody,
    responses={status: {"model": ErrorResponse} for status in (400, 401, 404, 429, 501, 503, 504, "default")},
    dependencies=[Depends(admitted)],
)
async def indexed(
    request: Request,
    scope: Annotated[Scope, Depends(reader)],
    engine: TheIngestor,
    collection: Annotated[Name | None, Query(description="collection or alias; default: the service's")] = None,
    prefix: Annotated[str, Query(max_length=MAX_URI, description="only URIs that start so")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=64, description="`next_cursor` of the page before")] = "",
) -> DocumentsBody:
    """The documents that are indexed and that the caller may read.

    Each page is sorted by URI; pages follow one another in no order that means anything. With a `prefix` a page may
    hold few documents, or none, and have a `next_cursor`: go on until there is none. A document that is being replaced
    may stand on two pages.
    """
    settings: Settings = request.app.state.settings
    name = check_askable(collection or settings.collection)
    start = _from_cursor(cursor) if cursor else None
    async with asyncio.timeout(settings.request_timeout):
        page = await asyncio.to_thread(held_documents, engine.index, name, scope, prefix, start, limit)
    data = [document_body(each) for each in page.documents]
    return DocumentsBody(collection=name, data=data, next_cursor=page.following and _to_cursor(page.following))


@router.delete(
    PATH,
    response_model=DeletedBody,
    responses={
        status: {"model": ErrorResponse} for status in (400, 401, 403, 404, 409, 413, 429, 501, 503, 504, "default")
    },
    dependencies=[Depends(admitted)],
)
async def remove(
    request: Request,
    scope: Annotated[Scope, Depends(writer)],
    engine: TheIngestor,
    uri: Annotated[list[str], Query(max_length=1000, description="URI of a document; may be repeated")] = [],  # noqa: B006
    collection: Annotated[Name | None, Query(description="collection or alias; default: the service's")] = None,
    body: DeleteIn | None = None,
) -> DeletedBody:
    """Delete documents, named in the query or in the body. A document that is not there is no error."""
    uris = list(dict.fromkeys([*uri, *(body.uris if body else ())]))
    if not uris:
        raise BadInput("name what to delete: ?uri=upload:NAME, or a body with `uris`.")
    settings: Settings = request.app.state.settings
    async with asyncio.timeout(settings.request_timeout):
        deleted = await asyncio.to_thread(engine.delete, collection or settings.collection, uris, scope)
    return DeletedBody(deleted=deleted)


async def _received(request: Request, spool: Spool, settings: Settings, scope: Scope) -> tuple[str, Sequence[Upload]]:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await receive_form(content_type, _stream(request), spool.folder, settings.max_upload_documents)
        collection, documents = _from_form(form, scope)
    elif kind == "application/json":
        body = await _small(request, spool)
        async with request.app.state.parsing:  # one at a time: each takes several times its size for a moment
            collection, documents = await asyncio.to_thread(_from_json, body, spool, settings, scope)
    else:
        raise BadInput("send documents as multipart/form-data or as application/json.")
    seen: dict[str, int] = {}
    for number, each in enumerate(documents, start=1):
        if each.name in seen:
            raise BadInput(f"documents {seen[each.name]} and {number} have the same name '{each.name}': rename one.")
        seen[each.name] = number
    return collection or settings.collection, documents


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for some in request.stream():
            yield some
    except ClientDisconnect:
        raise BadInput("the upload broke off.") from None


async def _small(request: Request, spool: Spool) -> Path:
    """The body as a file: many that arrive slowly and together take no memory."""
    path = spool.folder / "body"
    size = 0
    try:
        with path.open("xb") as file:
            async for some in _stream(request):
                size += len(some)
                if size > MAX_JSON_BYTES:
                    raise BadInput(
                        f"a JSON body may have {MAX_JSON_BYTES} bytes; send more as files (multipart/form-data)."
                    )
                await asyncio.to_thread(file.write, some)
    except OSError as error:
        raise DiskFull(f"the server cannot write what was sent: {error.strerror or error}.") from None
    return path


def _from_form(form: Form, scope: Scope) -> tuple[str | None, list[Upload]]:
    if not form.files:
        raise BadInput("no file was sent: send one or more in the field 'files'.")
    given = form.fields
    collection = _checked(_names, given["collection"], "collection") if given.get("collection") else None
    named = sorted({each.strip() for each in given.get("groups", "").split(",") if each.strip()})
    groups = tuple(named) if "groups" in given else None
    try:
        metadata = _checked(_metadata, json.loads(given.get("metadata") or "{}"), "metadata")
    except ValueError:
        raise BadInput('metadata must be a JSON object of strings, as {"team": "sre"}.') from None
    prefix = given.get("prefix", "").strip("/")
    return collection, [
        Upload(
            document_name(f"{prefix}/{each.name}" if prefix else each.name, f"file {number} ('{each.name}')"),
            each.file,
            _groups(groups, scope),
            metadata=metadata,
        )
        for number, each in enumerate(form.files, start=1)
    ]


def _from_json(path: Path, spool: Spool, settings: Settings, scope: Scope) -> tuple[str | None, list[Upload]]:
    body = path.read_bytes()
    path.unlink()
    check_counts(body, settings.max_upload_documents)
    try:
        given = DocumentsIn.model_validate_json(body)
    except ValidationError as error:
        raise BadInput(_first(error)) from None
    del body
    found = []
    for number, each in enumerate(given.documents, start=1):
        name = document_name(each.id, f"document {number}")
        file = spool.folder / str(number)
        try:
            file.write_text(each.text, encoding="utf-8")
        except UnicodeEncodeError:
            raise BadInput(f"document {number} ('{name}'): its text holds half of a surrogate pair.") from None
        groups = each.groups if each.groups is not None else given.groups
        found.append(
            Upload(
                name,
                file,
                _groups(None if groups is None else tuple(sorted(set(groups))), scope),
                each.title,
                {**given.metadata, **each.metadata},
                _suffix(each),
            )
        )
    return given.collection, found


def _suffix(document: DocumentIn) -> str:
    return SUFFIXES[document.format]


def _groups(given: tuple[str, ...] | None, scope: Scope) -> tuple[str, ...]:
    """Who may read what was sent: by default those for whom this service writes at all."""
    return tuple(sorted(scope.groups or ())) if given is None else given


def _checked(adapter: TypeAdapter[_T], value: object, what: str) -> _T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise BadInput(f"{what}: {error.errors()[0]['msg']}") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = first["loc"]
    if len(place) > 1 and place[0] == "documents" and isinstance(place[1], int):
        rest = ".".join(str(each) for each in place[2:])
        return f"document {place[1] + 1}{': ' + rest if rest else ''}: {first['msg']}"
    return f"{'.'.join(str(each) for each in place) or 'the body'}: {first['msg']}"


def _to_cursor(identity: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(identity).bytes).decode().rstrip("=")


def _from_cursor(cursor: str) -> str:
    try:
        return str(uuid.UUID(bytes=base64.b64decode(f"{cursor}==".encode(), b"-_", validate=True)))
    except (ValueError, binascii.Error):
        raise BadInput("the cursor is not one that this service gave.") from None
