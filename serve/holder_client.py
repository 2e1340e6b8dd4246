"""A command's calls to the server that holds the embedded index, as the user that it runs as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from rag.errors import BadInput, IndexLocked, LibrarianError
from rag.feeding import HOLDER_HEADER
from rag.index.folder import Holder
from rag.keys import KeyNotFound

ANSWER_SECONDS = 30.0


class HolderRefused(LibrarianError):
    """The server that holds the index refused."""

    code = "holder_refused"


class HolderClient:
    """The API of that server."""

    def __init__(self, http: httpx2.Client, held: Holder) -> None:
        self._http = http
        self._held = held

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | bool] | None = None,
    ) -> dict[str, Any]:
        """The answer's body. Raises IndexLocked where it does not answer, KeyNotFound, BadInput and HolderRefused."""
        try:
            response = self._http.request(method, path, json=body, params=query)
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
        raise HolderRefused(f"{self._held} refused: {message}")


@contextmanager
def calling(held: Holder) -> Iterator[HolderClient]:
    """The server of `held`, which says where it serves."""
    with httpx2.Client(
        base_url=held.url or "", headers={HOLDER_HEADER: held.token}, timeout=ANSWER_SECONDS, trust_env=False
    ) as http:
        yield HolderClient(http, held)
