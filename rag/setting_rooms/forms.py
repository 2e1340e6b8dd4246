"""Forms that several settings have: what is taken for a URL, a key, a list of names, an origin, a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

# All that are made with a private key and checked with a public one: who can check a token cannot make one.
SIGNATURES = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


def _exact_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    parts = urlsplit(value)
    if not parts.hostname or parts.port == 0:  # a port that is no number is a ValueError of its own
        raise ValueError("must name a host")
    return value


def _http_url(value: str) -> str:
    return _exact_url(value).rstrip("/")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        parts = urlsplit(each)
        if parts.scheme not in {"http", "https"} or each != f"{parts.scheme}://{parts.netloc}" or not parts.netloc:
            raise ValueError("each must be a whole origin, as https://app.example.org: no path, no *")
        if "*" in each or "@" in each:
            raise ValueError("each must name one origin, without * and without a user")
    return value


def _signatures(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not set(value) <= set(SIGNATURES):
        raise ValueError(f"each must be one of {', '.join(SIGNATURES)}")
    return value


def _printable(value: object) -> object:
    if not isinstance(value, str):
        return value
    key = value.strip()  # secrets that come from files end in a line break
    if not key.isprintable():
        raise ValueError("must be one line of printable ASCII characters, as HTTP headers are")
    return key


def _header(value: object) -> object:
    key = _printable(value)
    if isinstance(key, str) and not key.isascii():
        raise ValueError("must be one line of printable ASCII characters, as HTTP headers are")
    return key


ExactUrl = Annotated[str, AfterValidator(_exact_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Origins = Annotated[Names, AfterValidator(_origins)]
Algorithms = Annotated[Names, AfterValidator(_signatures)]
Permissions = Annotated[tuple[Literal["read", "write"], ...], BeforeValidator(_split)]
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
# A key that is compared with what a request carries, and one that is sent in a header.
PrintableKey = Annotated[SecretStr, BeforeValidator(_printable)]
HeaderKey = Annotated[SecretStr, BeforeValidator(_header)]
