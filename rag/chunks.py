"""OpenAI's streamed chat completions: bytes of server-sent events in, pieces of the answer out. Pure; no network.

What comes in one read is handed on as one piece: a token each where the model is slower than its reader, more where
the reader has fallen behind, which is then cheaper by just as much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from rag.schema import Usage

# Bytes of one event at most: a server that never ends its line must not fill the memory.
MAX_LINE = 256 * 1024
DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the stream. The last ones carry the finish reason, and usage where the server counts."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class NotOpenAI(ValueError):
    """What came is no chat completion's stream."""


class BrokenByServer(Exception):
    """The server says, in an event, that it cannot go on."""


class ChunkReader:
    """Reads one answer's stream.

    `failure` is what was wrong right after the last piece that `feed` returned; nothing may be fed after it. `begun`:
    a chunk came; `ended`: the server said that nothing more comes. Every chunk stands on one line, as JSON does.
    """

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        self.failure: NotOpenAI | BrokenByServer | None = None
        self._rest = b""

    def feed(self, data: bytes) -> Delta | None:
        """Take what was read and return what it adds to the answer, if anything."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        text, reason, usage = "", None, None
        try:
            for line in lines:
                if line.startswith(b"data:"):
                    piece, ends, counted = self._chunk(line[5:].strip())
                    text, reason, usage = text + piece, ends or reason, counted or usage
            if len(self._rest) > MAX_LINE:
                raise NotOpenAI(f"a line of more than {MAX_LINE} bytes")
        except (NotOpenAI, BrokenByServer) as error:
            self.failure = error
        return Delta(text, reason, usage) if text or reason or usage else None

    def _chunk(self, event: bytes) -> tuple[str, str | None, Usage | None]:
        if event == DONE:
            self.ended = True
            return "", None, None
        try:
            chunk = _parsed(event)
            if chunk.get("error"):
                raise BrokenByServer(_said(chunk["error"]))
            choices, counted = chunk.get("choices"), chunk.get("usage")
            usage = _usage(counted) if counted else None
            if not choices:  # usage alone, or what a server says to keep the connection alive
                self.begun = self.begun or choices is not None
                return "", None, usage
            self.begun = True
            choice = choices[0]
            delta, reason = choice.get("delta"), choice.get("finish_reason")
            content = delta.get("content") if delta else None
            return _text(content) if content else "", str(reason) if reason else None, usage
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise NotOpenAI(f"{type(error).__name__}: {error}") from error


def _parsed(event: bytes) -> Any:
    try:
        return orjson.loads(event)
    except orjson.JSONDecodeError:  # JSON can carry lone surrogates; UTF-8 and this parser cannot
        return json.loads(event)


def _text(content: Any) -> str:
    """The text of a delta's content, which may come in parts, without lone surrogates."""
    text: str = content if isinstance(content, str) else "".join(part["text"] for part in content if "text" in part)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _usage(counted: Any) -> Usage:
    return Usage(int(counted.get("prompt_tokens") or 0), int(counted.get("completion_tokens") or 0))


def _said(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "an error without a message")


def reason_of(body: bytes) -> str:
    """What an error's body says: OpenAI's message, else its first line, else nothing."""
    text = body.decode("utf-8", "replace").strip()
    try:
        error = json.loads(text)
        error = error.get("error", error)
        found = _said(error) if isinstance(error, str) or "message" in error else text
    except (ValueError, AttributeError, TypeError):
        found = text
    return next(iter(found.splitlines()), "")
