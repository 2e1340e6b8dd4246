"""A client of Librarian's own API, for commands on a machine where a server already holds the index."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from rag.errors import LibrarianError
from rag.settings import Settings


class ApiError(LibrarianError):
    """The API refused, failed or cannot be reached."""

    code = "api_error"
    exit_code = 1


class ApiClient:
    """Calls to one base URL such as http://127.0.0.1:8000."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        headers = {}
        if settings.api_key:
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        self._http = httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=httpx2.Timeout(settings.request_timeout, connect=5)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /v1/search. Raises ApiError."""
        try:
            response = await self._http.post("/v1/search", json=body)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise _refused(response.status_code, response.content)
        found: dict[str, Any] = response.json()
        return found

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """POST /v1/chat/completions with stream: each chunk as a dict. Raises ApiError, also mid-stream."""
        try:
            async with self._http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
                if response.status_code != 200:
                    raise _refused(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    chunk = json.loads(line.removeprefix("data: "))
                    if "error" in chunk:
                        raise ApiError(str(chunk["error"]["message"]))
                    yield chunk
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ApiError:
        return ApiError(
            f"the Librarian at {self._url} broke off or cannot be reached ({type(error).__name__}: {error})."
        )


def _refused(status: int, content: bytes) -> ApiError:
    try:
        message = str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the API answered with status {status}"
    return ApiError(message)
