"""What tests of loading share: bytes of a name in, what is read of them out."""

from __future__ import annotations

from ingest.loading import Limits, Loaded, load

# Each hostile text here takes a quadratic reader minutes and a linear one well under a second.
HOSTILE_SECONDS = 10


def loaded(name: str, data: str | bytes, limits: Limits | None = None) -> Loaded:
    """What a file of that name and content holds."""
    return load(name, data.encode() if isinstance(data, str) else data, limits or Limits())
