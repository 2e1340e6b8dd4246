"""The API as it is deployed, in a thread: uvicorn on a real socket, so that streams, disconnects and limits are real.

with FakeModel() as model, ApiServer(retriever, llm_url=model.url) as api:
    httpx2.post(api.v1 + "/chat/completions", json=ask("What runs containers?"))
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import structlog
from prometheus_client.parser import text_string_to_metric_families

from rag.answering import Librarian
from rag.errors import CollectionNotFound
from rag.generation import ChatModel
from rag.index import Collection, CollectionInfo, CollectionSpec, Where
from rag.schema import Passage, Scope, SearchResult
from rag.settings import Settings
from serve.app import create_app
from serve.server import Server, bind
from tests.conftest import make_passage

Result = TypeVar("Result")

QUESTION = "What runs containers?"
PASSAGES = (
    make_passage("Kubernetes runs containers in pods on the nodes of a cluster.", 1, heading_path=("Overview",)),
    make_passage("A readiness probe keeps traffic from a pod that is not ready.", 2, metadata={"lang": "en"}),
    make_passage("Kueue admits jobs when there is quota for them.", 3, title=""),
)


class FixedIndex:
    """Stands for the AsyncIndex behind the retriever, as far as health and the lists of models and collections ask it.

    Behind each alias stands a collection; `failure` is what every call raises. What it does not do: hold points.
    """

    def __init__(self, aliases: Sequence[str]) -> None:
        self.names = list(aliases)
        self.failure: Exception | None = None
        self.slow = 0.0

    async def collections(self) -> list[CollectionInfo]:
        await asyncio.sleep(self.slow)
        if self.failure:
            raise self.failure
        return [CollectionInfo(f"{each}-1a2b3c4d", CollectionSpec(3), 3, (each,)) for each in self.names]

    async def aliases(self) -> dict[str, str]:
        return {alias: each.name for each in await self.collections() for alias in each.aliases}

    async def describe(self, name: str) -> CollectionInfo:
        for each in await self.collections():
            if name in each.aliases:
                return each
        raise CollectionNotFound(f"there is no collection '{name}'.")

    async def resolve(self, name: str) -> Collection:
        found = await self.describe(name)
        return Collection(found.name, found.spec)

    async def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        return next(each.points for each in await self.collections() if each.name == name)


class FixedRetriever:
    """Stands for rag.retrieval.Retriever: finds the same passages whatever is asked, from the aliases of its index.

    `relevance` is the best cosine it claims. `asked` holds (query, scope, collection, top_k) of every search. The real
    one is tried with the API in api_routes/test_api_search.py.
    """

    def __init__(
        self, passages: Sequence[Passage] = PASSAGES, relevance: float | None = 0.8, aliases: Sequence[str] = ()
    ) -> None:
        self.index = FixedIndex(aliases or ("documents", "handbook"))
        self.passages = tuple(passages)
        self.relevance = relevance
        self.slow = 0.0
        self.asked: list[tuple[str, Scope, str | None, int | None]] = []

    async def search(
        self,
        query: str,
        scope: Scope,
        *,
        collection: str | None = None,
        top_k: int | None = None,
        where: Where | None = None,
    ) -> SearchResult:
        self.asked.append((query, scope, collection, top_k))
        name = collection or "documents"
        await asyncio.sleep(self.slow)
        await self.index.describe(name)
        timings = {"encode": 0.0, "search": 0.0, "fetch": 0.0}
        return SearchResult(query, name, self.passages[: top_k or 6], self.relevance, timings)


class ApiServer:
    """The application over `retriever` and the real ChatModel, served inside `with`.

    `values` are settings. Start and stop it in one thread, the last started first stopped; `run` takes a coroutine into
    the server's loop; `logs` holds what the service logged.
    """

    def __init__(
        self, retriever: Any, *, data_dir: Path = Path("nowhere"), ingestor: Any = None, **values: Any
    ) -> None:
        self.settings = Settings(data_dir=data_dir, **values)
        self.ingestor = ingestor
        self.retriever = retriever
        self.server: Server | None = None
        self.app: Any = None
        self.error: BaseException | None = None
        self.logs: list[Any] = []
        self._logging = structlog.testing.capture_logs()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = bind(self.settings.model_copy(update={"port": 0}))
        self._port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._main, name="api", daemon=True)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    def __enter__(self) -> ApiServer:
        self.logs = self._logging.__enter__()
        self._thread.start()
        if not self._ready.wait(20) or self.error:
            raise RuntimeError("the API did not start in 20 s") from self.error
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._logging.__exit__(None, None, None)

    def begin_stop(self) -> None:
        """What comes after the grace, or at the end of `librarian up`: no new connection, streams may finish."""
        assert self.server is not None
        self.server.should_exit = True

    def terminate(self) -> None:
        """What SIGTERM does: requests have the grace of the settings."""
        assert self.server is not None
        self.server.handle_exit(signal.SIGTERM, None)

    def stop(self, seconds: float = 5.0) -> None:
        """Stop; what still runs after `seconds` is broken off. Stopping twice is no error."""
        if self.server is not None and self._thread.is_alive():
            self.begin_stop()
            self._thread.join(seconds)
            self.server.force_exit = True
            self._thread.join(10)
        self._socket.close()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine in the server's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def tasks(self) -> int:
        """How many asyncio tasks the server has, this question's own left out."""

        async def count() -> int:
            return len(asyncio.all_tasks()) - 1

        return self.run(count())

    def sends_at_once(self) -> bool:
        """Whether every open connection has TCP_NODELAY: small writes do not wait for acknowledgements."""
        assert self.server is not None
        sockets = [each.transport.get_extra_info("socket") for each in self.server.server_state.connections]
        return bool(sockets) and all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets)

    def connections(self) -> int:
        """How many client connections are open."""
        assert self.server is not None
        return len(self.server.server_state.connections)

    def active(self) -> float:
        """How many places of the turnstile are taken, by the service's own metrics."""
        return self.metric("librarian_active_requests")

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics; 0 where it is not there (yet)."""
        for sample in self.samples():
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
        return 0.0

    def samples(self) -> list[Any]:
        """Every sample of /metrics."""
        text = httpx2.get(f"{self.url}/metrics", trust_env=False).text
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        model = ChatModel(self.settings)
        try:
            self.app = create_app(self.settings, Librarian(self.retriever, model, self.settings), self.ingestor)
            self.server = Server(self.app, self._started, self.settings.shutdown_grace)
            await self.server.serve([self._socket])
        finally:
            await model.aclose()

    async def _started(self, _: Server) -> None:
        self._ready.set()


def ask(text: str = QUESTION, **fields: Any) -> dict[str, Any]:
    """A chat request's body."""
    return {"model": "librarian", "messages": [{"role": "user", "content": text}], **fields}


@contextmanager
def connected(port: int, timeout: float = 10.0) -> Iterator[socket.socket]:
    """A bare TCP connection, for what no HTTP client would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes. A timeout of the socket means that it did not."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received
