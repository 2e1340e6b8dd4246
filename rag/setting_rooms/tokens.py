"""Tokens of an identity provider (OpenID Connect), beside the service's own keys."""

from __future__ import annotations

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import Algorithms, ExactUrl, HomePath, Names, Permissions


class Tokens(BaseModel):
    """Tokens of an identity provider (OpenID Connect), beside the service's own keys."""

    jwt_issuer: str | None = Field(
        None,
        min_length=1,
        description="who issues the tokens (JWT) that requests may carry, as their `iss`; empty: none",
    )
    jwt_audience: Names = Field((), description="names of this service: a token's `aud` must hold one of them")
    jwt_jwks_url: ExactUrl | None = Field(
        None,
        description="where the issuer's public keys are (JWKS); empty: what the issuer's OpenID configuration says",
    )
    jwt_jwks_file: HomePath | None = Field(
        None, description="file with the issuer's public keys (JWKS, or PEM) instead of a URL"
    )
    jwt_jwks_seconds: float = Field(
        300, ge=10, le=86400, description="seconds after which the issuer's public keys are read again"
    )
    jwt_timeout: float = Field(5, gt=0, le=60, description="seconds that reading them may take")
    jwt_ca_file: HomePath | None = Field(None, description="CA certificates (PEM) for an issuer with its own")
    jwt_allow_http: bool = Field(False, description="read the issuer's keys without TLS from other machines too")
    jwt_algorithms: Algorithms = Field(
        ("RS256", "PS256", "ES256", "EdDSA"), description="signatures that are taken, of those with a public key"
    )
    jwt_leeway: float = Field(30, ge=0, le=300, description="seconds by which the issuer's clock may differ")
    jwt_tenant_claim: str = Field(
        "tenant", min_length=1, description="claim that names the tenant; a dot leads into a claim: org.id"
    )
    jwt_default_tenant: str | None = Field(
        None, min_length=1, description="tenant of tokens without that claim; empty: they are refused"
    )
    jwt_groups_claim: str = Field("groups", min_length=1, description="claim that lists the groups")
    jwt_scopes_claim: str = Field(
        "scope", min_length=1, description="claim that lists the permissions, as a list or with spaces between"
    )
    jwt_scope_prefix: str = Field(
        "librarian:", description="what stands before read, write and admin there: librarian:read"
    )
    jwt_default_permissions: Permissions = Field(
        (), description="permissions (read, write) of tokens that name none; empty: they may do nothing"
    )
