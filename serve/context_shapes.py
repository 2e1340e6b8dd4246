"""The bodies of POST /v1/context."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag.answering import Found
from rag.rewriting import Rewrite
from rag.schema import Context, Role
from serve.chat_shapes import ChatMessage
from serve.shapes import (
    DroppedBody,
    GivenFilter,
    Name,
    PassageBody,
    Strict,
    dropped_list,
    passage_fields,
    rounded,
)


class ContextRequest(Strict):
    """What is asked: a query, or a conversation that ends with the question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What does a readiness probe do?", "max_tokens": 1500}]}
    )

    query: str | None = Field(None, min_length=1, max_length=20_000)
    messages: list[ChatMessage] | None = Field(None, min_length=1, description="at most LIBRARIAN_MAX_MESSAGES (200)")
    collection: Name | None = Field(None, description="collection or alias; default: the service's")
    top_k: int | None = Field(None, ge=1, le=100, description="passages to retrieve")
    filter: GivenFilter = None
    max_tokens: int | None = Field(
        None, ge=1, description="tokens of the passages in the prompt; default: LIBRARIAN_MAX_CONTEXT_TOKENS"
    )
    rewrite: Rewrite | None = Field(None, description="how a follow-up becomes what is searched")

    @model_validator(mode="after")
    def _one_of_the_two(self) -> ContextRequest:
        if (self.query is None) == (self.messages is None):
            raise ValueError("give either 'query' or 'messages'")
        return self


class NumberedPassage(PassageBody):
    """A passage that stands in the prompt as [number]."""

    number: int


class PromptMessage(BaseModel):
    """One message of the prompt."""

    role: Role
    content: str


class ContextResponse(BaseModel):
    """A prompt for a model of the caller's own, and what it is made of."""

    object: Literal["context"] = "context"
    query: str = Field(description="what was searched: the question, or what a follow-up was rewritten to")
    collection: str
    relevant: bool = Field(description="whether Librarian would answer from it; if not, better say that you don't know")
    relevance: float | None = Field(description="probability that the passages answer")
    passages: list[NumberedPassage]
    messages: list[PromptMessage] = Field(description="the whole prompt, ready to send; empty where nothing was found")
    prompt_tokens: int
    tokens: Literal["exact", "upper bound"] = Field(
        description="exact: by the served model's tokenizer; upper bound: bytes, where no tokenizer is to be had"
    )
    max_answer_tokens: int = Field(description="what the window of the served model leaves for an answer")
    dropped: list[DroppedBody]
    timings_ms: dict[str, float]


def context_response(found: Found, context: Context, exact: bool, assembling: float) -> ContextResponse:
    """What was found and assembled as a body. `assembling` is in milliseconds."""
    return ContextResponse(
        query=found.result.query,
        collection=found.result.collection,
        relevant=found.relevant,
        relevance=found.result.relevance,
        passages=[
            NumberedPassage(number=number, **passage_fields(each))
            for number, each in enumerate(context.passages, start=1)
        ],
        messages=[PromptMessage(role=each.role, content=each.content) for each in context.messages],
        prompt_tokens=context.prompt_tokens,
        tokens="exact" if exact else "upper bound",
        max_answer_tokens=context.max_answer_tokens,
        dropped=dropped_list(context.dropped),
        timings_ms=rounded({"rewrite": found.rewriting, **found.result.timings_ms, "assemble": assembling}),
    )
