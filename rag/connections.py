"""httpx2 over asyncio's own transports: few steps between the socket and whoever reads a stream from it.

A token is a read of some hundred bytes, so what a read costs is what a token costs. httpx2's client, httpcore2's pool
and h11 stay as they are; only the way to the socket (else anyio's) is this one.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast
from urllib.request import getproxies

import httpcore2
import httpx2

from rag.sockets import SocketBackend

_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


def direct_transport(limits: httpx2.Limits, trust_env: bool) -> httpx2.AsyncBaseTransport | None:
    """A transport for httpx2's client. None, for its own, where the environment names a proxy that may have to be used.

    Where `trust_env` is false no proxy is.
    """
    if trust_env and any(name != "no" for name in getproxies()):
        return None
    return DirectTransport(httpx2.create_ssl_context(trust_env=trust_env), limits)


class DirectTransport(httpx2.AsyncBaseTransport):
    """httpcore2's pool over SocketBackend; its errors become httpx2's of the same name."""

    def __init__(self, ssl_context: ssl.SSLContext, limits: httpx2.Limits) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=SocketBackend(),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast(httpx2.AsyncByteStream, request.stream),
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(sent)
        except _ERRORS as error:
            raise _as_httpx2(error) from error
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        parts: Any = aiter(cast(Any, self._answer.stream))
        try:
            async with aclosing(parts):
                async for part in parts:
                    yield part
        except _ERRORS as error:
            raise _as_httpx2(error) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _as_httpx2(error: Exception) -> httpx2.TransportError:
    """The same error by httpx2's class, which has the same name."""
    kind: type[httpx2.TransportError] = getattr(httpx2, type(error).__name__, httpx2.TransportError)
    return kind(str(error))
