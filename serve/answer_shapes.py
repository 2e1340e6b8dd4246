"""An answer as a body: OpenAI's chat completion, with the context that it stands on. Also what `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from rag.schema import Answer, Citation, Passage, Usage
from serve.shapes import DroppedBody, PassageBody, dropped_list, passage_fields, rounded


class ContextPassage(PassageBody):
    """A passage that the model was given as [number]."""

    number: int
    cited: bool | None = Field(description="whether the answer cites it; null before the answer is complete")


class CitationBody(BaseModel):
    """A marker in the answer. origin: the model wrote it, or the service matched the sentence to the passage."""

    number: int
    start: int
    end: int
    origin: Literal["model", "matched"]


class UrlCitation(BaseModel):
    """OpenAI's url_citation: the marker's span in the content, and the source."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(BaseModel):
    """OpenAI's annotation."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    annotations: list[Annotation]


class Choice(BaseModel):
    """The only choice."""

    index: int = 0
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]


class UsageBody(BaseModel):
    """Tokens, as the model's server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatResponse(BaseModel):
    """OpenAI's chat completion, with the context that the answer stands on."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageBody
    context: list[ContextPassage] | None = Field(
        None, description="left out where the request says so", exclude_if=lambda passages: passages is None
    )
    citations: list[CitationBody]
    abstained: bool = Field(description="nothing relevant was found: the model was not asked")
    model_unavailable: bool = Field(description="the model failed: the sources stand without an answer, as asked")
    relevance: float | None
    dropped: list[DroppedBody]
    timings_ms: dict[str, float]


def context_list(passages: Sequence[Passage], citations: Sequence[Citation] | None) -> list[ContextPassage]:
    """The numbered passages; `citations` is None while the answer is still being written."""
    cited = None if citations is None else {each.number for each in citations}
    return [
        ContextPassage(number=number, cited=None if cited is None else number in cited, **passage_fields(each))
        for number, each in enumerate(passages, start=1)
    ]


def url_citations(answer: Answer) -> list[Annotation]:
    """The citations in OpenAI's shape."""
    return [
        Annotation(
            url_citation=UrlCitation(
                start_index=each.start, end_index=each.end, url=source.uri, title=source.title or source.path
            )
        )
        for each in answer.citations
        for source in (answer.sources[each.number - 1],)
    ]


def citation_list(citations: Sequence[Citation]) -> list[CitationBody]:
    """The citations in our shape."""
    return [CitationBody(number=each.number, start=each.start, end=each.end, origin=each.origin) for each in citations]


def usage_body(usage: Usage) -> UsageBody:
    """Tokens with their sum."""
    return UsageBody(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def chat_response(
    answer: Answer, identifier: str, created: int, model: str, include_context: bool = True
) -> ChatResponse:
    """A whole answer as a chat completion."""
    return ChatResponse(
        id=identifier,
        created=created,
        model=model,
        choices=[
            Choice(
                message=AssistantMessage(content=answer.text, annotations=url_citations(answer)),
                finish_reason="length" if answer.finish_reason == "length" else "stop",
            )
        ],
        usage=usage_body(answer.usage),
        context=context_list(answer.sources, answer.citations) if include_context else None,
        citations=citation_list(answer.citations),
        abstained=answer.finish_reason == "abstained",
        model_unavailable=answer.finish_reason == "unavailable",
        relevance=answer.relevance,
        dropped=dropped_list(answer.dropped),
        timings_ms=rounded(answer.timings_ms),
    )
