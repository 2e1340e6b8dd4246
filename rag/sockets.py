"""Sockets for httpcore2 by asyncio's own transports: what came since the last read is handed on at once, as it came."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore2

BUFFER = 256 * 1024  # bytes that wait for their reader before the other side is stopped


class SocketBackend(httpcore2.AsyncNetworkBackend):
    """TCP connections of the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 — httpcore2's interface, as below
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect within `timeout` seconds. Raises httpcore2's ConnectTimeout or ConnectError."""
        loop = asyncio.get_running_loop()
        local = (local_address, 0) if local_address else None
        try:
            async with asyncio.timeout(timeout):
                transport, received = await loop.create_connection(_Received, host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return SocketStream(transport, received)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class _Received(asyncio.Protocol):
    """What a transport brings, kept until it is read; one reader and one writer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = self._full = False
        self.ended = False
        self.lost: Exception | None = None

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
        self.ended = True
        _wake(self._reader)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended, self.lost = True, error
        if self._timer:
            self._timer.cancel()
        _wake(self._reader)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._writer)

    async def read(self, seconds: float | None) -> bytes:
        """All that came since the last read; waits where nothing did. Empty at the end."""
        if not self._parts and not self.ended:
            await self._wait(seconds)
        if not self._parts and self.lost:
            raise httpcore2.ReadError(str(self.lost)) from self.lost
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._stopped:
            self._stopped = False
            self._transport.resume_reading()
        return data

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
            self._reader.set_exception(httpcore2.ReadTimeout("nothing was received in time"))

    async def drain(self, seconds: float | None) -> None:
        """Return once the transport takes more."""
        if self._full:
            self._writer = self._loop.create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._writer
            except TimeoutError as error:
                raise httpcore2.WriteTimeout(str(error)) from error
            finally:
                self._writer = None
        if self.ended and self._transport.is_closing():
            raise httpcore2.WriteError(str(self.lost or "the connection is closed"))


class SocketStream(httpcore2.AsyncNetworkStream):
    """One connection. `max_bytes` of a read is not looked at: what came is in memory already."""

    def __init__(self, transport: asyncio.Transport, received: _Received) -> None:
        self._transport = transport
        self._received = received

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What came; empty at the end. Raises httpcore2's ReadTimeout or ReadError."""
        return await self._received.read(timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Hand over to the kernel, or to a short queue before it. Raises httpcore2's WriteTimeout or WriteError."""
        if buffer:
            self._transport.write(buffer)
            await self._received.drain(timeout)

    async def aclose(self) -> None:
        """Close at once: what the other side still has to say is not waited for."""
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        """The same connection, encrypted. Raises httpcore2's ConnectTimeout or ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    self._transport, self._received, ssl_context, server_hostname=server_hostname
                )
        except (TimeoutError, OSError) as error:  # ssl.SSLError is an OSError
            self._transport.abort()
            kind = httpcore2.ConnectTimeout if isinstance(error, TimeoutError) else httpcore2.ConnectError
            raise kind(str(error)) from error
        encrypted = cast(asyncio.Transport, transport)
        self._received.connection_made(encrypted)
        return SocketStream(encrypted, self._received)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks: "ssl_object", "socket", addresses, and "is_readable": an idle one that is has ended."""
        if info == "is_readable":
            return self._received.ended or self._transport.is_closing() or _readable(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _readable(transport: asyncio.Transport) -> bool:
    """Whether the kernel holds something that the event loop has not seen yet: the end, on an idle connection."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
