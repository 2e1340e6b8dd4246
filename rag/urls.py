"""URLs in messages: without what is secret in them."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


def without_password(text: str) -> str:
    """The text with user and password taken out of every URL in it."""
    return _USER.sub("", text)
