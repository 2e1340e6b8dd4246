"""What a request still hears when the service ends and it has outlived its grace (LIBRARIAN_SHUTDOWN_GRACE)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from starlette.types import Send

from serve import errors, sse

CODE = "shutting_down"
MESSAGE = "the service stops and the answer did not end in time (LIBRARIAN_SHUTDOWN_GRACE); ask again."
STATUS = 503


def are_possible(headers: Iterable[tuple[bytes, bytes]] | None) -> bool:
    """Whether a client can still be told: nothing was sent (`headers` is None), or what is sent is an event stream."""
    if headers is None:
        return True
    return any(name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


async def say(send: Send, request_id: str, began: bool) -> None:
    """End the response: with an error event where it `began`, else with an error response."""
    body = errors.body(STATUS, CODE, MESSAGE, request_id)
    if began:
        await send({"type": "http.response.body", "body": sse.event(body) + sse.DONE})
        return
    headers = [
        (b"content-type", b"application/json"),
        (b"retry-after", errors.RETRY_AFTER[STATUS].encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": STATUS, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
