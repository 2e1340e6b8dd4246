"""The tokens of an answer, charged to who asked for it, however the answer ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from rag.answering import Event, Sources, Text
from rag.schema import Answer


class Purse(Protocol):
    """Whom tokens are charged to."""

    def check_tokens(self) -> None:
        """Raises an error of the library where none are left."""
        ...

    def spend(self, tokens: int) -> None:
        """Take so many."""
        ...


async def charged(events: AsyncGenerator[Event], purse: Purse) -> AsyncGenerator[Event]:
    """The same events. Raises what the purse raises before the first one.

    A whole answer costs what the model's server counted. One that broke off costs its prompt and a token for each piece
    of text that came: leaving just before the end is not free.
    """
    prompt = pieces = 0
    answer: Answer | None = None
    async with aclosing(events):
        purse.check_tokens()
        try:
            async for event in events:
                if isinstance(event, Sources):
                    prompt = event.prompt_tokens
                elif isinstance(event, Text):
                    pieces += 1
                else:
                    answer = event
                yield event
        except Exception:  # a failure of the service: what it was to be asked is not charged
            prompt = 0
            raise
        finally:
            purse.spend(_cost(answer, prompt, pieces))


def _cost(answer: Answer | None, prompt: int, pieces: int) -> int:
    if answer is None:
        return prompt + pieces
    if answer.finish_reason in {"abstained", "unavailable"}:  # the model wrote nothing
        return answer.usage.prompt_tokens + answer.usage.completion_tokens
    return (answer.usage.prompt_tokens or prompt) + (answer.usage.completion_tokens or pieces)
