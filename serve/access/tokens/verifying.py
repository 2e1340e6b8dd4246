"""A token (JWT, RFC 7519) to a caller: signature, issuer, audience and times are checked, then its claims are read.

Only algorithms with a public key are known here at all, and each only with a key of its kind: a token cannot choose to
be checked by another (RFC 8725, 3.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt

from rag.errors import BadInput, LibrarianError, SettingsError
from rag.keys import PERMISSIONS, Permission, scope_of
from rag.schema import Scope
from rag.settings import Settings
from serve.access.caller import Caller
from serve.access.tokens.checks import check_token_settings
from serve.access.tokens.issuer import read_keys
from serve.access.tokens.public_keys import PublicKey, Unreadable
from serve.access.tokens.ring import KeyRing

MAX_TOKEN = 16_384
NEEDED = ("exp", "iss", "aud", "sub")


class TokenRefused(LibrarianError):
    """The token is not good here. The message says why, and holds nothing of the token."""

    code = "invalid_token"
    http_status = 401


def token_reader(settings: Settings) -> TokenReader | None:
    """What reads the tokens of these settings; None where they name no issuer. Raises SettingsError."""
    check_token_settings(settings)
    if settings.jwt_issuer is None:
        return None
    if settings.jwt_jwks_file:
        try:
            read_keys(settings)
        except Unreadable as error:
            raise SettingsError(f"jwt_jwks_file: {error}.") from None
    return TokenReader(settings, KeyRing(lambda: read_keys(settings), settings.jwt_jwks_seconds))


class TokenReader:
    """Tokens to callers, by the settings `jwt_…` with the keys of `ring`."""

    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        self._settings = settings
        self._ring = ring

    async def caller(self, token: str) -> Caller:
        """Who holds the token. Raises TokenRefused and IssuerUnavailable."""
        if len(token) > MAX_TOKEN:
            raise TokenRefused(f"the token is longer than {MAX_TOKEN} characters.")
        alg, kid = self._header(token)
        keys = await self._ring.suiting(kid, alg)
        claims = self._verified(token, alg, keys)
        return Caller(
            _name(claims["iss"], claims["sub"]),
            _scope(claims, self._settings),
            _permissions(claims, self._settings),
            self._settings.caller_limits,
        )

    def _header(self, token: str) -> tuple[str, str | None]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):
            raise TokenRefused("a key or a token of the issuer is needed: Authorization: Bearer TOKEN") from None
        alg = header.get("alg")
        if not isinstance(alg, str) or alg not in self._settings.jwt_algorithms:
            raise TokenRefused("the token is signed by an algorithm that is not taken here.")
        return alg, header.get("kid")

    def _verified(self, token: str, alg: str, keys: list[PublicKey]) -> dict[str, Any]:
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key.material,
                    algorithms=[alg],
                    audience=list(self._settings.jwt_audience),
                    issuer=self._settings.jwt_issuer,
                    leeway=self._settings.jwt_leeway,
                    options={"require": list(NEEDED), "enforce_minimum_key_length": True},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
                raise TokenRefused(_reason(error)) from None
        raise TokenRefused("the token is not signed by a key of the issuer.")


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.ExpiredSignatureError):
        return "the token has expired: sign in again."
    if isinstance(error, jwt.ImmatureSignatureError):
        return "the token is not valid yet: do the clocks differ?"
    if isinstance(error, jwt.InvalidAudienceError):
        return "the token is for another service (its claim aud)."
    if isinstance(error, jwt.InvalidIssuerError):
        return "the token is of another issuer (its claim iss)."
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no claim {error.claim}."
    return "the token is not valid."


def _name(issuer: str, subject: str) -> str:
    """An id for the caller: the same for the same subject, and no way back to who it is."""
    return "jwt:" + hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:32]


def _scope(claims: Mapping[str, Any], settings: Settings) -> Scope:
    tenant = _claim(claims, settings.jwt_tenant_claim)
    if tenant is None:
        tenant = settings.jwt_default_tenant
    if not isinstance(tenant, str):
        raise TokenRefused(f"the token's claim {settings.jwt_tenant_claim} names no tenant.")
    groups = _claim(claims, settings.jwt_groups_claim)
    listed = [groups] if isinstance(groups, str) else groups or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TokenRefused(f"the token's claim {settings.jwt_groups_claim} is no list of groups.")
    try:
        return scope_of(tenant, listed)
    except BadInput as error:
        raise TokenRefused(f"the token cannot be used: {error}") from None


def _permissions(claims: Mapping[str, Any], settings: Settings) -> frozenset[Permission]:
    """What the token permits: of its scopes those that mean something here, else the settings' default."""
    scopes = _claim(claims, settings.jwt_scopes_claim)
    listed = scopes.split() if isinstance(scopes, str) else scopes
    named = {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
    found = frozenset(each for each in PERMISSIONS if settings.jwt_scope_prefix + each in named)
    return found or frozenset(settings.jwt_default_permissions)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or the one that its dots lead to; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
