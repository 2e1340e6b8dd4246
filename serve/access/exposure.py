"""Where the service may listen, and under which host names it answers."""

from __future__ import annotations

import ipaddress

from rag.errors import SettingsError
from rag.settings import Settings
from serve.access.tokens import check_token_settings


def anonymous_allowed(settings: Settings) -> bool:
    """Whether requests without a key are answered."""
    return not (settings.api_key or settings.known_callers_only or settings.jwt_issuer)


def check_exposure(settings: Settings) -> None:
    """Refuse to listen where others can reach without a key, unless that is said explicitly; and to take tokens by half
    of the settings that this needs. Raises SettingsError."""
    check_token_settings(settings)
    if not anonymous_allowed(settings) or settings.allow_anonymous or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"listening on {settings.host} without a key would let anyone in: set LIBRARIAN_API_KEY, or "
        "LIBRARIAN_KNOWN_CALLERS_ONLY=true where `librarian keys` makes them, or LIBRARIAN_JWT_ISSUER where an "
        "identity provider knows the callers, or LIBRARIAN_ALLOW_ANONYMOUS=true where the network in front keeps "
        "strangers out."
    )


def local_names(settings: Settings) -> frozenset[str] | None:
    """The host names of requests that need no key because only this machine can send them; None: any name will do.

    Without this a web page could rebind its own name to 127.0.0.1 and read the documents of whoever visits it.
    """
    if not anonymous_allowed(settings) or settings.allow_anonymous or not _is_loopback(settings.host):
        return None
    return frozenset({"127.0.0.1", "::1", "localhost", settings.host})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
