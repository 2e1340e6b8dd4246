"""Server-sent events and OpenAI's chunk shapes: bytes here, policy elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rag.answering import Sources, Text
from rag.schema import Answer
from serve.answer_shapes import citation_list, context_list, url_citations, usage_body
from serve.shapes import dropped_list, rounded

DONE = b"data: [DONE]\n\n"

# Line ends to Unicode though not to the specification: clients that split with str.splitlines (httpx) break there.
_LINE_ENDS = {ord(each): f"\\u{ord(each):04x}" for each in "\x85\u2028\u2029"}
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: it is called for each token


def event(data: Mapping[str, Any]) -> bytes:
    """One event. JSON escapes line breaks, and Unicode's are escaped here, so it is always one line."""
    return b"data: " + _json(data) + b"\n\n"


def _json(value: Any) -> bytes:
    text = _to_json(value)
    return (text if text.isascii() else text.translate(_LINE_ENDS)).encode()


class ChunkWriter:
    """Answering events to OpenAI's stream: sources with the first chunk, then text, then citations, then usage."""

    def __init__(
        self, identifier: str, created: int, model: str, include_usage: bool, include_context: bool = True
    ) -> None:
        self._head = {"id": identifier, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        self._include_context = include_context
        # A chunk of text, for which only the text is still to be written: there is one for each token.
        self._before = b"data: " + _json(self._head)[:-1] + b',"choices":[{"index":0,"delta":{"content":'
        self._after = b'},"finish_reason":null}]' + (b',"usage":null' if include_usage else b"") + b"}\n\n"

    def write(self, event_: Sources | Text | Answer) -> bytes:
        """The bytes of one event; an Answer ends the stream."""
        if isinstance(event_, Text):
            return self._before + _json(event_.text) + self._after
        if isinstance(event_, Sources):
            dropped = [each.model_dump() for each in dropped_list(event_.dropped)]
            extra: dict[str, Any] = {"relevance": event_.relevance, "dropped": dropped}
            if self._include_context:
                extra["context"] = [each.model_dump() for each in context_list(event_.passages, None)]
            return self._chunk({"role": "assistant", "content": ""}, extra=extra)
        return self._last(event_)

    def _last(self, answer: Answer) -> bytes:
        notes = [each.model_dump() for each in url_citations(answer)]
        extra = {
            "citations": [each.model_dump() for each in citation_list(answer.citations)],
            "dropped": [each.model_dump() for each in dropped_list(answer.dropped)],
            "abstained": answer.finish_reason == "abstained",
            "model_unavailable": answer.finish_reason == "unavailable",
            "timings_ms": rounded(answer.timings_ms),
        }
        reason = "length" if answer.finish_reason == "length" else "stop"
        last = self._chunk({"annotations": notes} if notes else {}, reason, extra)
        if self._include_usage:
            last += event({**self._head, "choices": [], "usage": usage_body(answer.usage).model_dump()})
        return last + DONE

    def _chunk(self, delta: dict[str, Any], reason: str | None = None, extra: Mapping[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        usage = {"usage": None} if self._include_usage else {}
        return event({**self._head, "choices": [choice], **usage, **(extra or {})})
