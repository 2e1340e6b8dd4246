"""Who is calling: the holder of a key, of the settings' key, of an issuer's token, or nobody known."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import HTTPException, Request

from rag.keys import PERMISSIONS, PREFIX, Key, KeyStore, id_of
from rag.schema import Scope
from rag.settings import Settings
from serve.access.caller import ANONYMOUS, SETTINGS_KEY, Caller
from serve.access.exposure import anonymous_allowed
from serve.access.tokens import TokenReader

# A revoked key works for this long at most, on every replica.
KEY_CACHE_SECONDS = 5.0
KEY_CACHE_SIZE = 10_000


class KeyCache:
    """Keys by id as they were at most `seconds` ago, also that there is none. Holds `size` ids at most."""

    def __init__(
        self,
        store: KeyStore,
        seconds: float = KEY_CACHE_SECONDS,
        size: int = KEY_CACHE_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()

    async def get(self, identity: str) -> Key | None:
        """The key, or None. Raises IndexUnavailable: a key that cannot be looked up opens nothing."""
        now = self._clock()
        until, key = self._known.get(identity, (0.0, None))
        if now < until:
            return key
        key = await asyncio.to_thread(self.store.get, identity)
        self._known[identity] = (now + self._seconds, key)  # from before the look: what was revoked meanwhile counts
        self._known.move_to_end(identity)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return key

    def forget(self, identity: str) -> None:
        """Look again next time."""
        self._known.pop(identity, None)


async def identify(request: Request) -> Caller:
    """The caller of a request, found once. Raises HTTPException 401, TokenRefused or IssuerUnavailable."""
    found: Caller | None = getattr(request.state, "caller", None)
    if found is None:
        found = request.state.caller = await _identify(request)
    return found


async def _identify(request: Request) -> Caller:
    settings: Settings = request.app.state.settings
    token = _bearer(request)
    own = Scope(settings.tenant, frozenset(settings.groups))
    if token and settings.api_key:
        wanted = settings.api_key.get_secret_value().encode()
        if hmac.compare_digest(token.encode("latin-1"), wanted):
            return Caller(SETTINGS_KEY, own, frozenset(PERMISSIONS), settings.caller_limits)
    if token.startswith(PREFIX):
        return await _holder_of_key(request, token)
    tokens: TokenReader | None = request.app.state.tokens
    if token and tokens:
        return await tokens.caller(token)
    if anonymous_allowed(settings):
        return Caller(ANONYMOUS, own, frozenset({"read", "write"}), settings.caller_limits)
    raise HTTPException(401, "a valid key is needed: Authorization: Bearer KEY")


async def _holder_of_key(request: Request, token: str) -> Caller:
    keys: KeyCache | None = request.app.state.keys
    identity = id_of(token)
    key = await keys.get(identity) if keys and identity else None
    if key is None or not key.opens(token, time.time()):
        raise HTTPException(401, "this key is unknown, expired or revoked: Authorization: Bearer KEY")
    limits = key.limits.over(request.app.state.settings.caller_limits)
    return Caller(key.id, key.scope, frozenset(key.permissions), limits)


def _bearer(request: Request) -> str:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""
