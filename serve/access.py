"""Who may call, and how many at once."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, HTTPException, Request

from rag.errors import SettingsError
from rag.feeding import HOLDER_HEADER
from rag.schema import Scope
from rag.settings import Settings
from serve.metrics import Metrics

# Sent by Librarian's own commands: a question meant for one tenant must not be answered from another's documents.
SCOPE_HEADER = "X-Librarian-Scope"


def check_exposure(settings: Settings) -> None:
    """Refuse to listen where others can reach without a key, unless that is said explicitly. Raises SettingsError."""
    if settings.api_key or settings.allow_anonymous or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"listening on {settings.host} without a key would let anyone in: set LIBRARIAN_API_KEY, or "
        "LIBRARIAN_ALLOW_ANONYMOUS=true where the network in front keeps strangers out."
    )


def local_names(settings: Settings) -> frozenset[str] | None:
    """The host names of requests that need no key because only this machine can send them; None: any name will do.

    Without this a web page could rebind its own name to 127.0.0.1 and read the documents of whoever visits it.
    """
    if settings.api_key or settings.allow_anonymous or not _is_loopback(settings.host):
        return None
    return frozenset({"127.0.0.1", "::1", "localhost", settings.host})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def reader(request: Request) -> Scope:
    """The caller's scope; 401 where a key is configured and the request does not carry it."""
    settings: Settings = request.app.state.settings
    if settings.api_key:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        wanted = settings.api_key.get_secret_value()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), wanted.encode()):
            raise HTTPException(401, "a valid key is needed: Authorization: Bearer KEY")
    wanted_scope = request.headers.get(SCOPE_HEADER)
    if wanted_scope is not None and wanted_scope != scope_header(settings):
        raise HTTPException(403, f"this service answers for {scope_header(settings)}, not for {wanted_scope[:200]}.")
    return Scope(settings.tenant, frozenset(settings.groups))


async def writer(request: Request, scope: Annotated[Scope, Depends(reader)]) -> Scope:
    """The scope of a caller who writes: today whoever may read.

    403 for a page of another origin: a browser sends it a form without asking, and on loopback no key would stop it.
    """
    origin = request.headers.get("origin")
    settings: Settings = request.app.state.settings
    if origin is not None and not settings.api_key and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, f"pages of {origin[:200]} may not write here without a key (LIBRARIAN_API_KEY).")
    return scope


async def holder(request: Request) -> Scope:
    """The scope of a command that proves to run as the user who holds the embedded index on this machine; else 403."""
    scope = _holder_scope(request)
    if scope is None:
        raise HTTPException(
            403,
            f"only commands on the server's machine, as its user, may do this ({HOLDER_HEADER}); use "
            "POST /v1/documents.",
        )
    return scope


async def job_reader(request: Request) -> Scope:
    """The scope of a caller who asks about jobs: a holder's, else a reader's."""
    return _holder_scope(request) or await reader(request)


async def job_writer(request: Request) -> Scope:
    """The same for a caller who cancels them."""
    return _holder_scope(request) or await writer(request, await reader(request))


def _holder_scope(request: Request) -> Scope | None:
    given, wanted = request.headers.get(HOLDER_HEADER, ""), request.app.state.holder_token
    if not wanted or not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
        return None
    return Scope.owner(request.app.state.settings.tenant)


def scope_header(settings: Settings) -> str:
    """The reader of these settings, as a client says whom it takes the service to answer for."""
    return quote(f"tenant={settings.tenant} groups={','.join(sorted(settings.groups))}", safe="=, ")


class Turnstile:
    """Lets a fixed number in; the next is told to come back, so nothing queues without limit."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._inside = 0
        self._metrics = metrics
        metrics.places.set(limit)

    def enter(self) -> None:
        """Raises HTTPException 429 where all places are taken."""
        if self._inside >= self._limit:
            self._metrics.turned_away.inc()
            raise HTTPException(429, f"{self._limit} requests are at work already; try again shortly.")
        self._inside += 1
        self._metrics.active.set(self._inside)

    def leave(self) -> None:
        """Give the place back."""
        self._inside -= 1
        self._metrics.active.set(self._inside)


async def admitted(request: Request) -> AsyncIterator[None]:
    """A place among the requests at work, held for as long as the response is being sent, streams included."""
    turnstile: Turnstile = request.app.state.turnstile
    turnstile.enter()
    try:
        yield
    finally:
        turnstile.leave()
