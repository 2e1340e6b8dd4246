"""Where a command keeps keys: in the index itself, or through the server that holds the embedded one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import httpx2

from rag.errors import BadInput, IndexLocked, LibrarianError
from rag.feeding import HOLDER_HEADER
from rag.index import holder, open_index
from rag.index.folder import Holder
from rag.keys import KeyNotFound, KeyStore, shown
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings

ANSWER_SECONDS = 30.0


class KeysRefused(LibrarianError):
    """The server that holds the index refused."""

    code = "keys_refused"


class Keeping(Protocol):
    """Keys as `rag.keys.shown` shows them."""

    def create(
        self, name: str, tenant: str, groups: Sequence[str], permissions: Sequence[str], lifetime: float | None
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
        with httpx2.Client(
            base_url=held.url, headers={HOLDER_HEADER: held.token}, timeout=ANSWER_SECONDS, trust_env=False
        ) as http:
            yield _Remote(http, held)
        return
    try:
        yield _Here(KeyStore(Records(index)))
    finally:
        index.close()


class _Here:
    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def create(
        self, name: str, tenant: str, groups: Sequence[str], permissions: Sequence[str], lifetime: float | None
    ) -> dict[str, Any]:
        key, token = self._store.create(name, Scope(tenant, frozenset(groups)), permissions, lifetime)
        return {**shown(key), "key": token}

    def list(self) -> list[dict[str, Any]]:
        return [shown(each) for each in self._store.list()]

    def revoke(self, identity: str) -> dict[str, Any]:
        return shown(self._store.revoke(identity))


class _Remote:
    def __init__(self, http: httpx2.Client, held: Holder) -> None:
        self._http = http
        self._held = held

    def create(
        self, name: str, tenant: str, groups: Sequence[str], permissions: Sequence[str], lifetime: float | None
    ) -> dict[str, Any]:
        body = {"name": name, "tenant": tenant, "groups": [*groups], "permissions": [*permissions]}
        return self._call("POST", "/v1/keys", {**body, "lifetime": lifetime})

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "/v1/keys")["data"]
        return found

    def revoke(self, identity: str) -> dict[str, Any]:
        if not identity.isalnum():  # it becomes part of a path
            raise KeyNotFound(f"there is no key '{identity[:64]}': `librarian keys list` shows those there are.")
        return self._call("DELETE", f"/v1/keys/{identity}")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body)
            answer: dict[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise IndexLocked(
                f"the index is in use by {self._held}, which does not answer ({type(error).__name__}): stop it, or "
                "wait until it serves, and run this again."
            ) from None
        if response.is_success:
            return answer
        said = answer.get("error", {})
        message = str(said.get("message", f"status {response.status_code}"))
        for known in (KeyNotFound, BadInput):
            if said.get("code") == known.code:
                raise known(message)
        raise KeysRefused(f"{self._held} refused: {message}")
