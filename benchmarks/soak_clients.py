"""Clients of a long run: some read, some read slowly, some vanish at any moment, some upload, some ask nonsense."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

QUESTIONS = (
    "Which environment variable sets the key that requests must carry?",
    "How are documents uploaded over the API?",
    "What does a snapshot of a collection hold?",
    "quarterly semiconductor tariff negotiations",
)
UPLOADED = 20  # names that uploads take turns with: the index does not grow for ever
_SLOW_BYTES = 2048
Client = Callable[[int, random.Random], Awaitable[None]]


def http(method: str, path: str, body: Any = None) -> bytes:
    """A request's bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


def question(dice: random.Random, stream: bool = True) -> bytes:
    """A chat request."""
    asked = [{"role": "user", "content": dice.choice(QUESTIONS)}]
    return http("POST", "/v1/chat/completions", {"model": "librarian", "messages": asked, "stream": stream})


async def patient(port: int, dice: random.Random) -> None:
    """Reads an answer to its end, streamed or whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(question(dice, stream=dice.random() < 0.7))
        answer = await reader.read(-1)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"no answer: {answer[:300]!r}")
    finally:
        writer.close()


async def vanishing(port: int, dice: random.Random) -> None:
    """Asks and is gone at a random moment: in its request, before the first byte, or anywhere in the stream."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = question(dice, stream=dice.random() < 0.8)
    if dice.random() < 0.1:
        asked = asked[: dice.randrange(len(asked))]
    writer.write(asked)
    await asyncio.sleep(dice.expovariate(1.0))
    if dice.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()


async def slow(port: int, dice: random.Random) -> None:
    """Reads little at a time through a small window, and half of the time has enough before the end."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, question(dice))
        enough = dice.random() < 0.5
        while await loop.sock_recv(connection, _SLOW_BYTES):
            await asyncio.sleep(0.2)
            if enough and dice.random() < 0.05:
                return


async def uploading(port: int, dice: random.Random) -> None:
    """Puts one of a few documents anew."""
    number = dice.randrange(UPLOADED)
    text = f"# Note {number}\n\nRevision {dice.random()} of the note with the number {number}.\n" * 3
    documents = [{"name": f"soak/note-{number}.md", "text": text}]
    await _whole(port, http("POST", "/v1/documents", {"documents": documents}))


async def searching(port: int, dice: random.Random) -> None:
    """Searches, or asks what is refused."""
    wanted = {"query": dice.choice(QUESTIONS)} if dice.random() < 0.8 else {"nonsense": 1}
    await _whole(port, http("POST", "/v1/search", wanted))


async def _whole(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read(-1)
        if not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 400", b"HTTP/1.1 429")):
            raise RuntimeError(f"no answer: {answer[:300]!r}")
    finally:
        writer.close()


KINDS: tuple[tuple[Client, int], ...] = (
    (patient, 6),
    (vanishing, 10),
    (slow, 3),
    (searching, 1),
)


async def crowd(port: int, clients: int, upload_every_s: float, counted: Counter[str], dice: random.Random) -> None:
    """`clients` at once, each one kind after the other, and an upload now and then, until cancelled."""

    async def one(seed: int) -> None:
        own = random.Random(seed)
        kinds, weights = zip(*KINDS, strict=True)
        while True:
            await _counting(own.choices(kinds, weights)[0], port, own, counted)

    async def uploads() -> None:
        while True:
            await asyncio.sleep(dice.uniform(0.5, 1.5) * upload_every_s)
            await _counting(uploading, port, dice, counted)

    async with asyncio.TaskGroup() as group:
        group.create_task(uploads())
        for _ in range(clients):
            group.create_task(one(dice.randrange(2**32)))


async def _counting(kind: Client, port: int, dice: random.Random, counted: Counter[str]) -> None:
    try:
        await kind(port, dice)
        counted[kind.__name__] += 1
    except (OSError, RuntimeError) as error:
        counted[f"{kind.__name__} failed"] += 1
        counted[f"last failure: {error}"[:200]] += 1
        await asyncio.sleep(1)
