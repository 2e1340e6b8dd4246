"""What a chat is asked with: OpenAI's request, with Librarian's own fields beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from rag.rewriting import Rewrite
from serve.refusals import without_nothing
from serve.shapes import GivenFilter, Name, Strict

MAX_TEXT = 100_000
MAX_STOPS = 4  # OpenAI's
MAX_STOP = 256  # characters


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


Stop = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STOP)]
Stops = Annotated[
    list[Stop],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(max_length=MAX_STOPS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_STOP},
                {
                    "type": "array",
                    "maxItems": MAX_STOPS,
                    "items": {"type": "string", "minLength": 1, "maxLength": MAX_STOP},
                },
            ]
        }
    ),
]


class StreamOptions(Strict):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class ChatRequest(Strict):
    """OpenAI's chat completion request, less what Librarian cannot honour: those fields are refused by name."""

    model: str = Field(
        "librarian",
        max_length=160,
        description="`librarian`, or with the collection and the profile to be asked: `librarian/COLLECTION:PROFILE`",
        examples=["librarian", "librarian/documents", "librarian:grounded"],
    )
    messages: list[ChatMessage] = Field(min_length=1, description="at most LIBRARIAN_MAX_MESSAGES (200)")
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stops | None = None
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
