"""Files that come with the program, as they are sent to a browser: a fixed few, no key needed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import cached_property
from importlib.resources import files

from fastapi import HTTPException, Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Kept, and asked after each time by its tag: a new version of the service never meets an old script.
KEPT = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


class Assets:
    """The files of a package's folder that have one of TYPES, or of these those in `names`.

    They are read once, when the first is asked for, so no path given by a caller is ever opened.
    """

    def __init__(self, package: str, folder: str, headers: Mapping[str, str], names: Collection[str] = ()) -> None:
        self._package, self._folder = package, folder
        self._headers = {**KEPT, **headers}
        self._names = names

    def sent(self, request: Request, name: str) -> Response:
        """The file, or 304 where the browser has it. Raises HTTPException (404) for any other name."""
        found = self._files.get(name)
        if found is None:
            raise HTTPException(404, f"there is no file {name[:100]} here; the page is at /.")
        content, kind, tag = found
        headers = {**self._headers, "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    @cached_property
    def _files(self) -> dict[str, tuple[bytes, str, str]]:
        """Content, type and tag by name."""
        found = {}
        for each in files(self._package).joinpath(self._folder).iterdir():
            kind = TYPES.get("." + each.name.rpartition(".")[2])
            if kind is not None and (not self._names or each.name in self._names):
                content = each.read_bytes()
                found[each.name] = (content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        return found
