"""POST /mcp: the Model Context Protocol over streamable HTTP, without sessions: any replica answers any request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Send
from starlette.types import Scope as ASGIScope

from rag.schema import Scope
from serve.access import account_of, admitted, reader
from serve.mcp_desks import OwnDesk
from serve.mcp_tools import Desk, make_server

PATH = "/mcp"
# The Guard checks the Host header, as it does for every route.
UNCHECKED = TransportSecuritySettings(enable_dns_rebinding_protection=False)

router = APIRouter()


class Tools:
    """The tools of one application. Which desk answers a call follows the task of the request that it came with."""

    def __init__(self, version: str, max_body: int) -> None:
        self._desk: ContextVar[Desk] = ContextVar("desk")
        self._server = make_server(self._desk.get, version)
        self._max_body = max_body

    async def serve(self, desk: Desk, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request, with a session manager that lives as long as it: nothing is shared or left behind."""
        self._server.streamable_http_app(
            stateless_http=True, json_response=True, max_request_body_size=self._max_body, transport_security=UNCHECKED
        )
        manager = self._server.session_manager  # the one just made
        token = self._desk.set(desk)  # the SDK's tasks begin below and inherit it
        try:
            async with manager.run():
                await manager.handle_request(scope, receive, send)
        finally:
            self._desk.reset(token)


class McpResponse(Response):
    """What the tools answer to one request, sent by themselves."""

    def __init__(self, tools: Tools, desk: Desk, request_body: bytes) -> None:
        super().__init__()
        self._tools = tools
        self._desk = desk
        self._unread: Message | None = {"type": "http.request", "body": request_body, "more_body": False}

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def again() -> Message:
            message, self._unread = self._unread, None
            return message or await receive()

        await self._tools.serve(self._desk, scope, again, send)


async def whole_body(request: Request) -> bytes:
    """The body, read before a place is taken: one that is too large or too slow is refused as everywhere."""
    return await request.body()


# Not in the schema: its contract is MCP's, not OpenAPI's.
@router.post(PATH, include_in_schema=False, dependencies=[Depends(whole_body), Depends(admitted)])
async def mcp(
    request: Request, scope: Annotated[Scope, Depends(reader)], body: Annotated[bytes, Depends(whole_body)]
) -> Response:
    """Tools for assistants: `search` and `answer`, as JSON-RPC of the Model Context Protocol."""
    state = request.app.state
    desk = OwnDesk(state.librarian.charging(account_of(request)), scope, state.settings.request_timeout, state.metrics)
    return McpResponse(state.tools, desk, body)
