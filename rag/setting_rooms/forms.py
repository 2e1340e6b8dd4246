"""Forms that several settings have: what is taken for a URL, a key, a list of names, an origin, a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    parts = urlsplit(value)
    if not parts.hostname or parts.port == 0:  # a port that is no number is a ValueError of its own
        raise ValueError("must name a host")
    return value.rstrip("/")


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


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Origins = Annotated[Names, AfterValidator(_origins)]
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
# A key that is compared with what a request carries, and one that is sent in a header.
PrintableKey = Annotated[SecretStr, BeforeValidator(_printable)]
HeaderKey = Annotated[SecretStr, BeforeValidator(_header)]
