"""URLs: what must not be shown of them, and which of them stay on this machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


def without_password(text: str) -> str:
    """The text with user and password taken out of every URL in it."""
    return _USER.sub("", text)


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine: a proxy has no business between two of its processes."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
