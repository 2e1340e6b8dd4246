"""Errors to HTTP: OpenAI's shape, the status that the error's class names, and the request's id."""

from __future__ import annotations

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rag.errors import LibrarianError
from serve import refusals
from serve.headers import missing as headers_missing
from serve.shapes import NAME_PATTERN

log = structlog.get_logger()

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    429: "overloaded",
}
INTERNAL = "an internal error; the service's log has it under this id."
RETRY_AFTER = {429: "1", 503: "5"}


def body(status: int, code: str, message: str, request_id: str, param: str | None = None) -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param, "request_id": request_id}}


def response(
    request: Request, status: int, code: str, message: str, param: str | None = None, retry_after: float | None = None
) -> JSONResponse:
    """An error response. 429 and 503 say when to come back; 408 and 413 end the connection: more may come over it."""
    headers = {"Retry-After": RETRY_AFTER[status]} if status in RETRY_AFTER else {}
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if code == "invalid_token" else "Bearer"
    if status in {408, 413}:
        headers["Connection"] = "close"
    return JSONResponse(body(status, code, message, request.state.request_id, param), status, headers)


def install(app: FastAPI) -> None:
    """Turn every exception that leaves a route into such a response."""

    @app.exception_handler(LibrarianError)
    async def _known(request: Request, error: LibrarianError) -> JSONResponse:
        return response(request, error.http_status, error.code, error.public, error.param, error.retry_after)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
        place = ".".join(str(each) for each in first["loc"] if each != "body")
        if first["type"] == "extra_forbidden":
            message = f"the field '{place}' is not supported{refusals.reason(place)}"
        elif first["type"] == "json_invalid":
            place, message = "", f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
        elif not place and "json" not in request.headers.get("content-type", ""):
            message = "the body must be JSON, sent with Content-Type: application/json"
        elif first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == NAME_PATTERN:
            message = f"{place}: names are of letters, digits, '_', '-' and '.', and begin with a letter or a digit"
        else:
            message = f"{place or 'the body'}: {first['msg']}"
        return response(request, 400, "invalid_request", message, place or None)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = CODES.get(error.status_code, "error")
        answer = response(request, error.status_code, code, str(error.detail))
        answer.headers.update(error.headers or {})  # Allow, where the method is the wrong one
        return answer

    @app.exception_handler(TimeoutError)
    async def _slow(request: Request, error: TimeoutError) -> JSONResponse:
        return response(request, 504, "timeout", "the request took longer than LIBRARIAN_REQUEST_TIMEOUT allows.")

    @app.exception_handler(Exception)
    async def _unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", request_id=request.state.request_id, exc_info=error)
        answer = response(request, 500, "internal_error", INTERNAL)
        answer.headers["X-Request-Id"] = request.state.request_id  # this one alone does not pass through the Guard
        for name, value in headers_missing(answer.raw_headers, request.url.path):
            answer.headers[name.decode()] = value.decode()
        return answer
