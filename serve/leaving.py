"""Work for a client that may go away before its answer is whole: it is then ended, and with it the model's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from rag.errors import LibrarianError

Result = TypeVar("Result")


class ClientLeft(LibrarianError):
    """The client closed its connection; nobody reads this."""

    code = "client_left"
    http_status = 499  # as nginx logs it


async def unless_left(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. Raises ClientLeft where the client goes first; `work` has then ended too.

    The request's body must have been read: what comes after it is only the news that the client is gone.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft("the client left before its answer was written.")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
