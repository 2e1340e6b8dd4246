"""What the bodies of several routes are made of: names, filters, passages, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from rag.errors import BadInput
from rag.filters import from_json
from rag.schema import Dropped, Passage

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NAME_PATTERN)]


class Strict(BaseModel):
    """A request body: an unknown field is refused by name, never ignored."""

    model_config = ConfigDict(extra="forbid")


def _can_be_read(given: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        if given is not None:
            from_json(given)
    except BadInput as error:
        raise ValueError(str(error)) from None
    return given


GivenFilter = Annotated[
    dict[str, Any] | None,
    AfterValidator(_can_be_read),
    Field(
        description="only passages that match: a comparison {field, eq | in | gt, gte, lt, lte | exists}, or and, or, "
        "not of such. Fields: metadata.KEY, path, title, uri, format, page",
        examples=[
            {"and": [{"field": "metadata.team", "eq": "infra"}, {"field": "metadata.date", "gte": "2026-01-01"}]}
        ],
    ),
]


class PassageBody(BaseModel):
    """A passage with its source. `start` and `end` count characters of the document's text."""

    id: str
    text: str
    score: float = Field(description="fused rank score; orders the list, has no unit")
    dense_score: float | None = Field(description="cosine to the query, where the dense leg found it")
    sparse_score: float | None = Field(description="BM25, where the keyword leg found it")
    source: str = Field(description="the document's path")
    uri: str
    title: str
    heading_path: list[str]
    start: int
    end: int
    metadata: dict[str, str]


class DroppedBody(BaseModel):
    """What was left out, and why."""

    what: str
    reason: str


class ErrorBody(BaseModel):
    """OpenAI's error."""

    message: str
    type: str
    code: str
    param: str | None = None
    request_id: str


class ErrorResponse(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "64 requests are at work already; try again shortly.",
                        "type": "rate_limit_error",
                        "code": "overloaded",
                        "param": None,
                        "request_id": "b6f0c1d2e3f4455687a9b0c1d2e3f405",
                    }
                }
            ]
        }
    )

    error: ErrorBody


def passage_fields(passage: Passage) -> dict[str, Any]:
    """A passage as the fields of PassageBody."""
    return {
        "id": passage.id,
        "text": passage.text,
        "score": passage.score,
        "dense_score": passage.dense_score,
        "sparse_score": passage.sparse_score,
        "source": passage.path,
        "uri": passage.uri,
        "title": passage.title,
        "heading_path": list(passage.heading_path),
        "start": passage.start,
        "end": passage.end,
        "metadata": dict(passage.metadata),
    }


def dropped_list(dropped: Sequence[Dropped]) -> list[DroppedBody]:
    """What was left out."""
    return [DroppedBody(what=each.what, reason=each.reason) for each in dropped]


def rounded(timings: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds to two decimals."""
    return {name: round(value, 2) for name, value in timings.items()}
