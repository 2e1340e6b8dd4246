"""Headers that every response carries: what a browser must not do with it."""

from __future__ import annotations

from collections.abc import Iterable

CSP = b"content-security-policy"

# An answer of the API is no page: nothing in it is run, loaded or framed, even if a browser is made to show it.
NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

# The page about the API: its files are the service's own, and FastAPI writes a script into the page itself.
_API_DOCS = (
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; connect-src 'self'; "
    b"script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
_CSP_OF = {"/docs": _API_DOCS}

Header = tuple[bytes, bytes]

_ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def missing(given: Iterable[Header], path: str) -> list[Header]:
    """The headers to add to a response of that path which has `given`: one that a route sets itself stays."""
    names = {name.lower() for name, _ in given}
    wanted = (*_ALWAYS, (CSP, _CSP_OF.get(path, NOTHING)))
    return [each for each in wanted if each[0] not in names]
