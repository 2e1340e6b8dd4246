"""A Service: connections to one port, handed to the pods that are ready, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable


class Service:
    """Listens on a port of this machine while open; `endpoints`, asked at each connection, says which are ready."""

    def __init__(self, endpoints: Callable[[], list[int]]) -> None:
        self._endpoints = endpoints
        self._turns = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self.port = 0
        threading.Thread(target=self._run, daemon=True).start()
        self._started.wait()

    def close(self) -> None:
        """Stop listening; open connections break."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        async def listen() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()

        self._loop.run_until_complete(listen())
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = self._endpoints()
        if not ready:  # as a Service without endpoints: refused
            writer.close()
            return
        port = ready[next(self._turns) % len(ready)]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        ways = [asyncio.ensure_future(_pump(reader, back)), asyncio.ensure_future(_pump(there, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in ways:
            each.cancel()
        for end in (writer, back):
            end.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
