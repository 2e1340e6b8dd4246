"""Whether the settings about tokens go together. Said before anything starts: half of them would let nobody in."""

from __future__ import annotations

from urllib.parse import urlsplit

from rag.errors import SettingsError
from rag.keys import RESERVED
from rag.settings import Settings
from rag.urls import is_loopback, without_password


def check_token_settings(settings: Settings) -> None:
    """Raises SettingsError where the settings `jwt_…` cannot be used as they are."""
    issuer = settings.jwt_issuer
    if issuer is None:
        for name in ("jwt_audience", "jwt_jwks_url", "jwt_jwks_file", "jwt_default_tenant"):
            if getattr(settings, name):
                raise SettingsError(f"{name} is of no use without jwt_issuer: set LIBRARIAN_JWT_ISSUER too.")
        return
    if not settings.jwt_audience:
        raise SettingsError(
            "jwt_issuer without jwt_audience would take tokens that were issued for other services: set "
            "LIBRARIAN_JWT_AUDIENCE to the name that the issuer knows this one by."
        )
    if (settings.jwt_default_tenant or "").startswith(RESERVED):
        raise SettingsError(f"jwt_default_tenant: tenants that begin with '{RESERVED}' are the service's own.")
    if settings.jwt_jwks_file and settings.jwt_jwks_url:
        raise SettingsError("jwt_jwks_file and jwt_jwks_url are both set: keep the one that has the issuer's keys.")
    if settings.jwt_jwks_file is None:
        check_url(settings.jwt_jwks_url or issuer, settings)


def check_url(url: str, settings: Settings) -> str:
    """The URL, unchanged. Raises SettingsError where keys that are read there could be anybody's."""
    scheme = urlsplit(url).scheme
    if scheme not in {"http", "https"}:
        raise SettingsError(
            f"the issuer '{url[:200]}' is no URL: set LIBRARIAN_JWT_JWKS_URL or LIBRARIAN_JWT_JWKS_FILE to where its "
            "keys are."
        )
    if scheme == "http" and not is_loopback(url) and not settings.jwt_allow_http:
        raise SettingsError(
            f"keys read from {without_password(url)} without TLS could be anybody's: use https, or set "
            "LIBRARIAN_JWT_ALLOW_HTTP=true where nobody else is on the network in between."
        )
    return url
