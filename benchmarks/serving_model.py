"""A stand-in for a chat model's server: it sends tokens at a fixed rate and does little else.

    python benchmarks/serving_model.py --port 8123 --rate 25 --tokens 200 [--core 1]

It speaks enough of OpenAI's protocol for Librarian and ChatOpenAI: GET /v1/models, POST /v1/chat/completions (streams
only, chunks of vLLM's shape, usage where it is asked for) and POST /tokenize (a token for each four characters). GET
/open says how many streams it is writing. The first token comes at once. The bytes of every chunk are made once, so
that the stand-in is not what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

NAME = "stand-in"
WORD = "TOKEN"  # every token's text has it once: whoever reads a stream counts tokens by it
SENTENCE = 16  # tokens


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens a second of each stream, and tokens of an answer."""

    rate: float
    tokens: int


@lru_cache(maxsize=100_000)
def chunk(number: int) -> bytes:
    """The token of that number, as one piece of HTTP/1.1's chunked body. No sentence comes twice: it has a number."""
    place = number % SENTENCE
    text = f" {WORD}{number // SENTENCE if place == 0 else ''}" + (".\n" if place == SENTENCE - 1 else "")
    return _piece(_event({"content": text}))


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, "token_ids": None}
    return _data({"choices": [choice]})


def _data(body: dict[str, Any]) -> bytes:
    head = {"id": f"chatcmpl-{'0' * 32}", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": NAME}
    return b"data: " + json.dumps({**head, **body}, separators=(",", ":")).encode() + b"\n\n"


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


OPENING = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    + _piece(_event({"role": "assistant", "content": ""}))
)


class Connection(asyncio.Protocol):
    """One client's connection, which may ask again once it is answered. `open_` holds those that stream."""

    def __init__(self, pace: Pace, open_: set[Connection]) -> None:
        self._pace = pace
        self._open = open_
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) >= length:
            self._received = body[length:]
            self._answer(head.split(b" ", 2)[1].decode(), body[:length])

    def _answer(self, path: str, body: bytes) -> None:
        if path == "/v1/models":
            self._json({"object": "list", "data": [{"id": NAME, "max_model_len": 8192}]})
        elif path == "/tokenize":
            characters = sum(len(each["content"]) for each in json.loads(body)["messages"])
            self._json({"count": characters // 4 + 1, "max_model_len": 8192})
        elif path == "/open":
            self._json({"open": len(self._open)})
        elif path == "/v1/chat/completions":
            asked = json.loads(body)
            usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            self._begin(usage)
        else:
            self._json({"error": {"message": "there is nothing here"}}, b"404 Not Found")

    def _json(self, body: Any, status: bytes = b"200 OK") -> None:
        content = json.dumps(body).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(content))
        self._transport.write(head + content)

    def _begin(self, usage: bool) -> None:
        self._open.add(self)
        self._transport.write(OPENING)
        self._sent, self._usage = 0, usage
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._step()  # the first token at once: what a reader waits for it is not the model's

    def _step(self) -> None:
        """The next token. One that is late does not delay the ones after it: the rate holds."""
        if self._sent < self._pace.tokens:
            self._transport.write(chunk(self._sent))
            self._sent += 1
            self._due += 1 / self._pace.rate
            self._timer = self._loop.call_at(self._due, self._step)
            return
        end = _piece(_event({}, "length"))
        if self._usage:
            counts = {"prompt_tokens": 400, "completion_tokens": self._sent, "total_tokens": 400 + self._sent}
            end += _piece(_data({"choices": [], "usage": counts}))
        self._open.discard(self)
        self._transport.write(end + _piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def serve(port: int, pace: Pace) -> None:
    """Listen on loopback until cancelled."""
    loop = asyncio.get_running_loop()
    streaming: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(pace, streaming), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A stand-in for a chat model's server.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=25, help="tokens a second of each stream (default: 25)")
    parser.add_argument("--tokens", type=int, default=200, help="tokens of an answer (default: 200)")
    parser.add_argument("--core", type=int, default=None, help="the only core to run on")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, Pace(arguments.rate, arguments.tokens)))


if __name__ == "__main__":
    main()
