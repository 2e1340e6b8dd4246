"""A tiny OpenAI-compatible chat server in a thread. It stands for a server such as vLLM, where the real one is too
slow to start or cannot be made to misbehave.

    with FakeModel(pieces=["Pods ", "run [1]."]) as model:
        ...                                # use model.url, which ends in /v1
        model.chats[-1]["temperature"]     # what the last chat request asked for

It answers GET /v1/models, POST /v1/chat/completions (streams only), POST /tokenize and, as vLLM with
VLLM_ALLOW_RUNTIME_LORA_UPDATING does, POST /v1/load_lora_adapter, which adds to `models`. Every public attribute may be
changed while it runs and holds from the next request (or piece) on. What is not true of it: it does not understand a
word, and counts a token for each word and three for each message.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn

_ROUTES = {
    "/v1/models": "models",
    "/v1/chat/completions": "chat",
    "/v1/load_lora_adapter": "load",
    "/tokenize": "tokenize",
}
Failure = int | Literal["hang", "garbage", "drop"]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Request:
    """What came: `path`, headers with lower-case names, and the parsed body (None where there was none)."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeModel:
    """The server; runs between `start` and `stop`, or inside `with`.

    `says` maps a model's name to what makes the pieces of its answers from a request's body; other models say `pieces`.
    `fail` maps "models", "chat", "load" or "tokenize" to an HTTP status (400, 401, 500, ...), "hang" (never answers),
    "garbage" (status 200 and no JSON) or "drop" (the connection closes before a body came). `dies_after` and
    `hangs_after` count pieces of a stream, after which the connection breaks or nothing more comes. `usage` is
    (prompt, completion) tokens.
    """

    pieces: Sequence[str] = ("Kubernetes runs ", "containers [1].")
    delay: float = 0.0  # seconds before each piece
    finish_reason: str | None = "stop"  # None: the stream ends properly, but without saying why
    usage: tuple[int, int] | None = (12, 5)
    models: Sequence[Mapping[str, Any]] = field(default_factory=lambda: [{"id": "fake", "max_model_len": 4096}])
    says: dict[str, Callable[[Any], Sequence[str]]] = field(default_factory=dict)
    fail: dict[str, Failure] = field(default_factory=dict)
    dies_after: int | None = None
    hangs_after: int | None = None
    garbage_after: int | None = None  # a stream's line that is no JSON
    recovers_after: int | None = None  # how many chats go wrong before one goes well
    error_message: str = "the stand-in was told to fail"

    def __post_init__(self) -> None:
        self.requests: list[Request] = []
        self.streaming = 0  # streams open now
        self.abandoned = 0  # streams whose client left before the end
        self.sent = 0  # pieces sent, all streams together
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What LIBRARIAN_LLM_URL is set to."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Any]:
        """The bodies of the chat requests so far."""
        return [each.body for each in self.requests if each.path == "/v1/chat/completions"]

    def __enter__(self) -> FakeModel:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> FakeModel:
        """Listen; on a free port the first time, on the same one when started again."""
        listening = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only on these
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # dying mid-stream is no news here
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="fake-model", daemon=True)
        self._thread.start()
        if not wait_until(lambda: self._server is not None and self._server.started, seconds=20):
            raise RuntimeError("the stand-in for a model server did not start in 20 s")
        return self

    def stop(self) -> None:
        """Stop at once; open streams break off. Stopping twice is no error."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._server = self._thread = None

    async def _app(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        body = await _body(receive)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.requests.append(Request(scope["path"], headers, json.loads(body) if body else None))
        route = _ROUTES.get(scope["path"])
        failure = self.fail.get(route) if route else 404
        if route == "chat" and self.recovers_after is not None and len(self.chats) > self.recovers_after:
            failure, self.dies_after = None, None
        if failure == "hang":
            await _gone(receive)
        elif failure == "drop":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            raise ConnectionError("told to drop the connection")  # uvicorn closes it where a response has begun
        elif failure == "garbage":
            await _answer(send, 200, b"<html>It works!</html>", b"text/html")
        elif isinstance(failure, int):
            await _json(send, failure, {"error": {"message": self.error_message, "type": "error", "code": failure}})
        elif route == "models":
            await _json(send, 200, {"object": "list", "data": list(self.models)})
        elif route == "load":
            name = self.requests[-1].body["lora_name"]
            self.models = [*self.models, {"id": name, "parent": self.models[0]["id"]}]
            await _answer(send, 200, f"Success: LoRA adapter '{name}' added successfully.".encode(), b"text/plain")
        elif route == "tokenize":
            words = sum(len(each["content"].split()) + 3 for each in self.requests[-1].body["messages"])
            await _json(send, 200, {"count": words, "max_model_len": 4096, "tokens": list(range(words))})
        else:
            says = self.says.get(self.requests[-1].body.get("model"))
            await self._chat(receive, send, self.pieces if says is None else says(self.requests[-1].body))

    async def _chat(self, receive: Receive, send: Send, pieces: Sequence[str]) -> None:
        self.streaming += 1
        leaving = asyncio.create_task(_gone(receive))
        telling = asyncio.create_task(self._tell(send, pieces))
        try:
            await asyncio.wait({leaving, telling}, return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                self.abandoned += 1
        finally:
            self.streaming -= 1
            for task in (leaving, telling):
                if not task.done():
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
        if not telling.cancelled():
            telling.result()

    async def _tell(self, send: Send, pieces: Sequence[str]) -> None:
        event_stream = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": event_stream})
        await _chunk(send, _shape({"role": "assistant", "content": ""}))
        for number, piece in enumerate(pieces):
            await self._misbehave(number, send)
            await asyncio.sleep(self.delay)
            await _chunk(send, _shape({"content": piece}))
            self.sent += 1
        await self._misbehave(len(pieces), send)
        if self.finish_reason:
            await _chunk(send, _shape({}, self.finish_reason))
        if self.usage:
            prompt, completion = self.usage
            total = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
            await _chunk(send, {**_shape({}), "choices": [], "usage": total})
        await _event(send, "[DONE]")
        await send({"type": "http.response.body", "body": b""})

    async def _misbehave(self, number: int, send: Send) -> None:
        if number == self.garbage_after:
            await _event(send, "{this is no JSON")
        if number == self.hangs_after:
            await asyncio.Event().wait()
        if number == self.dies_after:
            raise ConnectionError("told to die")  # uvicorn closes the connection without ending the body


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `true()` held within `seconds`; for what another thread or process does in its own time."""
    end = time.monotonic() + seconds
    while not (held := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _shape(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish_reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice]}


async def _chunk(send: Send, chunk: Mapping[str, Any]) -> None:
    await _event(send, json.dumps(chunk))


async def _event(send: Send, data: str) -> None:
    await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})


async def _json(send: Send, status: int, body: Mapping[str, Any]) -> None:
    await _answer(send, status, json.dumps(body).encode(), b"application/json")


async def _answer(send: Send, status: int, body: bytes, kind: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})
