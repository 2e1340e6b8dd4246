"""Exact token counts of a whole chat prompt, by the served model's own tokenizer and chat template.

In order of preference: a tokenizer here (a folder or hub name), the server's own `/tokenize` (vLLM has it), and,
where neither is to be had, the number of UTF-8 bytes: never less than a byte-level tokenizer makes of a text, so
budgets still hold, only less is used of the window. Which one is at work is in `name`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx2
from jinja2 import TemplateError

from rag.errors import BadInput, ModelUnavailable, SettingsError
from rag.schema import Message
from rag.urls import without_password


class TokenCounter(Protocol):
    """Counts the prompt that the model will see for these messages, the opening of its own turn included."""

    @property
    def name(self) -> str: ...

    async def count(self, messages: Sequence[Message]) -> int: ...


class LocalTokenCounter:
    """The tokenizer and chat template of a folder or hub name, in this process."""

    def __init__(self, source: str | Path) -> None:
        self._source = str(source)

    @property
    def name(self) -> str:
        """For people: where the count comes from."""
        return f"tokenizer of {self._source}"

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self._source)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise SettingsError(f"LIBRARIAN_LLM_TOKENIZER '{self._source}' is no usable tokenizer: {reason}") from error
        if not tokenizer.chat_template:
            raise SettingsError(f"the tokenizer of '{self._source}' has no chat template; set LIBRARIAN_LLM_TOKENIZER.")
        return tokenizer

    def count_now(self, messages: Sequence[Message]) -> int:
        """The count, in the calling thread."""
        try:
            rendered = self._tokenizer.apply_chat_template(
                [{"role": each.role, "content": each.content} for each in messages],
                add_generation_prompt=True,
                tokenize=False,
            )
        except TemplateError as error:  # some want no system turn, some strictly alternating ones
            raise BadInput(f"the model's chat template refuses this conversation: {error}") from error
        return len(self._tokenizer.encode(rendered, add_special_tokens=False))

    async def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt."""
        return await asyncio.to_thread(self.count_now, messages)


class ServerTokenCounter:
    """vLLM's `/tokenize`, which renders the chat template as `/v1/chat/completions` does."""

    def __init__(self, client: httpx2.AsyncClient, base_url: str, model: str) -> None:
        self._client = client
        self._url = base_url.removesuffix("/v1") + "/tokenize"
        self._model = model

    @property
    def name(self) -> str:
        """For people: where the count comes from."""
        return without_password(self._url)

    async def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt; raises ModelUnavailable where the server does not say."""
        body = {
            "model": self._model,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "add_generation_prompt": True,
        }
        try:
            response = await self._client.post(self._url, json=body)
            response.raise_for_status()
            return int(response.json()["count"])
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            reason = next(iter(str(error).splitlines()), "")  # httpx2 adds a line of advice to a status
            raise ModelUnavailable(
                f"the model's server did not count tokens at {self.name} ({type(error).__name__}: {reason}); "
                "set LIBRARIAN_LLM_TOKENIZER to count them here."
            ) from error


class ByteTokenCounter:
    """An upper bound where no tokenizer can be had: one token a byte, and room for the template around each turn."""

    PER_MESSAGE = 16

    @property
    def name(self) -> str:
        """For people: where the count comes from."""
        return "bytes (an upper bound; set LIBRARIAN_LLM_TOKENIZER for exact counts)"

    async def count(self, messages: Sequence[Message]) -> int:
        """Bytes of all contents, and 16 tokens for each message and for the answer's opening."""
        return sum(len(each.content.encode()) + self.PER_MESSAGE for each in messages) + self.PER_MESSAGE
