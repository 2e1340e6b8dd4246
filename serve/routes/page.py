"""GET /: the page for people, and the files that it is made of. No key: they hold nothing but themselves."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    # Kept, and asked after each time by its tag: a new version of the service never meets an old script.
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    return _sent(request, "index.html")


@router.get("/page/{name}")
async def part(request: Request, name: str) -> Response:
    """One of its files; 404 for any other name."""
    return _sent(request, name)


def _sent(request: Request, name: str) -> Response:
    found = _parts().get(name)
    if found is None:
        raise HTTPException(404, f"there is no /page/{name[:100]}; the page is at /.")
    content, kind, tag = found
    headers = {**HEADERS, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


@cache
def _parts() -> dict[str, tuple[bytes, str, str]]:
    """Content, type and tag by name: a fixed few, so that no path given by a caller is ever opened."""
    found = {}
    for each in files("serve").joinpath("page").iterdir():
        kind = TYPES.get("." + each.name.rpartition(".")[2])
        if kind is not None:
            content = each.read_bytes()
            found[each.name] = (content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found
