"""A client of Librarian's own API, for commands on a machine where a server already holds the index."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from rag import errors
from rag.errors import LibrarianError
from rag.settings import Settings
from rag.urls import is_loopback, without_password
from serve.access import SCOPE_HEADER, scope_header

EXIT_CODES = {
    each.code: each.exit_code
    for each in (
        errors.BadInput,
        errors.PromptTooLong,
        errors.CollectionNotFound,
        errors.FingerprintMismatch,
        errors.IndexUnavailable,
        errors.ModelUnavailable,
        errors.EncoderError,
    )
}


class ApiError(LibrarianError):
    """The API refused, failed or cannot be reached."""

    code = "api_error"
    exit_code = 1


class ApiClient:
    """Calls to one base URL such as http://127.0.0.1:8000."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        headers = {SCOPE_HEADER.encode(): scope_header(settings).encode()}
        if settings.api_key:
            headers[b"Authorization"] = f"Bearer {settings.api_key.get_secret_value()}".encode()
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx2.Timeout(settings.request_timeout, connect=5),
            trust_env=not is_loopback(url),
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
        try:
            found: dict[str, Any] = response.json()
        except ValueError:
            raise ApiError(f"{without_password(self._url)} answered, but is no Librarian; check the URL.") from None
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
                        raise _as_error(chunk["error"])
                    yield chunk
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ApiError:
        return ApiError(
            f"the Librarian at {without_password(self._url)} broke off or cannot be reached "
            f"({type(error).__name__}: {error})."
        )


def _refused(status: int, content: bytes) -> ApiError:
    try:
        return _as_error(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return ApiError(f"the API answered with status {status}")


def _as_error(body: dict[str, Any]) -> ApiError:
    """The error that the server had, with its code and the exit code that it would have had here."""
    error = ApiError(str(body["message"]))
    error.code = str(body.get("code") or ApiError.code)
    error.exit_code = EXIT_CODES.get(error.code, ApiError.exit_code)
    return error
