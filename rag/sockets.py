"""A TCP connection of a client: what came since the last read is handed on at once, as it came.

Made for streams of many small pieces. anyio's, which httpx2 uses by itself, asks the kernel to stop and to go on
reading, and makes and cancels a timer, for each of them.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import cast

import httpx2

BUFFER = 256 * 1024  # bytes that wait for their reader before the other side is stopped


async def connect(host: str, port: int, context: ssl.SSLContext | None, seconds: float | None) -> Connection:
    """An open connection, encrypted with a `context`. Raises httpx2's ConnectTimeout or ConnectError."""
    try:
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port, ssl=context)
    except TimeoutError as error:
        raise httpx2.ConnectTimeout(f"no connection within {seconds:g} s") from error
    except OSError as error:  # ssl.SSLError is one
        raise httpx2.ConnectError(str(error)) from error
    return connection


class Connection(asyncio.Protocol):
    """For one reader and one writer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = self._full = self._ended = False
        self._lost: Exception | None = None

    async def read(self, seconds: float | None) -> bytes:
        """All that came since the last read, within `seconds` from now. Empty at the end.

        Raises httpx2's ReadTimeout or ReadError.
        """
        if not self._parts and not self._ended:
            await self._wait(seconds)
        if not self._parts and self._lost:
            raise httpx2.ReadError(str(self._lost)) from self._lost
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._stopped:
            self._stopped = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Hand over to the kernel, or to a short queue before it. Raises httpx2's WriteTimeout or WriteError."""
        self._transport.write(data)
        if self._full:
            self._writer = self._loop.create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._writer
            except TimeoutError as error:
                raise httpx2.WriteTimeout(f"nothing was taken within {seconds:g} s") from error
            finally:
                self._writer = None
        if self._lost:
            raise httpx2.WriteError(str(self._lost)) from self._lost

    def abort(self) -> None:
        """Close at once: what the other side still has to say is not waited for."""
        self._transport.abort()

    def is_fresh(self) -> bool:
        """Whether it is open and nothing has come: what an unused connection that can be used must be."""
        return not (self._ended or self._parts or self._transport.is_closing() or self._has_news())

    def _has_news(self) -> bool:
        """Whether the kernel holds something that the event loop has not seen yet, as the other side's end."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def _wait(self, seconds: float | None) -> None:
        self._reader = self._loop.create_future()
        if seconds is not None:
            self._due = self._loop.time() + seconds
            if self._timer and self._timer.when() > self._due:  # of a read that was to wait longer
                self._timer.cancel()
                self._timer = None
            if self._timer is None:  # else it looks again when it rings: most waits are short, and timers are dear
                self._timer = self._loop.call_at(self._due, self._ring)
        try:
            await self._reader
        finally:
            self._reader = None

    def _ring(self) -> None:
        self._timer = None
        if self._reader is None or self._reader.done():
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self._reader.set_exception(httpx2.ReadTimeout("nothing was received in time"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BUFFER and not self._stopped:
            self._stopped = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended, self._lost = True, error
        if self._timer:
            self._timer.cancel()
        _wake(self._reader)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._writer)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
