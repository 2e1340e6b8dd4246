"""The bodies of POST /v1/search. Also what `librarian search --json` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from rag.schema import SearchResult
from serve.shapes import GivenFilter, Name, PassageBody, Strict, passage_fields, rounded


class SearchRequest(Strict):
    """What to search for."""

    query: str = Field(min_length=1, max_length=20_000, examples=["What does a readiness probe do?"])
    collection: Name | None = Field(None, description="collection or alias; default: the service's")
    top_k: int | None = Field(None, ge=1, le=100, description="passages to return")
    filter: GivenFilter = None


class SearchResponse(BaseModel):
    """Ranked passages, best first."""

    object: Literal["list"] = "list"
    query: str
    collection: str
    relevance: float | None = Field(description="probability that they answer; too low: answers abstain")
    data: list[PassageBody]
    timings_ms: dict[str, float]


def search_response(result: SearchResult) -> SearchResponse:
    """A search result as a body."""
    return SearchResponse(
        query=result.query,
        collection=result.collection,
        relevance=result.relevance,
        data=[PassageBody(**passage_fields(each)) for each in result.passages],
        timings_ms=rounded(result.timings_ms),
    )
