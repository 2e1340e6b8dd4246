"""Who may call, and how many at once."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import HTTPException, Request

from rag.errors import SettingsError
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


def scope_header(settings: Settings) -> str:
    """The reader of these settings, as a client says whom it takes the service to answer for."""
    return quote(f"tenant={settings.tenant} groups={','.join(sorted(settings.groups))}", safe="=, ")


class Turnstile:
    """Lets a fixed number in; the next is told to come back, so nothing queues without limit."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._inside = 0
        self._metrics = metrics

    def enter(self) -> None:
        """Raises HTTPException 429 where all places are taken."""
        if self._inside >= self._limit:
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
