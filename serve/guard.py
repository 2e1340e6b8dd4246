"""What stands before every route: a request id, bounds on the body's size and time, a count of who is inside.

Plain ASGI, so that streams pass through untouched and a client's going away is seen at once."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve import errors, last_words
from serve.headers import missing as headers_missing
from serve.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Limit:
    """Bytes that a body may have, and the name of the setting that says so."""

    bytes: int
    setting: str


class TooLarge(HTTPException):
    """The request's body passed the limit. An HTTPException, or FastAPI would call it a parse error."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(413, f"the request's body has more than {limit.bytes} bytes ({limit.setting}).")


class TooSlow(HTTPException):
    """The request's body did not come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(408, f"the request's body did not come within {seconds:g} s (LIBRARIAN_REQUEST_TIMEOUT).")


class TwoLengths(HTTPException):
    """The body's length is given twice, and a proxy may have believed the other one (RFC 9112, section 6.3)."""

    def __init__(self) -> None:
        super().__init__(400, "Content-Length and Transfer-Encoding exclude one another.")


class StrangeHost(HTTPException):
    """The request came under a name that is not this machine's: a web page may have rebound its own name to it."""

    def __init__(self) -> None:
        super().__init__(403, "requests under this host name are not answered without a key (LIBRARIAN_API_KEY).")


class Guard:
    """Middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        max_body: Limit,
        body_seconds: float,
        hosts: frozenset[str] | None = None,
        max_body_of: Mapping[tuple[str, str], Limit] | None = None,
    ) -> None:
        """`body_seconds`: how long a body may take. `hosts`: the only names under which requests may come (None: any).
        `max_body_of`: the limits of those routes, by method and path, that have one of their own."""
        self._app = app
        self._hosts = hosts
        self._metrics = metrics
        self._max_body = max_body
        self._body_seconds = body_seconds
        self._max_body_of = dict(max_body_of or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET; the server sends no body for it
            scope = {**scope, "method": "GET"}
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id", b""))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 500
        sent: list[tuple[bytes, bytes]] | None = None  # the response's headers, once it has begun
        taken, whole = 0, False
        due = asyncio.get_running_loop().time() + self._body_seconds
        limit = self._max_body_of.get((scope["method"], scope["path"]), self._max_body)

        async def bounded_receive() -> Message:
            nonlocal taken, whole
            if whole:  # what comes now is only that the client leaves
                return await receive()
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise TooSlow(self._body_seconds) from None
            whole = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > limit.bytes:
                raise TooLarge(limit)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status, sent = message["status"], message["headers"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    *scope["state"].get("headers", ()),
                    *headers_missing(message["headers"], scope["path"]),
                ]
            await send(message)

        declared = headers.get(b"content-length", b"0")
        try:
            if self._hosts is not None and _host(headers.get(b"host", b"")) not in self._hosts:
                raise StrangeHost
            if b"content-length" in headers and b"transfer-encoding" in headers:
                raise TwoLengths
            if declared.isdigit() and int(declared) > limit.bytes:
                raise TooLarge(limit)
            with structlog.contextvars.bound_contextvars(request_id=request_id):  # for every line logged below
                await self._app(scope, bounded_receive, watched_send)
        except (TooLarge, TooSlow, TwoLengths, StrangeHost) as error:
            await _refuse(watched_send, request_id, error)
        except asyncio.CancelledError:
            if not (scope["app"].state.stopping and last_words.are_possible(sent)):
                raise
            await last_words.say(watched_send, request_id, began=sent is not None)
        finally:
            route = getattr(scope.get("route"), "path_format", "unknown")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.latency.labels(route).observe(time.perf_counter() - started)


def _host(header: bytes) -> str | None:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{header.decode('latin-1')}").hostname
    except ValueError:
        return None


def _request_id(given: bytes) -> str:
    """The caller's id where it is a harmless one, else a new one."""
    text = given.decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else uuid.uuid4().hex


async def _refuse(send: Send, request_id: str, error: HTTPException) -> None:
    status = error.status_code
    content = json.dumps(errors.body(status, errors.CODES[status], str(error.detail), request_id)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
