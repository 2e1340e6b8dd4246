"""OpenAI's fields that Librarian cannot honour: why each is refused, and the values that ask for nothing.

Clients send many of these unasked with a value that means "no" (`tools: []`, `logprobs: false`). Such a value is taken;
any other would be ignored if it were taken, so it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOOLS = "the answer stands on retrieved passages only and the model is offered no tools; call them in your own program"
_FORM = "answers are prose with citation markers, which a fixed form would break; parse the answer on your side"
_TOKENS = "markers are checked and added after the model wrote, so its tokens are not those of the answer"
_SOUND = "only text is read and written"

WHY: Mapping[str, str] = {
    "tools": _TOOLS,
    "tool_choice": _TOOLS,
    "functions": _TOOLS,
    "function_call": _TOOLS,
    "parallel_tool_calls": _TOOLS,
    "web_search_options": "answers come from the indexed documents only",
    "response_format": _FORM,
    "prediction": _FORM,
    "logprobs": _TOKENS,
    "top_logprobs": _TOKENS,
    "logit_bias": "token ids depend on the served model, which clients of Librarian do not choose",
    "modalities": _SOUND,
    "audio": _SOUND,
    "store": "answers are not kept for later retrieval; keep them on your side",
    "reasoning_effort": "it depends on the served model; set it on the model's server",
    "verbosity": "ask for short answers in a system message",
    "service_tier": "there is one tier",
}

# Values that ask for nothing, beside null, which always does.
_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none",),
    "functions": ([],),
    "function_call": ("none",),
    "parallel_tool_calls": (False,),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
}


def without_nothing(given: Mapping[str, Any]) -> dict[str, Any]:
    """The request's fields, less those that cannot be honoured and ask for nothing."""
    return {name: value for name, value in given.items() if not _asks_for_nothing(name, value)}


def reason(field: str) -> str:
    """The end of the sentence that refuses a field: why, where that is known; else empty."""
    return f": {WHY[field]}" if field in WHY else ""


def _asks_for_nothing(name: str, value: Any) -> bool:
    if name not in WHY:
        return False
    return value is None or any(type(value) is type(each) and value == each for each in _NOTHING.get(name, ()))
