"""GET /docs: the API's documentation to try it in. Its script comes from the internet: without it a line says so."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

PATH = "/docs"
WITHOUT = (
    "This page loads its script from cdn.jsdelivr.net: it needs the internet. The API is described in /openapi.json."
)

_ROOM = '<div id="swagger-ui">'  # the script puts its own in the place of what stands in it

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def documentation(request: Request) -> HTMLResponse:
    """FastAPI's page, with the line that is seen where the script cannot be loaded."""
    title = f"{request.app.title}: the API"
    page = get_swagger_ui_html(openapi_url=request.app.openapi_url, title=title).body
    return HTMLResponse(bytes(page).decode().replace(_ROOM, f"{_ROOM}{WITHOUT}", 1))
