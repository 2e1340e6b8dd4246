"""What a connection costs in memory: a server with none, with many that are idle, and with many that stream."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from serving_load import load
from serving_processes import Process

FIRST = 8  # streams that are answered before anything is measured: what is made once is then made


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of RSS: of the server once it has answered, and what each of `streams` connections adds to that.

    An idle one has had an answer and is kept open. An active one is in the middle of a stream.
    """

    name: str
    base: int
    streams: int
    idle: float
    active: float


def footprint(name: str, server: Process, bodies: Sequence[dict[str, Any]], streams: int, answer_s: float) -> Footprint:
    """Measure it. `answer_s`: seconds that an answer takes; streams begin evenly over that time."""
    asyncio.run(load(server.port, bodies, FIRST, answer_s / 2, answer_s))
    base = server.rss()
    with ExitStack() as kept:
        for _ in range(streams):
            connection = kept.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.recv(65536)
        idle = server.rss()
    active = 0

    async def under_load() -> None:
        nonlocal active
        running = asyncio.create_task(load(server.port, bodies, streams, answer_s, answer_s))
        await asyncio.sleep(answer_s * 1.5)
        active = server.rss()
        await running

    asyncio.run(under_load())
    return Footprint(name, base, streams, max(0, idle - base) / streams, max(0, active - base) / streams)
