"""An issuer's public keys in memory: read when first needed, again from time to time, and when a token names a new one.

Who can be known is known, whatever happens at the issuer: keys that were read go on being used while it is away. For a
key that is not known then, nobody can say whether the token is good: that is the service's failure, not the caller's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from rag.errors import LibrarianError
from serve.access.tokens.public_keys import PublicKey, Unreadable

# Tokens with made-up key ids make no more requests to the issuer than this.
COOLDOWN_SECONDS = 10.0

log = structlog.get_logger()


class IssuerUnavailable(LibrarianError):
    """The issuer's public keys cannot be read, and the token names one that is not known."""

    code = "issuer_unavailable"
    http_status = 503
    retry_after = COOLDOWN_SECONDS


class KeyRing:
    """Keys that `read` gives, read again once they are `seconds` old. For one event loop; `read` runs in a thread."""

    def __init__(
        self,
        read: Callable[[], Sequence[PublicKey]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._keys: Sequence[PublicKey] = ()
        self._read_at = -float("inf")
        self._no_look_before = -float("inf")
        self._failed = False
        self._looking: asyncio.Task[None] | None = None

    async def suiting(self, kid: str | None, alg: str) -> list[PublicKey]:
        """The keys that may have signed such a token; none: the issuer has no such key. Raises IssuerUnavailable."""
        age, looked = self._clock() - self._read_at, False
        if age > 2 * self._seconds and not self._failed:  # nobody came for long: what was withdrawn meanwhile is shut
            looked = await self._look()
        elif age > self._seconds:
            self._begin()
        found = self._known(kid, alg)
        if not found and not looked:
            await self._look(again_after=COOLDOWN_SECONDS)
            found = self._known(kid, alg)
        if not found and self._failed:
            raise IssuerUnavailable("who issued this token cannot be asked for its keys just now; try again shortly.")
        return found

    def _known(self, kid: str | None, alg: str) -> list[PublicKey]:
        return [each for each in self._keys if each.suits(kid, alg)]

    async def _look(self, again_after: float = 0.0) -> bool:
        """Whether the keys were looked at; not where that was a moment ago."""
        looking = self._begin(again_after)
        if looking:
            await asyncio.shield(looking)  # others wait for it too
        return looking is not None

    def _begin(self, again_after: float = 0.0) -> asyncio.Task[None] | None:
        """The look that is under way, or a new one."""
        if self._looking is None and self._clock() >= self._no_look_before:
            self._no_look_before = self._clock() + again_after
            self._looking = asyncio.create_task(self._take())
        return self._looking

    async def _take(self) -> None:
        began = self._clock()
        try:
            self._keys = await asyncio.to_thread(self._read)
            self._read_at, self._failed = began, False
        except Unreadable as error:
            self._failed = True
            self._no_look_before = self._clock() + COOLDOWN_SECONDS
            log.warning("keys of the token issuer cannot be read", reason=str(error))
        finally:
            self._looking = None
