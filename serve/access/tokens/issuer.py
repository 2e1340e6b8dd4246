"""Where an issuer's public keys are read: a file, its JWKS URL, or the one that its OpenID configuration names.

OpenID Connect Discovery 1.0, section 4. Everything here blocks: it runs in a thread of its own.
"""

from __future__ import annotations

import json
import ssl
import time
from typing import Any

import httpx2

from rag.errors import SettingsError
from rag.settings import Settings
from rag.urls import is_loopback, without_password
from serve.access.tokens.checks import check_url
from serve.access.tokens.public_keys import PublicKey, Unreadable, from_jwks, from_text

MAX_BYTES = 1024 * 1024
WELL_KNOWN = "/.well-known/openid-configuration"


def read_keys(settings: Settings) -> list[PublicKey]:
    """The issuer's keys as they are now. Raises Unreadable, with where they were looked for."""
    if settings.jwt_jwks_file:
        try:
            return from_text(settings.jwt_jwks_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Unreadable(f"{settings.jwt_jwks_file}: {reason}") from None
    end = time.monotonic() + settings.jwt_timeout
    url = settings.jwt_jwks_url or _discovered(settings, end)
    try:
        return from_jwks(_json(url, settings, end))
    except Unreadable as error:
        raise Unreadable(f"{without_password(url)}: {error}") from None


def _discovered(settings: Settings, end: float) -> str:
    issuer = str(settings.jwt_issuer)
    url = issuer.rstrip("/") + WELL_KNOWN
    try:
        found = _json(url, settings, end)
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise Unreadable("it is of another issuer than LIBRARIAN_JWT_ISSUER says, to the letter")
        named = found.get("jwks_uri")
        if not isinstance(named, str):
            raise Unreadable("it names no jwks_uri")
        return check_url(named, settings)
    except (Unreadable, SettingsError) as error:
        raise Unreadable(f"{without_password(url)}: {error}") from None


def _json(url: str, settings: Settings, end: float) -> Any:
    """What a URL answers. Redirects are not followed: they could lead to a stranger's keys."""
    try:
        with (
            httpx2.Client(
                timeout=max(0.01, end - time.monotonic()),
                trust_env=not is_loopback(url),
                verify=_trust(settings),
            ) as http,
            http.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise Unreadable(f"status {response.status_code}")
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise Unreadable(f"more than {MAX_BYTES} bytes")
                if time.monotonic() > end:  # the client's own timeout is for each piece
                    raise Unreadable("too slow")
        return json.loads(body)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Unreadable(type(error).__name__) from None
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    if settings.jwt_ca_file is None:
        return True
    return ssl.create_default_context(cafile=str(settings.jwt_ca_file))
