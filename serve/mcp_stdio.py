"""The tools over stdin and stdout, for an assistant that starts `librarian mcp` itself."""

from __future__ import annotations

from rag.schema import Scope
from rag.settings import Settings
from rag.wiring import open_librarian
from serve.app import package_version
from serve.asking import running_url
from serve.client import ApiClient
from serve.engine.model import served_folder
from serve.mcp_desks import OwnDesk, RemoteDesk
from serve.mcp_tools import Desk, make_server
from serve.metrics import Metrics
from serve.server import configure_logs
from serve.watching import Watched


async def run(settings: Settings) -> None:
    """Serve until stdin ends: by a running service where there is one, else by an index opened here.

    Raises IndexLocked or IndexUnavailable before anything is served.
    """
    configure_logs(settings)  # to stderr: stdout is the protocol's
    url = running_url(settings)
    if url:
        client = ApiClient(url, settings)
        try:
            await _serve(RemoteDesk(client, settings))
        finally:
            await client.aclose()
        return
    async with open_librarian(settings, served_folder(settings)) as librarian:
        metrics = Metrics()
        watched = Watched(librarian, metrics, settings)
        scope = Scope(settings.tenant, frozenset(settings.groups))
        await _serve(OwnDesk(watched, scope, settings.request_timeout, metrics))


async def _serve(desk: Desk) -> None:
    await make_server(lambda: desk, package_version()).run_stdio_async()
