"""The HTTP API's bodies: OpenAI's shapes, with Librarian's own fields beside them. Also what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from rag.errors import BadInput
from rag.filters import from_json
from rag.rewriting import Rewrite
from rag.schema import Answer, Citation, Dropped, Passage, SearchResult, Usage
from serve.refusals import without_nothing

MAX_MESSAGES = 200
MAX_TEXT = 100_000

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


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


class SearchRequest(Strict):
    """What to search for."""

    query: str = Field(min_length=1, max_length=20_000, examples=["What does a readiness probe do?"])
    collection: Name | None = Field(None, description="collection or alias; default: the service's")
    top_k: int | None = Field(None, ge=1, le=100, description="passages to return")
    filter: GivenFilter = None


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


class SearchResponse(BaseModel):
    """Ranked passages, best first."""

    object: Literal["list"] = "list"
    query: str
    collection: str
    relevance: float | None = Field(description="probability that they answer; too low: answers abstain")
    data: list[PassageBody]
    timings_ms: dict[str, float]


class TextPart(Strict):
    """The one kind of content part that is read."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_TEXT)


def _content_kind(value: object) -> str:
    """Which kind of content is meant, so that an error speaks of that one only."""
    return "parts" if isinstance(value, list) else "text"


Content = Annotated[
    Annotated[str, Field(max_length=MAX_TEXT), Tag("text")] | Annotated[list[TextPart], Tag("parts")],
    Discriminator(_content_kind),
]


class ChatMessage(BaseModel):
    """One turn. Content is text, or a list of text parts.

    What clients add to a turn is taken and not used (`name`, and what came with an earlier answer); tool calls are not.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    tool_calls: list[Any] | None = Field(None, description="none: no tools are offered")

    @model_validator(mode="before")
    @classmethod
    def _an_answer_that_never_came_is_empty(cls, given: Any) -> Any:
        """Clients keep the turn of an answer that was broken off, with content null."""
        if isinstance(given, dict) and given.get("role") == "assistant" and given.get("content", "") is None:
            return {**given, "content": ""}
        return given

    @field_validator("tool_calls")
    @classmethod
    def _no_tool_was_called(cls, given: list[Any] | None) -> None:
        if given:
            raise ValueError("calls of tools cannot be answered: the model is offered no tools")

    def text(self) -> str:
        """The turn's words."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(Strict):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class ChatRequest(Strict):
    """OpenAI's chat completion request, less what Librarian cannot honour: those fields are refused by name."""

    model: str = Field("librarian", max_length=160, examples=["librarian", "librarian/documents"])
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    n: Literal[1] | None = Field(None, description="there is one answer")
    user: str | None = Field(None, max_length=256, description="taken and not used")
    safety_identifier: str | None = Field(None, max_length=256, description="taken and not used")
    prompt_cache_key: str | None = Field(None, max_length=256, description="taken and not used")
    metadata: dict[str, Any] | None = Field(None, description="taken and not used: nothing is stored with an answer")
    collection: Name | None = Field(None, description="Librarian: collection or alias to answer from")
    top_k: int | None = Field(None, ge=1, le=100, description="Librarian: passages to retrieve")
    filter: GivenFilter = None
    rewrite: Rewrite | None = Field(
        None, description="Librarian: how a follow-up becomes what is searched; default: LIBRARIAN_REWRITE"
    )
    include_context: bool = Field(True, description="Librarian: whether the reply carries the passages' texts")
    on_model_failure: Literal["error", "sources"] = Field(
        "error", description="Librarian: where the chat model fails before its first word: 503, or the sources alone"
    )

    @model_validator(mode="before")
    @classmethod
    def _what_asks_for_nothing_is_left_out(cls, given: Any) -> Any:
        return without_nothing(given) if isinstance(given, dict) else given


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


class DroppedBody(BaseModel):
    """What was left out, and why."""

    what: str
    reason: str


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


class ModelBody(BaseModel):
    """A name that `model` may take."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "librarian"


class ModelsResponse(BaseModel):
    """Every such name."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class ErrorBody(BaseModel):
    """OpenAI's error."""

    message: str
    type: str
    code: str
    param: str | None = None
    request_id: str


class ErrorResponse(BaseModel):
    """The body of every error."""

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


def search_response(result: SearchResult) -> SearchResponse:
    """A search result as a body."""
    return SearchResponse(
        query=result.query,
        collection=result.collection,
        relevance=result.relevance,
        data=[PassageBody(**passage_fields(each)) for each in result.passages],
        timings_ms=rounded(result.timings_ms),
    )


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


def dropped_list(dropped: Sequence[Dropped]) -> list[DroppedBody]:
    """What was left out."""
    return [DroppedBody(what=each.what, reason=each.reason) for each in dropped]


def usage_body(usage: Usage) -> UsageBody:
    """Tokens with their sum."""
    return UsageBody(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def rounded(timings: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds to two decimals."""
    return {name: round(value, 2) for name, value in timings.items()}


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
