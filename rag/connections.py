"""The way to a model's server for httpx2's client: a pool of connections and HTTP/1.1, with little done for each token.

httpx2 stays in front of it: URLs, headers, timeouts, responses and errors are its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator
from urllib.request import getproxies

import httpx2

from rag.http1 import BadMessage, ResponseReader, request_bytes
from rag.sockets import Connection, connect

KEPT = 100  # connections that wait for the next request, of each server
KEPT_SECONDS = 4.0  # uvicorn, and so vLLM, closes after 5: a request must not meet that on its way
Origin = tuple[str, str, int]


def direct_transport(trust_env: bool) -> httpx2.AsyncBaseTransport | None:
    """A transport for httpx2's client. None, for its own, where the environment names a proxy that may have to be used.

    Where `trust_env` is false no proxy is, and no certificates but the usual ones.
    """
    if trust_env and any(name != "no" for name in getproxies()):
        return None
    return DirectTransport(trust_env=trust_env)


class DirectTransport(httpx2.AsyncBaseTransport):
    """HTTP/1.1 straight to the server, any number of connections at once. For one event loop.

    `context` is for https; by default httpx2's, which is made when it is first needed.
    """

    def __init__(self, context: ssl.SSLContext | None = None, trust_env: bool = True) -> None:
        self._context = context
        self._trust_env = trust_env
        self._kept: dict[Origin, list[tuple[Connection, asyncio.TimerHandle]]] = defaultdict(list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it and wait for the answer's head. Raises httpx2's TransportErrors."""
        seconds: dict[str, float | None] = request.extensions.get("timeout", {})
        body = await request.aread()
        try:
            sent = request_bytes(request.method.encode(), request.url.raw_path, request.headers.raw, body)
        except BadMessage as error:
            raise httpx2.LocalProtocolError(str(error)) from error
        origin = _origin(request.url)
        connection = self._take(origin) or await self._connect(origin, seconds.get("connect"))
        answer = _Body(self, origin, connection, seconds.get("read"))
        try:
            await connection.write(sent, seconds.get("write"))
            await answer.open()
        except BaseException:
            connection.abort()
            raise
        return httpx2.Response(answer.reader.status, headers=answer.reader.headers, stream=answer)

    async def aclose(self) -> None:
        """Close what is kept."""
        for kept in self._kept.values():
            for connection, timer in kept:
                timer.cancel()
                connection.abort()
        self._kept.clear()

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back, for the next request or for some seconds."""
        kept = self._kept[origin]
        if len(kept) >= KEPT or not connection.is_fresh():
            connection.abort()
            return

        def expire() -> None:
            kept[:] = [each for each in kept if each[0] is not connection]
            connection.abort()

        kept.append((connection, asyncio.get_running_loop().call_later(KEPT_SECONDS, expire)))

    def _take(self, origin: Origin) -> Connection | None:
        kept = self._kept[origin]
        while kept:
            connection, timer = kept.pop()
            timer.cancel()
            if connection.is_fresh():
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        if scheme == "https" and self._context is None:
            self._context = httpx2.create_ssl_context(trust_env=self._trust_env)
        return await connect(host, port, self._context if scheme == "https" else None, seconds)


class _Body(httpx2.AsyncByteStream):
    """An answer's body as it comes; its connection goes back where the whole of it was read."""

    def __init__(
        self, transport: DirectTransport, origin: Origin, connection: Connection, seconds: float | None
    ) -> None:
        self.reader = ResponseReader()
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection
        self._seconds = seconds
        self._begun = b""

    async def open(self) -> None:
        """Read until the head is there."""
        while not self.reader.status:
            self._begun = await self._part()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        if self._begun:
            yield self._begun
        while not self.reader.done:
            part = await self._part()
            if part:
                yield part

    async def aclose(self) -> None:
        """Give the connection back, or close it where more of the answer would come."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.reader.done and self.reader.keeps and not self.reader.rest:
            self._transport.keep(self._origin, connection)
        else:
            connection.abort()

    async def _part(self) -> bytes:
        if self._connection is None:
            raise httpx2.ReadError("the answer was closed")
        data = await self._connection.read(self._seconds)
        try:
            if data:
                return self.reader.feed(data)
            self.reader.end()
        except BadMessage as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        return b""


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
