"""How much one request may ask for, and one caller, where its key does not say."""

from __future__ import annotations

from pydantic import BaseModel, Field

from rag.caller_limits import CallerLimits


class Limits(BaseModel):
    """How much one request may ask for, and one caller, where its key does not say.

    Each replica of the service counts for itself.
    """

    max_messages: int = Field(200, ge=1, description="messages of one conversation at most; more: 400")
    max_requested_tokens: int = Field(
        4096,
        ge=1,
        description="tokens of an answer that a request may ask for (max_tokens); a wish for more becomes this",
    )
    caller_requests_per_minute: int = Field(
        0, ge=0, description="answers, searches and the like that one caller may ask for in a minute; 0: no limit"
    )
    caller_tokens_per_minute: int = Field(
        0, ge=0, description="tokens, of prompts and answers, that one caller may use in a minute; 0: no limit"
    )
    caller_concurrent_requests: int = Field(
        0, ge=0, description="requests of one caller, streams among them, at work at once; 0: no limit"
    )

    @property
    def caller_limits(self) -> CallerLimits:
        """The three together."""
        return CallerLimits(
            self.caller_requests_per_minute, self.caller_tokens_per_minute, self.caller_concurrent_requests
        )
