"""Clients that stream chat completions: raw bytes on asyncio's transports, counting tokens without parsing anything.

A token is wherever its text has the stand-in's word; an answer ends with its chunked body. Reads HTTP/1.1 of servers
that are known to be well-behaved, and is no client for anything else.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from serving_model import WORD

_MARK = WORD.encode()
_END = b"0\r\n\r\n"  # of a chunked body
_KEPT = len(_END) - 1  # bytes that may be the start of either; a whole mark would be counted twice
AGAIN_S = 0.5  # before asking again where an answer was refused


@dataclass(slots=True)
class Tally:
    """What all clients have seen. `first_tokens`: when an answer was asked for, and the seconds to its first token."""

    tokens: int = 0
    answers: int = 0
    failures: int = 0
    first_tokens: list[tuple[float, float]] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One reader, which asks one question after the other on a connection that is kept, until `end`."""

    def __init__(self, port: int, requests: Sequence[bytes], tally: Tally, first: int = 0) -> None:
        self._port = port
        self._requests = requests
        self._tally = tally
        self._turn = first
        self._transport: asyncio.Transport | None = None
        self._going = True

    async def begin(self) -> None:
        """Connect and ask."""
        if self._going:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def end(self) -> None:
        """Leave at once."""
        self._going = False
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._tail, self._begun, self._waiting = b"", False, True
        self._asked = time.monotonic()
        cast(asyncio.Transport, self._transport).write(self._requests[self._turn % len(self._requests)])
        self._turn += 1

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            if not data.startswith(b"HTTP/1.1 200"):
                cast(asyncio.Transport, self._transport).abort()
                return
        seen = self._tail + data
        if count := seen.count(_MARK):
            if self._waiting:
                self._waiting = False
                self._tally.first_tokens.append((self._asked, time.monotonic() - self._asked))
            self._tally.tokens += count
        if seen.endswith(_END):
            self._tally.answers += 1
            self._tally.failures += self._waiting  # an answer without a token is none
            self._ask()
        else:
            self._tail = seen[-_KEPT:]

    def connection_lost(self, error: Exception | None) -> None:
        if self._going:
            self._tally.failures += 1
            loop = asyncio.get_running_loop()
            loop.call_later(AGAIN_S, lambda: loop.create_task(self.begin()))


@dataclass(frozen=True, slots=True)
class Load:
    """What `streams` clients at once got within `seconds`. `first_token_s` are all waits that began therein."""

    streams: int
    seconds: float
    tokens: int
    answers: int
    failures: int
    first_token_s: tuple[float, ...]

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second of all clients together."""
        return self.tokens / self.seconds

    def percentile_ms(self, share: float) -> float:
        """The wait for a first token that `share` of the answers did not pass; infinite where none came."""
        ordered = sorted(self.first_token_s)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1e3 if ordered else math.inf


async def load(
    port: int,
    bodies: Sequence[dict[str, Any]],
    streams: int,
    ramp_s: float,
    seconds: float,
    at_start: Callable[[], None] = lambda: None,
) -> Load:
    """Keep `streams` answers running: begun evenly over `ramp_s`, then, from `at_start` on, measured for `seconds`."""
    requests = [request(port, body) for body in bodies]
    tally = Tally()
    clients = [Client(port, requests, tally, number) for number in range(streams)]
    for client in clients:
        await client.begin()
        await asyncio.sleep(ramp_s / streams)
    at_start()
    before = (tally.tokens, tally.answers, tally.failures)
    started = time.monotonic()
    await asyncio.sleep(seconds)
    ended = time.monotonic()
    after = (tally.tokens, tally.answers, tally.failures)
    # Those still waiting now have waited so long at least: leaving them out would flatter a server that stands still.
    waiting = [ended - each._asked for each in clients if each._waiting and each._asked >= started]
    for client in clients:
        client.end()
    waits = [wait for asked, wait in tally.first_tokens if asked >= started]
    tokens, answers, failures = (late - early for late, early in zip(after, before, strict=True))
    return Load(streams, ended - started, tokens, answers, failures, (*waits, *waiting))


def request(port: int, body: dict[str, Any]) -> bytes:
    """A chat request's bytes."""
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content
