"""The API as a process: uvicorn around the application, the index told where it is served, a clean stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from rag.answering import Librarian
from rag.encoders import DenseEncoder, SparseEncoder
from rag.errors import LibrarianError
from rag.feeding import Ingestor
from rag.index import Index, holder, sync_side
from rag.settings import Settings
from rag.wiring import open_librarian
from serve.access import check_exposure
from serve.app import create_app
from serve.engine.model import served_folder
from serve.idle import Idle

# Makes the engine that takes documents in, which this package does not know.
OpenIngestor = Callable[[Settings, Index, DenseEncoder, SparseEncoder], Ingestor]

IDLE_SECONDS = 75  # more than the 60 after which common proxies drop a connection themselves
LAST_WORDS_SECONDS = 1.0  # beyond the grace, for requests that were cut off


class PortTaken(LibrarianError):
    """The API's port is in use."""

    code = "port_taken"
    exit_code = 1


def base_url(settings: Settings) -> str:
    """Where this machine reaches the API."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", "localhost"} else settings.host  # noqa: S104 — compared
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def bind(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything slow starts. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # only so asyncio sets TCP_NODELAY
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {settings.port} on {settings.host} is in use; stop what listens there or set LIBRARIAN_PORT."
            ) from None
        raise PortTaken(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}.") from None
    return listening


class Server(uvicorn.Server):
    """uvicorn that calls back once requests are served, and that is still there, though not ready, while it drains."""

    def __init__(self, app: FastAPI, on_ready: Callable[[Server], Awaitable[None]], grace: float = 30) -> None:
        """`grace`: seconds that requests have to finish after a signal."""
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=max(1, math.ceil(grace)),
                timeout_keep_alive=IDLE_SECONDS,
                server_header=False,
            )
        )
        self._app = app
        self._on_ready = on_ready
        self._grace = grace
        self._draining_since: float | None = None
        self.idle = Idle(IDLE_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully, at once on a second SIGINT. uvicorn would raise the signal again at its end, and a SIGTERM
        would then kill the process before the index is closed.

        /readyz turns 503 now. The listener stays open while requests are at work, so that this can be seen.
        """
        if self._draining_since is None:
            self._draining_since = time.monotonic()
            self._app.state.stopping = True
        elif sig == signal.SIGINT:
            self.force_exit = self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop serving; uvicorn asks ten times a second. What still runs then has the rest of the grace."""
        if counter % 10 == 0:
            self.idle.close_overdue(list(self.server_state.connections), time.monotonic())
        if self._draining_since is not None and not self.should_exit:
            rest = self._draining_since + self._grace - time.monotonic()
            if rest <= 0 or not self.server_state.tasks:
                self.config.timeout_graceful_shutdown = max(1, math.ceil(rest))
                self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for what still runs, then cut it off; it may say so while the index is still open."""
        self._app.state.stopping = True
        await super().shutdown(sockets)
        if self.server_state.tasks and not self.force_exit:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            await self._on_ready(self)


def run_server(
    settings: Settings,
    listening: socket.socket | None = None,
    on_ready: Callable[[Server], None] = lambda _: None,
    open_ingestor: OpenIngestor | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; requests then have `shutdown_grace` seconds to finish.

    `open_ingestor` makes what takes documents in; without one they are refused. Raises PortTaken, SettingsError (a
    listener without a key), IndexLocked, IndexUnavailable, EncoderError or DiskFull before anything is served.
    """
    check_exposure(settings)
    configure_logs(settings)
    with listening or bind(settings) as taken, suppress(KeyboardInterrupt):  # Ctrl-C before uvicorn takes it
        asyncio.run(_serve(settings, taken, on_ready, open_ingestor))


async def _serve(
    settings: Settings,
    listening: socket.socket,
    on_ready: Callable[[Server], None],
    open_ingestor: OpenIngestor | None,
) -> None:
    url = base_url(settings)
    async with (
        open_librarian(settings, served_folder(settings)) as librarian,
        _ingestor(settings, librarian, open_ingestor) as ingestor,
    ):
        app = create_app(settings, librarian, ingestor)

        async def ready(server: Server) -> None:
            await librarian.retriever.index.announce(url)
            held = None if settings.qdrant_url else await asyncio.to_thread(holder, settings)
            app.state.holder_token = held.token if held else ""
            print(f"serving {url} (API docs: {url}/docs); Ctrl-C stops it", flush=True)
            on_ready(server)

        await asyncio.to_thread(librarian.retriever.warm_up)
        await Server(app, ready, settings.shutdown_grace).serve([listening])


@asynccontextmanager
async def _ingestor(
    settings: Settings, librarian: Librarian, open_ingestor: OpenIngestor | None
) -> AsyncIterator[Ingestor | None]:
    """What takes documents in, over the same index and the same encoders; closed before the index is."""
    if open_ingestor is None:
        yield None
        return
    retriever = librarian.retriever
    with sync_side(retriever.index, settings) as index:
        ingestor = await asyncio.to_thread(open_ingestor, settings, index, *retriever.encoders)
        try:
            yield ingestor
        finally:
            await asyncio.to_thread(ingestor.close)


def configure_logs(settings: Settings) -> None:
    """Structured lines on stderr at the level of the settings."""
    level = getattr(logging, settings.log_level.upper())
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
