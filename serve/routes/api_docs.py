"""GET /docs: the API's documentation to try it in. Script and style come with a package: it needs no internet."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from serve.assets import Assets

PATH = "/docs"
WITHOUT = "This page needs JavaScript. The API is described in /openapi.json."

_ROOM = '<div id="swagger-ui">'  # the script puts its own in the place of what stands in it
_SCRIPT, _STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
_SWAGGER = Assets("fastapi_offline", "static", {}, (_SCRIPT, _STYLE))

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def documentation(request: Request) -> HTMLResponse:
    """FastAPI's page, with a line for who runs no scripts."""
    page = get_swagger_ui_html(
        openapi_url=request.app.openapi_url,
        title=f"{request.app.title}: the API",
        swagger_js_url=f"{PATH}/{_SCRIPT}",
        swagger_css_url=f"{PATH}/{_STYLE}",
        swagger_favicon_url="/page/icon.svg",
    ).body
    return HTMLResponse(bytes(page).decode().replace(_ROOM, f"{_ROOM}{WITHOUT}", 1))


@router.get(f"{PATH}/{{name}}")
async def part(request: Request, name: str) -> Response:
    """One of its files; 404 for any other name."""
    return _SWAGGER.sent(request, name)
