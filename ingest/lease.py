"""One job at a time writes a tenant's part of a collection; jobs of different shards of one source do so together.

The embedded index needs no lease: its folder is one process's. On a server a job keeps a record with a beat that
changes every few seconds. No clocks are compared: a record whose beat changes while one watches belongs to a job that
lives, one whose beat stands still for long to a job that died.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ingest.options import Shard
from rag.errors import IndexLocked, LibrarianError
from rag.index.interface import Index
from rag.records import RESERVED, Records
from rag.schema import Scope
from rag.settings import Settings

KIND = "lease"
# The tenant of the lease that keeps the jobs of all tenants out.
GATE = "librarian:gate"
BEAT_S = 10.0
# A holder that could not write its beat for so long gives up; another takes over only after it must have.
LOST_S = 25.0
DEAD_S = 40.0


class Lease:
    """A place at a collection, held until `release`. `check` raises IndexLocked once it is lost."""

    def __init__(self, records: Records, scope: Scope, collection: str, shard: Shard, beat_s: float = BEAT_S) -> None:
        self._records = records
        self._scope = scope
        self._collection = collection
        self._shard = shard
        self._beat_s = beat_s
        self._id = f"{collection}/{uuid.uuid4().hex}"
        self._beats = 0
        self._last = time.monotonic()
        self._waiting = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="librarian-lease", daemon=True)

    def acquire(self, dead_s: float = DEAD_S) -> None:
        """Take it; the lease of a job that died is taken over. Raises IndexLocked where one that lives has it.

        Whoever sees one that holds it gives way. Of those that come at once, or wait for a dead one together, all but
        the one with the least id do.
        """
        self._beat()
        try:
            seen = self._others()
            watched = time.monotonic()
            while seen:
                if time.monotonic() - watched > dead_s:
                    self._records.delete(KIND, list(seen), self._scope)
                    break
                time.sleep(min(0.5, self._beat_s / 4))
                self._beat()
                now = self._others()
                ahead = {each: data for each, data in now.items() if not data["waiting"] or each < self._id}
                alive = [data for each, data in ahead.items() if data != seen.get(each)]
                if alive:
                    raise IndexLocked(self._refusal(alive[0]))
                seen = now
        except BaseException:
            self._records.delete(KIND, [self._id], self._scope)
            raise
        self._waiting = False
        self._beat()
        self._thread.start()

    def check_free(self, dead_s: float = DEAD_S) -> None:
        """Look, without taking it. Raises IndexLocked where a job that lives has it, or waits for it."""
        seen = self._others()
        watched = time.monotonic()
        while seen:
            if time.monotonic() - watched > dead_s:
                self._records.delete(KIND, list(seen), self._scope)
                return
            time.sleep(min(0.5, self._beat_s / 4))
            now = self._others()
            alive = [data for each, data in now.items() if data != seen.get(each)]
            if alive:
                raise IndexLocked(self._refusal(alive[0]))
            seen = now

    def check(self) -> None:
        """Raises IndexLocked where the lease could not be renewed for too long: another job may write by now."""
        if time.monotonic() - self._last > LOST_S:
            raise IndexLocked(
                f"the job lost its hold on collection '{self._collection}' (Qdrant did not take its sign of life for "
                f"{LOST_S:.0f} s) and stopped; run it again."
            )

    def release(self) -> None:
        """Let go."""
        self._ended.set()
        self._thread.join(self._beat_s)
        try:
            self._records.delete(KIND, [self._id], self._scope)
        except LibrarianError:
            return  # Qdrant is gone; the lease dies by itself

    def _go_on(self) -> None:
        while not self._ended.wait(self._beat_s):
            try:
                self._beat()
            except LibrarianError:
                continue  # `check` tells when it was too long

    def _beat(self) -> None:
        self._beats += 1
        data = {
            "collection": self._collection,
            "owner": f"{socket.gethostname()}, process {os.getpid()}",
            "shard": [self._shard.index, self._shard.count],
            "beat": self._beats,
            "waiting": self._waiting,
        }
        self._records.put(KIND, self._id, data, self._scope)
        self._last = time.monotonic()

    def _others(self) -> dict[str, Mapping[str, Any]]:
        """The leases that exclude this one."""
        return {
            identity: data
            for identity, data in self._records.scan(KIND, self._scope)
            if identity != self._id and data["collection"] == self._collection and not self._beside(data["shard"])
        }

    def _beside(self, shard: list[int]) -> bool:
        index, count = shard
        return count == self._shard.count and index != self._shard.index

    def _refusal(self, data: Mapping[str, Any]) -> str:
        return (
            f"another job ({data['owner']}) is writing collection '{self._collection}': wait until it is done and run "
            "this again; nothing was changed."
        )


class _NoLease:
    def check(self) -> None:
        """Nothing to lose."""


@contextmanager
def lease(index: Index, settings: Settings, shard: Shard) -> Iterator[Lease | _NoLease]:
    """Hold the settings' collection for the block. Raises IndexLocked where another job has it, or keeps all out."""
    with _held(index, settings, settings.tenant, shard) as held:
        if isinstance(held, Lease):  # only now: who keeps all out closes the gate first, then looks who is inside
            _place(index, settings, GATE, shard).check_free()
        yield held


@contextmanager
def all_out(index: Index, settings: Settings, tenants: Callable[[], Iterable[str]]) -> Iterator[Lease | _NoLease]:
    """Keep the jobs of every tenant from the settings' collection for the block: a tenant's first job, too.

    `tenants` lists those that have points. A job that has written none yet shows by its lease: that is a record of its
    tenant. Raises IndexLocked where a job is at work.
    """
    with _held(index, settings, GATE, Shard()) as gate:
        if isinstance(gate, Lease):
            for tenant in sorted({*tenants(), *index.tenants(RESERVED)} - {GATE}):
                _place(index, settings, tenant, Shard()).check_free()
        yield gate


@contextmanager
def _held(index: Index, settings: Settings, tenant: str, shard: Shard) -> Iterator[Lease | _NoLease]:
    if not settings.qdrant_url:
        yield _NoLease()
        return
    held = _place(index, settings, tenant, shard)
    held.acquire()
    try:
        yield held
    finally:
        held.release()


def _place(index: Index, settings: Settings, tenant: str, shard: Shard) -> Lease:
    return Lease(Records(index), Scope.owner(tenant), settings.collection, shard)
