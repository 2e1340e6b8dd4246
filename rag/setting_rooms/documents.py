"""What one document may be, and how the ingestion job runs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import Names


class Documents(BaseModel):
    """What one document may be, and how the ingestion job runs."""

    # What passes one of these is reported as failed and never stops the job
    max_document_bytes: int = Field(32 * 1024 * 1024, ge=1, description="bytes; larger documents are refused")
    max_document_pages: int = Field(5000, ge=1, description="pages, slides or sheets of a document at most")
    max_document_characters: int = Field(
        50_000_000, ge=1, description="characters of text that a document may come to once it is read"
    )
    max_document_seconds: float = Field(120, gt=0, description="seconds that reading and cutting a document may take")
    max_document_memory: int = Field(
        2 * 1024**3, ge=256 * 1024**2, description="bytes of memory that the process reading a document may use"
    )
    max_expansion: int = Field(
        200, ge=2, description="how many times its packed size a compressed document or archive may unpack to"
    )
    max_archive_files: int = Field(10_000, ge=1, description="files that an archive may hold")

    ingest_workers: int | None = Field(
        None, ge=1, le=256, description="processes that read documents; empty: one, or two where there are many cores"
    )
    max_failures: float = Field(
        0.2, ge=0, description="a job stops once this share of the documents (or, from 1 on, this many) has failed"
    )
    allow_urls: Names = Field(
        (), description="hosts from which http(s) sources may be read, as example.org or *.example.org; * is any"
    )
    allow_private_urls: bool = Field(False, description="read http(s) sources on private and link-local addresses too")
    url_timeout: float = Field(60, gt=0, description="seconds that fetching one document from a URL may take")
    compact: bool = Field(
        True, description="an ingest that leaves mostly deleted points in an embedded collection makes it smaller"
    )
