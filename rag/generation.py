"""The chat model behind an OpenAI-compatible URL: what it is, what it says, and how it fails.

Which server stands behind the URL is nobody's business here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from rag.breaker import Breaker
from rag.chunks import BrokenByServer, ChunkReader, Delta, reason_of
from rag.connections import direct_transport
from rag.errors import BadInput, ModelDown, ModelUnavailable
from rag.profiles import UnknownProfile, profiles, served
from rag.schema import Message
from rag.settings import Settings
from rag.tokens import ByteTokenCounter, LocalTokenCounter, ServerTokenCounter, TokenCounter
from rag.trying import Trying
from rag.urls import is_loopback, without_password

DEFAULT_WINDOW = 4096
CONNECT_TIMEOUT = 10.0
PASSING = frozenset({502, 503, 504})  # statuses of a server that may be back in a moment
ERROR_BYTES = 64 * 1024  # of an error's body that are read
LAST_SECONDS = 1.0  # for the end of a body whose stream has said that it is over: the connection can then be kept


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is served: its name, its window in tokens, and who counts tokens for it."""

    name: str
    window: int
    counter: TokenCounter


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is sampled. None leaves it to the settings or the server; `extra` goes to the server as it is."""

    max_tokens: int | None = None
    temperature: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class ChatModel:
    """One model behind one URL. Made without touching the network; `aclose` lets go of connections."""

    def __init__(self, settings: Settings, tokenizer_folder: Path | None = None) -> None:
        self.url = settings.llm_url or settings.engine_url
        self.shown = without_password(self.url)
        self._settings = settings
        self._folder = tokenizer_folder
        self._key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
        trust_env = not is_loopback(self.url)
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=httpx2.Timeout(settings.llm_timeout, connect=CONNECT_TIMEOUT),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
            trust_env=trust_env,
            transport=direct_transport(trust_env),
        )
        breaker = Breaker(settings.llm_breaker_failures, settings.llm_breaker_seconds)
        self._trying = Trying(self.shown, settings.llm_retries, settings.llm_retry_wait, breaker)
        self._facts: dict[str | None, ModelFacts] = {}  # by profile
        self._facts_lock = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def facts(self, profile: str | None = None) -> ModelFacts:
        """What the server says of a profile, None: of the model in service; asked once.

        Raises ModelUnavailable, and UnknownProfile where there is none of that name.
        """
        async with self._facts_lock:
            if profile not in self._facts:
                self._facts[profile] = await self._trying.call(lambda: self._ask_facts(profile))
            return self._facts[profile]

    async def profiles(self) -> tuple[str, ...]:
        """The profiles that there are now, that in service first. Waits 2 seconds at most. Raises ModelUnavailable."""
        listed = await self._models(seconds=2)
        name = served(listed, self._settings)
        return profiles(listed, name) if name else ()

    async def check(self) -> None:
        """Raise ModelUnavailable unless the server answers now (within 5 seconds)."""
        await self._models(seconds=5)

    async def _ask_facts(self, profile: str | None) -> ModelFacts:
        listed = await self._models()
        names = [str(each["id"]) for each in listed if each.get("id")]
        name = served(listed, self._settings)
        if name is None:
            raise ModelUnavailable(f"the server at {self.shown} lists no model; set LIBRARIAN_LLM_MODEL.")
        if self._settings.llm_model and names and name not in names:
            raise ModelUnavailable(
                f"the server at {self.shown} does not serve '{name}' but {', '.join(names[:5])}; "
                "set LIBRARIAN_LLM_MODEL."
            )
        if profile is not None:
            known = profiles(listed, name)
            if profile not in known:
                raise UnknownProfile(profile, known)
            name = profile
        own = next((each for each in listed if each.get("id") == name), {})
        base = next((each for each in listed if each.get("id") == own.get("parent")), {})
        said = own.get("max_model_len") or base.get("max_model_len")
        window = self._settings.llm_context_tokens or (said if isinstance(said, int) else None) or DEFAULT_WINDOW
        return ModelFacts(name, window, await self._counter(name, base.get("id"), str(own.get("root") or "")))

    async def _counter(self, model: str, base: str | None, root: str) -> TokenCounter:
        if self._settings.llm_tokenizer:
            return LocalTokenCounter(self._settings.llm_tokenizer)
        # Else another model is served than the one prepared here, or this one with an adapter in its weights.
        if self._folder and (
            self._folder.name in (model, base) or Path(root).name.startswith(f"{self._folder.name}-{model}-")
        ):
            return LocalTokenCounter(self._folder)
        remote = ServerTokenCounter(self._http, self.url, model)
        try:
            await remote.count([Message("user", "count")])
        except ModelUnavailable:
            return ByteTokenCounter()
        return remote

    async def _models(self, seconds: float = 30) -> list[dict[str, Any]]:
        try:
            limit = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT))
            response = await self._http.get(f"{self.url}/models", timeout=limit)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ModelDown(self._unreachable(error), _may_pass(error)) from error
        if response.status_code in {401, 403}:
            raise ModelUnavailable(self._refused_key())
        if response.status_code >= 500:
            raise ModelDown(self._no_such_server(response.status_code), response.status_code in PASSING)
        try:
            response.raise_for_status()
            listed = response.json()["data"]
            return [each for each in listed if isinstance(each, dict)]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailable(self._no_such_server(response.status_code)) from error

    def _no_such_server(self, status: int) -> str:
        return (
            f"{self.shown}/models did not answer like an OpenAI-compatible server (status {status}); "
            "check LIBRARIAN_LLM_URL, which usually ends in /v1."
        )

    def _unreachable(self, error: Exception) -> str:
        cause = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
        if self._settings.llm_url:
            advice = "check LIBRARIAN_LLM_URL and that the server runs."
        else:
            advice = "start it with `librarian model` or `librarian up`, or set LIBRARIAN_LLM_URL."
        return f"the chat model at {self.shown} {cause}; {advice}"

    async def stream(
        self, messages: Sequence[Message], max_tokens: int, sampling: Sampling, profile: str | None = None
    ) -> AsyncGenerator[Delta]:
        """A profile's answer as it comes. Closing the iterator ends the generation on the server.

        What fails before the first token is tried again, what fails later never: part of it has been passed on. Raises
        ModelUnavailable where the server is gone, too slow or breaks off; BadInput where it refuses the request, and
        UnknownProfile.
        """
        facts = await self.facts(profile)

        async def begin() -> tuple[Delta, AsyncGenerator[Delta]]:
            deltas = self._attempt(facts.name, messages, max_tokens, sampling)
            try:
                async for delta in deltas:
                    if delta.text or delta.finish_reason:
                        break
            except BaseException:
                await deltas.aclose()
                raise
            return delta, deltas

        first, rest = await self._trying.call(begin)
        async with aclosing(rest):
            yield first
            async for delta in rest:
                yield delta

    async def _attempt(
        self, model: str, messages: Sequence[Message], max_tokens: int, sampling: Sampling
    ) -> AsyncGenerator[Delta]:
        reader, finished = ChunkReader(), False
        try:
            response = await self._http.send(self._request(model, messages, max_tokens, sampling), stream=True)
            async with aclosing(response), aclosing(response.aiter_raw()) as received:
                if not response.is_success:
                    raise self._refusal(response.status_code, await _start(received))
                async for data in received:
                    delta = reader.feed(data)
                    if delta:
                        finished = finished or delta.finish_reason is not None
                        yield delta
                    if reader.failure:
                        raise reader.failure
                    if reader.ended:
                        await _to_the_end(received)
                        break
        except httpx2.TimeoutException as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise ModelDown(self._unreachable(error), again=True) from error
            raise ModelDown(
                f"the chat model at {self.shown} sent nothing for {self._settings.llm_timeout:g} s; "
                "raise LIBRARIAN_LLM_TIMEOUT or look at the server's load."
            ) from error
        except (httpx2.HTTPError, BrokenByServer) as error:
            if not finished and isinstance(error, httpx2.HTTPError):
                self._facts.clear()  # another model may come up in its place
            if isinstance(error, httpx2.ConnectError):
                raise ModelDown(self._unreachable(error), again=True) from error
            raise self._broke_off(self._reason(error)) from error
        except ValueError as error:
            raise self._nonsense(self._reason(error)) from error
        if not reader.begun:
            raise self._nonsense("not one chunk came")
        if not finished:
            raise ModelDown(
                f"the chat model at {self.shown} broke off before its answer was complete; look at the server's log, "
                "then ask again.",
                again=True,
            )

    def _request(self, model: str, messages: Sequence[Message], max_tokens: int, sampling: Sampling) -> httpx2.Request:
        body = {
            "model": model,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": max_tokens,
            "temperature": self._settings.temperature if sampling.temperature is None else sampling.temperature,
            "frequency_penalty": self._settings.frequency_penalty,
            **sampling.extra,
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # so that nothing between holds tokens back to compress them
        }
        return self._http.build_request(
            "POST", f"{self.url}/chat/completions", content=json.dumps(body).encode(), headers=headers
        )

    def _refusal(self, status: int, body: bytes) -> Exception:
        """The error for an answer that is none."""
        reason = self._clean(reason_of(body)) or "it says nothing more"
        if status in {400, 422}:
            return BadInput(f"the chat model refused the request: {reason}")
        if status in {401, 403}:
            return ModelUnavailable(self._refused_key())
        if status == 404:
            self._facts.clear()  # the server may have come up again with another model
        message = (
            f"the chat model at {self.shown} answered with status {status}: {reason}; look at the server's log, then "
            "ask again."
        )
        return ModelDown(message, status in PASSING) if status >= 500 else ModelUnavailable(message)

    def _broke_off(self, reason: str) -> ModelDown:
        return ModelDown(
            f"the chat model at {self.shown} broke off: {reason}; look at the server's log, then ask again.", again=True
        )

    def _nonsense(self, reason: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"the chat model at {self.shown} did not answer like an OpenAI-compatible server ({reason}); check "
            "LIBRARIAN_LLM_URL, which usually ends in /v1."
        )

    def _refused_key(self) -> str:
        return f"the model's server at {self.shown} refused the key; set LIBRARIAN_LLM_API_KEY."

    def _reason(self, error: Exception) -> str:
        lines = str(error).strip().splitlines()
        return self._clean(lines[0] if lines else type(error).__name__)

    def _clean(self, reason: str) -> str:
        """The reason without the key, which some servers repeat in their answer."""
        return (reason.replace(self._key, "(key)") if self._settings.llm_api_key else reason)[:300]


async def _start(received: AsyncIterator[bytes]) -> bytes:
    """The first bytes of an error's body, as far as they come."""
    body = b""
    with suppress(httpx2.HTTPError):
        async for data in received:
            body += data
            if len(body) >= ERROR_BYTES:
                break
    return body[:ERROR_BYTES]


async def _to_the_end(received: AsyncIterator[bytes]) -> None:
    """Read what stands behind the last event. What goes wrong there takes nothing from the answer."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(LAST_SECONDS):
            async for _ in received:
                pass


def _may_pass(error: Exception) -> bool:
    """Whether a failed request may fare better in a moment. One that waited its whole time would only wait again."""
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout)
