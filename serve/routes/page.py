"""GET /: the page for people, and the files that it is made of. No key: they hold nothing but themselves."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serve.assets import Assets

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = Assets("serve", "page", {"Content-Security-Policy": POLICY})

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    return _PAGE.sent(request, "index.html")


@router.get("/page/{name}")
async def part(request: Request, name: str) -> Response:
    """One of its files; 404 for any other name."""
    return _PAGE.sent(request, name)
