"""The bodies of /v1/documents and /v1/jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, FailFast, Field, StringConstraints

from rag.documents import Held
from rag.feeding import MAX_HANDED_SOURCES
from rag.jobs import Job
from serve.shapes import Name, Strict

MAX_NAME = 512
MAX_METADATA = 64
MAX_GROUPS = 64

DocumentName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
Group = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Value = Annotated[str, StringConstraints(max_length=4096)]
MetadataBody = Annotated[dict[Key, Value], Field(max_length=MAX_METADATA)]


class DocumentIn(Strict):
    """One document as text."""

    id: DocumentName = Field(
        description="its name; the same again replaces it, and its URI is `upload:` and this", examples=["runbooks/dns"]
    )
    text: str = Field(description="the text itself", examples=["# DNS\n\nRestart CoreDNS when lookups time out."])
    title: str | None = Field(None, max_length=MAX_NAME, description="default: its first heading, or its name")
    format: Literal["markdown", "text", "html"] = Field("markdown", description="how the text is to be read")
    metadata: MetadataBody = Field({}, description="stored with it and shown with what is found of it")
    groups: list[Group] | None = Field(
        None, max_length=MAX_GROUPS, description="who may read it; default: as for the request"
    )


class DocumentsIn(Strict):
    """Documents to add, or to replace where they are there already."""

    documents: Annotated[list[DocumentIn], FailFast()] = Field(min_length=1)
    collection: Name | None = Field(None, description="collection or alias; default: the service's")
    groups: list[Group] | None = Field(
        None,
        max_length=MAX_GROUPS,
        description="groups that may read them; default: the service's groups, else everyone",
    )
    metadata: MetadataBody = Field({}, description="stored with each of them, beneath its own")


class ErrorOfJob(BaseModel):
    """Why a job did not end well."""

    code: str
    message: str


class JobBody(BaseModel):
    """A job. `progress` and `report` count documents and chunks; `report.failed` names what failed and why."""

    id: str
    object: Literal["job"] = "job"
    kind: Literal["upload", "ingest"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    collection: str
    created: float = Field(description="Unix seconds, as all times")
    heartbeat: float = Field(description="when the process that runs it last said so")
    finished: float | None
    progress: dict[str, Any]
    report: dict[str, Any] | None = Field(description="what was done, once it has ended")
    error: ErrorOfJob | None
    send_again: list[str] = Field(description="what a job that did not end well must be sent again")

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "id": "0d0f7e3b6a11476f8b0b8f0e2f0e5c55",
                    "object": "job",
                    "kind": "upload",
                    "state": "done",
                    "collection": "documents",
                    "created": 1764000000.0,
                    "heartbeat": 1764000004.2,
                    "finished": 1764000004.2,
                    "progress": {"documents": 1, "done": 1, "chunks": 3, "failed": 0},
                    "report": {"added": 1, "replaced": 0, "kept": 0, "chunks": 3, "failures": 0, "failed": []},
                    "error": None,
                    "send_again": [],
                }
            ]
        }
    }


class JobsBody(BaseModel):
    """Jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobBody]


class HandedIn(Strict):
    """Work that a command of this machine hands to the process that holds the embedded index."""

    kind: Literal["ingest"] = "ingest"
    action: Literal["run", "plan", "check"] = "run"
    sources: list[str] = Field(min_length=1, max_length=MAX_HANDED_SOURCES)
    collection: Name
    tenant: str
    fingerprint: dict[str, Any]
    options: dict[str, Any] = Field({})
    settings: dict[str, Any] = Field({})
    include: list[str] = Field([])
    exclude: list[str] = Field([])
    only: list[str] | None = None


class DocumentBody(BaseModel):
    """A document that is indexed."""

    uri: str
    path: str
    title: str
    chunks: int
    format: str
    groups: list[str]
    metadata: dict[str, str]


class DocumentsBody(BaseModel):
    """Documents, a page by URI. `next_cursor`, where there may be more, is the `cursor` of the next request."""

    object: Literal["list"] = "list"
    collection: str
    data: list[DocumentBody]
    next_cursor: str | None


class DeleteIn(Strict):
    """Which documents."""

    uris: list[str] = Field(min_length=1, max_length=1000, examples=[["upload:runbooks/dns"]])


class DeletedBody(BaseModel):
    """How many of them were there; now they are not."""

    object: Literal["documents.deleted"] = "documents.deleted"
    deleted: int


def job_body(job: Job) -> JobBody:
    """A job as a body."""
    return JobBody(
        id=job.id,
        kind=job.kind,
        state=job.state,
        collection=job.collection,
        created=job.created,
        heartbeat=job.heartbeat,
        finished=job.finished,
        progress=dict(job.progress),
        report=None if job.report is None else dict(job.report),
        error=None if job.error is None else ErrorOfJob(code=job.error.code, message=job.error.message),
        send_again=list(job.send_again),
    )


def document_body(held: Held) -> DocumentBody:
    """An indexed document as a body."""
    return DocumentBody(
        uri=held.uri,
        path=held.path,
        title=held.title,
        chunks=held.chunks,
        format=held.format,
        groups=list(held.groups),
        metadata=dict(held.metadata),
    )


def upload_request_body() -> Mapping[str, Any]:
    """What POST /v1/documents takes, for the OpenAPI document: types cannot say that a route has two kinds of body."""
    schema = DocumentsIn.model_json_schema()
    document = schema.pop("$defs")["DocumentIn"]
    schema["properties"]["documents"]["items"] = document
    fields = {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "collection": {"type": "string", "description": "collection or alias; default: the service's"},
        "groups": {"type": "string", "description": "groups that may read them, comma-separated"},
        "metadata": {"type": "string", "description": "a JSON object of strings, stored with each file"},
        "prefix": {"type": "string", "description": "a folder, put before each file's name"},
    }
    form = {"type": "object", "required": ["files"], "properties": fields}
    return {
        "required": True,
        "content": {"multipart/form-data": {"schema": form}, "application/json": {"schema": schema}},
    }
