"""The API: where it listens, how much it takes at once, what it logs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import HttpUrl


class Service(BaseModel):
    """The API: where it listens, how much it takes at once, what it logs."""

    api_url: HttpUrl | None = Field(
        None, description="running Librarian that `ask` and `search` use; empty: this machine"
    )
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=1, le=65535, description="port the API listens on")
    max_request_bytes: int = Field(1024 * 1024, ge=1024, description="bytes of a request body at most")
    request_timeout: float = Field(300, gt=0, description="seconds a request may take from start to end")
    shutdown_grace: float = Field(
        30, ge=0, le=3600, description="seconds that requests have to finish once the service is told to stop"
    )
    max_concurrent_requests: int = Field(64, ge=1, description="answers and searches at work at once; others: 429")
    max_upload_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="bytes of the documents in one POST /v1/documents at most"
    )
    max_upload_documents: int = Field(1000, ge=1, description="documents in one POST /v1/documents at most")
    max_queued_jobs: int = Field(16, ge=1, description="upload and ingestion jobs that wait or run; others: 429")
    feedback_days: float = Field(
        365, ge=0, le=36_500, description="days that ratings of answers (POST /v1/feedback) are kept; 0: none are taken"
    )
    otel: bool = Field(False, description="send traces (OTEL_EXPORTER_OTLP_ENDPOINT says where); needs the extra otel")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    log_questions: bool = Field(False, description="write the text of questions into the log too")
