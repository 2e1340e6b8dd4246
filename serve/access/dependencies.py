"""What routes depend on: the scope of a caller who may do what the route does."""

from __future__ import annotations

import hmac
from urllib.parse import quote, urlsplit

from fastapi import HTTPException, Request

from rag.feeding import HOLDER_HEADER
from rag.keys import Permission
from rag.schema import Scope
from rag.settings import Settings
from serve.access.caller import Caller
from serve.access.callers import identify

# Sent by Librarian's own commands: a question meant for one tenant must not be answered from another's documents.
SCOPE_HEADER = "X-Librarian-Scope"


async def reader(request: Request) -> Scope:
    """The scope of a caller who may read; 401 without a valid key where one is needed, 403 with one that may not."""
    return (await _permitted(request, "read")).scope


async def writer(request: Request) -> Scope:
    """The scope of a caller who may write.

    403 for a page of another origin: a browser sends it a form without asking, and on loopback no key would stop it.
    """
    caller = await _permitted(request, "write")
    origin = request.headers.get("origin")
    if origin is not None and caller.anonymous and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, f"pages of {origin[:200]} may not write here without a key (LIBRARIAN_API_KEY).")
    return caller.scope


async def admin(request: Request) -> Scope:
    """The scope of a caller who may administer it. Whoever needs no key may not: that takes a key."""
    return (await _permitted(request, "admin")).scope


async def holder(request: Request) -> Scope:
    """The scope of a command that proves to run as the user who holds the embedded index on this machine; else 403."""
    scope = _holder_scope(request)
    if scope is None:
        raise HTTPException(
            403,
            f"only commands on the server's machine, as its user, may do this ({HOLDER_HEADER}); use "
            "POST /v1/documents.",
        )
    return scope


async def job_reader(request: Request) -> Scope:
    """The scope of a caller who asks about jobs: a holder's, else a reader's."""
    return _holder_scope(request) or await reader(request)


async def job_writer(request: Request) -> Scope:
    """The same for a caller who cancels them."""
    return _holder_scope(request) or await writer(request)


async def key_keeper(request: Request) -> Scope | None:
    """The scope for which a caller may make keys: an admin its own; None for a holder, who may for every one."""
    return None if _holder_scope(request) else await admin(request)


async def feedback_reader(request: Request) -> Scope:
    """The scope of a caller who reads what others said of answers: a holder's, else an admin's."""
    return _holder_scope(request) or await admin(request)


async def _permitted(request: Request, permission: Permission) -> Caller:
    caller = await identify(request)
    wanted = request.headers.get(SCOPE_HEADER)
    if wanted is not None and wanted != _header(caller.scope):
        raise HTTPException(403, f"this service answers for {_header(caller.scope)}, not for {wanted[:200]}.")
    if not caller.may(permission):
        raise HTTPException(403, f"this needs the permission '{permission}', which the caller has not.")
    return caller


def _holder_scope(request: Request) -> Scope | None:
    given, wanted = request.headers.get(HOLDER_HEADER, ""), request.app.state.holder_token
    if not wanted or not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
        return None
    return Scope.owner(request.app.state.settings.tenant)


def scope_header(settings: Settings) -> str:
    """The reader of these settings, as a client says whom it takes the service to answer for."""
    return _header(Scope(settings.tenant, frozenset(settings.groups)))


def _header(scope: Scope) -> str:
    return quote(f"tenant={scope.tenant} groups={','.join(sorted(scope.groups or ()))}", safe="=, ")
