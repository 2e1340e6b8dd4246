"""Where a command keeps keys: in the index itself, or through the server that holds the embedded one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from rag.caller_limits import CallerLimits
from rag.errors import IndexLocked
from rag.index import holder, open_index
from rag.keys import KeyNotFound, KeyStore, check_key, shown
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings
from serve.holder_client import HolderClient, calling


class Keeping(Protocol):
    """Keys as `rag.keys.shown` shows them."""

    def create(
        self,
        name: str,
        tenant: str,
        groups: Sequence[str],
        permissions: Sequence[str],
        lifetime: float | None,
        limits: CallerLimits,
    ) -> dict[str, Any]:
        """A new key, its token under "key"."""
        ...

    def list(self) -> list[dict[str, Any]]:
        """Every key, oldest first."""
        ...

    def revoke(self, identity: str) -> dict[str, Any]:
        """The key that is no more. Raises KeyNotFound."""
        ...


@contextmanager
def keeping(settings: Settings) -> Iterator[Keeping]:
    """The keys of these settings' index. Raises IndexLocked where a process that does not serve holds it."""
    try:
        index = open_index(settings)
    except IndexLocked:
        held = holder(settings)
        if held is None or held.url is None:
            raise
        with calling(held) as server:
            yield _Remote(server)
        return
    try:
        yield _Here(KeyStore(Records(index)))
    finally:
        index.close()


class _Here:
    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def create(
        self,
        name: str,
        tenant: str,
        groups: Sequence[str],
        permissions: Sequence[str],
        lifetime: float | None,
        limits: CallerLimits,
    ) -> dict[str, Any]:
        key, token = self._store.create(name, Scope(tenant, frozenset(groups)), permissions, lifetime, limits)
        return {**shown(key), "key": token}

    def list(self) -> list[dict[str, Any]]:
        return [shown(each) for each in self._store.list()]

    def revoke(self, identity: str) -> dict[str, Any]:
        return shown(self._store.revoke(identity))


class _Remote:
    def __init__(self, server: HolderClient) -> None:
        self._server = server

    def create(
        self,
        name: str,
        tenant: str,
        groups: Sequence[str],
        permissions: Sequence[str],
        lifetime: float | None,
        limits: CallerLimits,
    ) -> dict[str, Any]:
        # As where no server holds the index: in words that are meant for a command.
        check_key(name, Scope(tenant, frozenset(groups)), permissions, lifetime, limits)
        body = {"name": name, "tenant": tenant, "groups": [*groups], "permissions": [*permissions]}
        return self._server.call("POST", "/v1/keys", {**body, "lifetime": lifetime, "limits": asdict(limits)})

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.call("GET", "/v1/keys")["data"]
        return found

    def revoke(self, identity: str) -> dict[str, Any]:
        if not identity.isalnum():  # it becomes part of a path
            raise KeyNotFound(f"there is no key '{identity[:64]}': `librarian keys list` shows those there are.")
        return self._server.call("DELETE", f"/v1/keys/{identity}")
